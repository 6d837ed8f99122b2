/** Writes an access log as a busy site has it: browsers, scripts and probes, 180 bytes a line. */
import { once } from "node:events";
import { createWriteStream, statSync } from "node:fs";

const AT_ONCE = 10_000;
const AGENTS = [
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
  "Mozilla/5.0 (iPhone; CPU iPhone OS 26_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.1 Mobile/15E148 Safari/604.1",
  "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
  "curl/8.14.1",
  "kube-probe/1.36",
];
const PATHS: readonly ((random: number) => string)[] = [
  () => "/",
  (random) => `/assets/app.${random.toString(16)}.js`,
  (random) => `/api/v1/orders/${random % 1_000_000}/items?expand=product`,
  () => "/healthz",
  (random) => `/img/products/${random % 10_000}.webp`,
];

/** Returns its size in bytes. The same lines every time. */
export async function writeAccessLog(path: string, lines: number): Promise<number> {
  const out = createWriteStream(path);
  for (let from = 0; from < lines; from += AT_ONCE) {
    const part: string[] = [];
    for (let index = from; index < Math.min(lines, from + AT_ONCE); index++) part.push(lineOf(index));
    if (!out.write(`${part.join("\n")}\n`)) await once(out, "drain");
  }
  out.end();
  await once(out, "close");
  return statSync(path).size;
}

function lineOf(index: number): string {
  const random = scatter(index);
  const time = new Date(Date.UTC(2026, 10, 21) + index * 3).toISOString();
  const client = `203.0.${random % 113}.${(random >>> 8) % 251}`;
  const path = PATHS[index % PATHS.length]?.(random) ?? "";
  const request = `${index % 9 === 0 ? "POST" : "GET"} ${path} HTTP/1.1`;
  const referer = index % 3 === 0 ? `https://shop.example.org/catalogue/page/${random % 500}` : "-";
  const answer = `${index % 50 === 0 ? 502 : 200} ${random % 90_000}`;
  const agent = AGENTS[(random >>> 4) % AGENTS.length];
  return `${client} - - [21/Nov/2026:${time.slice(11, 19)} +0000] "${request}" ${answer} "${referer}" "${agent}"`;
}

/** 32 bits that look random: a finalizer of MurmurHash's kind. */
function scatter(index: number): number {
  let bits = Math.imul(index ^ (index >>> 15), 0x2c1b3c6d);
  bits = Math.imul(bits ^ (bits >>> 12), 0x297a2d39);
  return (bits ^ (bits >>> 15)) >>> 0;
}
