import { X509Certificate } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { parse } from "yaml";
import { Problem } from "../../kernel/problem.ts";
import { formatKubeconfig, writeKubeconfig } from "./kubeconfig.ts";
import { openPki } from "./pki.ts";

const NOW = Date.UTC(2026, 10, 3);
const YEAR_MS = 365 * 86_400_000;

let folder = "";

beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), "pillion-pki-")), "pki");
});

afterEach(() => rmSync(join(folder, ".."), { recursive: true }));

function open(now = NOW, extraNames: readonly string[] = []) {
  return openPki({ folder, now, extraNames });
}

describe("openPki()", () => {
  test("makes certificates for ten years, keys for nobody else, and a token of 256 bits", async () => {
    const pki = await open();
    const server = new X509Certificate(pki.certificate);
    expect(Date.parse(server.validTo) - NOW).toBe(3650 * 86_400_000);
    expect(server.subjectAltName).toBe(
      "IP Address:127.0.0.1, DNS:localhost, DNS:kubernetes, DNS:kubernetes.default, DNS:kubernetes.default.svc, DNS:kubernetes.default.svc.cluster.local, IP Address:10.96.0.1, IP Address:10.244.0.1",
    );
    expect(Buffer.from(pki.token, "base64url").length).toBe(32);
    const modes = readdirSync(folder)
      .sort()
      .map((name) => `${name} ${(statSync(join(folder, name)).mode & 0o777).toString(8)}`);
    expect(modes).toEqual([
      "ca.crt 644",
      "ca.key 600",
      "sa.key 600",
      "server.crt 644",
      "server.key 600",
      "token 600",
    ]);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  });

  test("answers the same at the next start", async () => {
    const first = await open();
    expect(await open(NOW + YEAR_MS)).toEqual(first);
  });

  test("loads what makes certificates only when it makes some", () => {
    const script = `
      const { openPki } = await import(${JSON.stringify(join(import.meta.dirname, "pki.ts"))});
      await openPki({ folder: ${JSON.stringify(folder)}, now: ${NOW} });
      console.log("getMetadata" in Reflect);
    `;
    const start = () => Bun.spawnSync([process.execPath, "-e", script]).stdout.toString().trim();
    expect([start(), start()]).toEqual(["true", "false"]);
  });

  const damages: readonly (readonly [string, () => void | Promise<void>])[] = [
    ["an empty certificate", () => writeFileSync(join(folder, "server.crt"), "")],
    ["text in place of the key", () => writeFileSync(join(folder, "server.key"), "nonsense")],
    ["a missing authority", () => rmSync(join(folder, "ca.crt"))],
    [
      "half a certificate",
      () => {
        const path = join(folder, "server.crt");
        writeFileSync(path, readFileSync(path, "utf8").slice(0, 300));
      },
    ],
    [
      "another cluster's authority",
      async () => {
        const other = await openPki({ folder: join(folder, "other"), now: NOW });
        writeFileSync(join(folder, "ca.crt"), other.authority);
      },
    ],
  ];
  test.each(damages)("makes new certificates and keeps the token after %s", async (_, damage) => {
    const first = await open();
    await damage();
    const second = await open();
    expect(second.token).toBe(first.token);
    expect(second.certificate).not.toBe(first.certificate);
    expect(
      new X509Certificate(second.certificate).verify(new X509Certificate(second.authority).publicKey),
    ).toBe(true);
    expect(await open()).toEqual(second);
  });

  test.each([
    ["a month before they expire", NOW + 3_630 * 86_400_000],
    ["when the clock stands before they begin", NOW - 2 * 86_400_000],
  ])("makes new certificates %s", async (_, later) => {
    const first = await open();
    expect((await open(later)).certificate).not.toBe(first.certificate);
  });

  test("makes new certificates for a further name, and a new token for one that is no token", async () => {
    const first = await open();
    const second = await open(NOW, ["10.0.0.1", "host.internal"]);
    expect(new X509Certificate(second.certificate).subjectAltName).toEndWith(
      "IP Address:10.0.0.1, DNS:host.internal",
    );
    writeFileSync(join(folder, "token"), "short");
    const third = await open(NOW, ["10.0.0.1", "host.internal"]);
    expect(third.token).not.toBe(first.token);
    expect(third.certificate).toBe(second.certificate);
  });

  test("explains a folder that it cannot use", async () => {
    mkdirSync(join(folder, "token"), { recursive: true });
    try {
      await open();
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(Problem);
      expect((error as Problem).code).toBe("E_PKI");
    }
  });
});

describe("the kubeconfig", () => {
  const content = { cluster: "demo", server: "https://127.0.0.1:1", authority: "PEM", token: "T" };

  test("names one cluster, one user and one context", () => {
    expect(parse(formatKubeconfig(content))).toEqual({
      apiVersion: "v1",
      kind: "Config",
      clusters: [
        {
          name: "pillion-demo",
          cluster: { server: "https://127.0.0.1:1", "certificate-authority-data": "UEVN" },
        },
      ],
      users: [{ name: "pillion-demo", user: { token: "T" } }],
      contexts: [
        {
          name: "pillion-demo",
          context: { cluster: "pillion-demo", user: "pillion-demo", namespace: "default" },
        },
      ],
      "current-context": "pillion-demo",
      preferences: {},
    });
  });

  test("is readable by its owner only", () => {
    mkdirSync(folder, { recursive: true });
    const path = join(folder, "kubeconfig");
    writeFileSync(path, "", { mode: 0o644 });
    writeKubeconfig(path, content);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });
});
