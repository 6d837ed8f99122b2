import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createServer as createPlainServer } from "node:http";
import { createServer } from "node:https";
import { connect } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { ManualClock } from "../../testing/manual-clock.ts";
import { createAuthority, createServerCertificate } from "../api/make-certificates.ts";
import { collect } from "./byte-streams.ts";
import { sendRequest } from "./registry-http.ts";
import type { HttpOptions } from "./registry-http.ts";

const HOUR_MS = 3_600_000;
const now = Date.now();
const current = { notBefore: now - HOUR_MS, notAfter: now + HOUR_MS };
const authority = await createAuthority({ commonName: "test", ...current });

function listen(server: Server): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port));
  return promise;
}

async function tlsServer(names: readonly string[], times = current): Promise<Server> {
  const { key, certificate } = await createServerCertificate({
    commonName: "server",
    names,
    issuer: authority,
    ...times,
  });
  return createServer({ key, cert: certificate }, (request, response) =>
    response.end(`secret ${request.url}`),
  );
}

const servers = {
  good: await tlsServer(["127.0.0.1"]),
  otherName: await tlsServer(["other.test"]),
  expired: await tlsServer(["127.0.0.1"], { notBefore: now - 2 * HOUR_MS, notAfter: now - HOUR_MS }),
  plain: createPlainServer((_request, response) => response.end("plain")),
};
const ports: Record<string, number> = {};
beforeAll(async () => {
  for (const [name, server] of Object.entries(servers)) ports[name] = await listen(server);
});
afterAll(() =>
  Promise.all(Object.values(servers).map((server) => new Promise((resolve) => server.close(resolve)))),
);

async function get(server: keyof typeof servers, options: Partial<HttpOptions> = {}): Promise<string> {
  const url = new URL(`https://127.0.0.1:${ports[server]}/v2/`);
  const answer = await sendRequest(
    { method: "GET", url, headers: {} },
    { clock: new ManualClock(), ...options },
  );
  return Buffer.from(await collect(answer.body, 1_000, "the answer")).toString();
}

describe("over TLS, sendRequest()", () => {
  test("trusts the certificates it is given", async () => {
    expect(await get("good", { ca: authority.certificate })).toBe("secret /v2/");
  });

  test.each<[string, keyof typeof servers, boolean, RegExp]>([
    [
      "an unknown authority",
      "good",
      false,
      /^the certificate of 127\.0\.0\.1:\d+ is not trusted \([A-Z_]+\)$/,
    ],
    [
      "a certificate for another host",
      "otherName",
      true,
      /^the certificate of 127\.0\.0\.1:\d+ is for another host$/,
    ],
    ["an expired certificate", "expired", true, /^the certificate of 127\.0\.0\.1:\d+ has expired$/],
    ["a server without TLS", "plain", true, /^127\.0\.0\.1:\d+ does not speak TLS$/],
  ])("refuses %s, and does not try again", async (_name, server, isTrusted, message) => {
    const failure: unknown = await get(server, isTrusted ? { ca: authority.certificate } : {}).catch(
      (because: unknown) => because,
    );
    expect(failure).toMatchObject({ name: "RegistryUnreachable", isTransient: false });
    expect((failure as Error).message).toMatch(message);
  });
});

test("sendRequest() ends with the signal's reason, before and during an answer, and leaves no timer", async () => {
  const clock = new ManualClock();
  const url = new URL(`https://127.0.0.1:${ports["good"]}/v2/`);
  const send = (signal: AbortSignal) =>
    sendRequest({ method: "GET", url, headers: {} }, { clock, signal, ca: authority.certificate });
  await expect(send(AbortSignal.abort(new Error("gone")))).rejects.toThrow("gone");
  const controller = new AbortController();
  const sent = send(controller.signal);
  controller.abort(new Error("gone too"));
  await expect(sent).rejects.toThrow("gone too");
  expect(clock.pending).toBe(0);
});

test("sendRequest() goes through a proxy by CONNECT, and says so when the proxy cannot", async () => {
  const registry = await tlsServer(["registry.test"]);
  const port = await listen(registry);
  const asked: string[] = [];
  const proxy = createPlainServer();
  proxy.on("connect", (request, client) => {
    asked.push(`${request.url} ${request.headers["proxy-authorization"]}`);
    if (request.url !== "registry.test:443") {
      client.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
      return;
    }
    const upstream = connect(port, "127.0.0.1", () => {
      client.write("HTTP/1.1 200 OK\r\n\r\n");
      upstream.pipe(client).pipe(upstream);
    });
    upstream.on("error", () => client.destroy());
    client.on("error", () => upstream.destroy());
  });
  const address = `http://user:pass@127.0.0.1:${await listen(proxy)}`;
  const options = { clock: new ManualClock(), ca: authority.certificate, proxy: () => address };
  const send = (host: string) =>
    sendRequest({ method: "GET", url: new URL(`https://${host}/v2/`), headers: {} }, options);
  try {
    const answer = await send("registry.test");
    expect(Buffer.from(await collect(answer.body, 1_000, "the answer")).toString()).toBe("secret /v2/");
    expect(asked).toEqual([`registry.test:443 Basic ${btoa("user:pass")}`]);
    // The proxy's own refusal comes back as an answer or as a failed connection, never as the registry's content.
    const outcome = await send("other.test").then(
      ({ status }) => status,
      (because: unknown) => String(because),
    );
    expect(String(outcome)).toMatch(/^502$|through the proxy/);
  } finally {
    proxy.closeAllConnections();
    registry.close();
    proxy.close();
  }
});
