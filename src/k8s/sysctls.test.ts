import { expect, test } from "bun:test";
import type { PodSpec } from "../../generated/kubernetes.ts";
import { forbiddenSysctl, normalizeSysctl } from "./sysctls.ts";

const wanting = (name: string, more: Partial<PodSpec> = {}): PodSpec => ({
  containers: [],
  securityContext: { sysctls: [{ name, value: "1" }] },
  ...more,
});

test.each<[string, PodSpec, string | undefined]>([
  ["none", { containers: [] }, undefined],
  ["a safe one", wanting("net.ipv4.tcp_syncookies"), undefined],
  ["a safe one with slashes", wanting("kernel/shm_rmid_forced"), undefined],
  ["an unsafe one", wanting("kernel.msgmax"), 'forbidden sysctl: "kernel.msgmax" not allowlisted'],
  [
    "an unsafe one with slashes",
    wanting("kernel/msgmax"),
    'forbidden sysctl: "kernel.msgmax" not allowlisted',
  ],
  [
    "one of the network in the node's network",
    wanting("net.ipv4.tcp_syncookies", { hostNetwork: true }),
    'forbidden sysctl: "net.ipv4.tcp_syncookies" not allowed with host net enabled',
  ],
  ["one of IPC in the node's network", wanting("kernel.shm_rmid_forced", { hostNetwork: true }), undefined],
  [
    "one of IPC in the node's IPC",
    wanting("kernel.shm_rmid_forced", { hostIPC: true }),
    'forbidden sysctl: "kernel.shm_rmid_forced" not allowed with host IPC enabled',
  ],
])("forbiddenSysctl() of %s [N10]", (_what, spec, expected) => {
  expect(forbiddenSysctl(spec)).toBe(expected);
});

test("normalizeSysctl() writes names with dots, and dots in interfaces' names with slashes", () => {
  const names = ["net.ipv4.conf.eth0/1.x", "net/ipv4/conf/eth0.1/x", "plain", ""];
  expect(names.map(normalizeSysctl)).toEqual([
    "net.ipv4.conf.eth0/1.x",
    "net.ipv4.conf.eth0/1.x",
    "plain",
    "",
  ]);
});
