import { expect, test } from "bun:test";
import { type NamedPod, podHostname } from "./pod-hostname.ts";

function namesOf(spec: NamedPod["spec"], name = "web-0"): ReturnType<typeof podHostname> {
  return podHostname({ namespace: "shop", name, spec }, "cluster.local");
}

test("a pod is called by its own name [N3]", () => {
  expect(namesOf({})).toEqual({ hostname: "web-0", domain: "", kernelHostname: "web-0" });
});

test("spec.hostname and spec.subdomain make a fully qualified name that stays out of the kernel [N3, N4]", () => {
  expect(namesOf({ hostname: "db", subdomain: "data" })).toEqual({
    hostname: "db",
    domain: "data.shop.svc.cluster.local",
    kernelHostname: "db",
  });
});

test("setHostnameAsFQDN puts the whole name into the kernel, and changes nothing without a subdomain [N3]", () => {
  expect(namesOf({ hostname: "db", subdomain: "data", setHostnameAsFQDN: true }).kernelHostname).toBe(
    "db.data.shop.svc.cluster.local",
  );
  expect(namesOf({ setHostnameAsFQDN: true }).kernelHostname).toBe("web-0");
});

test("a name over 64 bytes is refused with the kubelet's text [N3]", () => {
  const spec = { hostname: "h".repeat(50), subdomain: "s", setHostnameAsFQDN: true };
  expect(() => namesOf(spec)).toThrow(
    `Failed to construct FQDN from pod hostname and cluster domain, FQDN ${"h".repeat(50)}.s.shop.svc.cluster.local ` +
      "is too long (64 characters is the max, 75 characters requested)",
  );
});

test("a pod name over 63 bytes is cut, and a cut that ends in a separator loses it [N3]", () => {
  expect(namesOf({}, "a".repeat(80)).hostname).toBe("a".repeat(63));
  expect(namesOf({}, `${"a".repeat(60)}.-.tail`).hostname).toBe("a".repeat(60));
  expect(() => namesOf({}, "-".repeat(70))).toThrow("hostname for pod");
});

test("hostnameOverride wins over hostname, subdomain and setHostnameAsFQDN [N3]", () => {
  expect(
    namesOf({ hostname: "db", subdomain: "data", setHostnameAsFQDN: true, hostnameOverride: "a.example" }),
  ).toEqual({
    hostname: "a.example",
    domain: "",
    kernelHostname: "a.example",
  });
});
