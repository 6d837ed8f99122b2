/**
 * Clients that watch, in a process of their own: `watching-clients.ts KUBECONFIG PATH CLIENTS EVENTS` says "watching" when all of
 * them do, and "heard" when each has had so many events. Ends with its standard input.
 */
import { ApiClient } from "../src/cli/api-client.ts";

const [kubeconfig = "", path = "", clients = "1", events = "1"] = process.argv.slice(2);
const api = new ApiClient(kubeconfig);
const NEWLINE = 10;

async function watch(resourceVersion: string, signal: AbortSignal): Promise<void> {
  const query = `watch=true&resourceVersion=${resourceVersion}`;
  const response = await api.open(`${path}?${query}`, { signal });
  watching += 1;
  if (watching === Number(clients)) console.log("watching");
  let heard = 0;
  if (response.body === null) throw new Error("A watch without a body");
  for await (const chunk of response.body) {
    for (const byte of chunk) if (byte === NEWLINE) heard += 1;
    if (heard < Number(events)) continue;
    hearing += 1;
    heard = Number.NEGATIVE_INFINITY;
    if (hearing === Number(clients)) console.log("heard");
  }
}

let watching = 0;
let hearing = 0;
const ending = new AbortController();
const { metadata } = await api.request<{ metadata: { resourceVersion: string } }>(path);
const all = Array.from({ length: Number(clients) }, () => watch(metadata.resourceVersion, ending.signal));
for await (const _ of console) continue;
ending.abort();
await Promise.allSettled(all);
