import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseLabels, podIdentity } from "./pod-identity.ts";

describe("podIdentity()", () => {
  test("reads the downward API's variables and its file of labels", () => {
    const folder = mkdtempSync(join(tmpdir(), "pillion-podinfo-"));
    try {
      writeFileSync(join(folder, "labels"), 'app="web"\npod-template-hash="5d4f"\nempty=""\n');
      const env = {
        POD_NAME: "web-1",
        POD_NAMESPACE: "shop",
        POD_UID: "u",
        NODE_NAME: "n",
        POD_IP: "10.0.0.7",
      };
      expect(podIdentity({ ...env, HOSTNAME: "other" }, join(folder, "labels"))).toEqual({
        name: "web-1",
        namespace: "shop",
        uid: "u",
        node: "n",
        ip: "10.0.0.7",
        labels: { app: "web", "pod-template-hash": "5d4f", empty: "" },
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("takes the host name for the pod's inside Kubernetes only", () => {
    const missing = "/nowhere/labels";
    expect(podIdentity({ HOSTNAME: "laptop" }, missing).name).toBeUndefined();
    expect(podIdentity({ HOSTNAME: "web-1", KUBERNETES_SERVICE_HOST: "10.96.0.1" }, missing).name).toBe(
      "web-1",
    );
    expect(podIdentity({ POD_NAME: "" }, missing)).toEqual({
      name: undefined,
      namespace: undefined,
      uid: undefined,
      node: undefined,
      ip: undefined,
      labels: {},
    });
  });

  test("skips lines that are no labels", () => {
    expect(parseLabels('\n=x\nnothing\napp="a=b"\nplain=v\n')).toEqual({ app: "a=b", plain: "v" });
  });
});
