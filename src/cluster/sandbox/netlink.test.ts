import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as linux from "./linux-constants.ts";
import { LaunchError, loadLauncher } from "./launcher.ts";
import {
  addAddress,
  addBridge,
  addDefaultRoute,
  addLocalRange,
  addVeth,
  deleteLink,
  type Link,
  type NetlinkRequest,
  setLinkUp,
} from "./netlink.ts";
import { Program } from "./program.ts";

const launcher = loadLauncher();
const folder = mkdtempSync(join(tmpdir(), "pillion-netlink-"));
afterAll(() => rmSync(folder, { recursive: true }));

const NETWORK = 0x0a_f4_00_00;
const bridge: Link = { name: "br0", index: 1000, mac: [0x0a, 0x58, 10, 244, 0, 1] };
const port: Link = { name: "port", index: 2000, mac: [0x02, 0x58, 10, 244, 0, 2] };
const peer: Link = { name: "eth0", index: 3000, mac: [0x0a, 0x58, 10, 244, 0, 2] };

/** Sends the requests in a network namespace that is new, as root of a user namespace that is new: no privilege needed. */
function send(requests: readonly NetlinkRequest[], show: readonly string[] = []): string {
  const program = new Program();
  const [socket, own, out] = [program.slot(), program.slot(), program.slot()];
  const output = join(folder, "output");
  program
    .call("openat", [linux.AT_FDCWD, output, linux.O_CREAT | linux.O_WRONLY, 0o600], { save: out })
    .call("openat", [linux.AT_FDCWD, "/proc/self/ns/net", linux.O_RDONLY, 0], { save: own })
    .call("dup3", [own, 0, 0])
    .call("socket", [16, 3, 0], { save: socket });
  for (const { what, bytes } of requests)
    program.call("netlink", [socket, bytes, bytes.length], { name: what });
  program.call("dup3", [out, 1, 0]).call("execve", ["/bin/cat", ["cat", "/dev/null", ...show], []]);
  try {
    launcher.wait(launcher.start(program, linux.CLONE_NEWUSER | linux.CLONE_NEWNET), true);
    return readFileSync(output, "utf8");
  } catch (error) {
    if (error instanceof LaunchError) return error.message;
    throw error;
  } finally {
    rmSync(output);
  }
}

const cable = addVeth({ port, master: bridge.index, peer, netnsFd: 0 });
const address = addAddress({ link: bridge.index, address: NETWORK + 1, prefixLength: 16 });

test("the kernel makes what the requests say", () => {
  const requests = [
    setLinkUp(1),
    addBridge(bridge),
    address,
    cable,
    setLinkUp(peer.index),
    addDefaultRoute({ link: bridge.index, gateway: NETWORK + 9 }),
    addLocalRange({ link: 1, address: 0x0a_60_00_00, prefixLength: 16 }),
  ];
  const links = send(requests, ["/proc/self/net/dev"]).match(/\w+(?=:)/g);
  expect(links?.filter((name) => ["lo", "br0", "port", "eth0"].includes(name)).toSorted()).toEqual([
    "br0",
    "eth0",
    "lo",
    "port",
  ]);
  const routes = send(requests, ["/proc/self/net/route"]).split("\n").slice(1, 3);
  expect(routes.map((line) => line.split("\t").slice(0, 4))).toEqual([
    ["br0", "00000000", "0900F40A", "0003"],
    ["br0", "0000F40A", "00000000", "0001"],
  ]);
  const local = send(requests, ["/proc/self/net/fib_trie"]);
  expect(local).toMatch(/10\.96\.0\.0\n\s+\/16 host LOCAL/);
  expect(local).toMatch(/10\.244\.255\.255\n\s+\/32 link BROADCAST/);
});

test("a deleted link is gone, with its far end", () => {
  const requests = [addBridge(bridge), cable, deleteLink("port")];
  expect(send(requests, ["/proc/self/net/dev"])).not.toMatch(/port|eth0/);
});

test.each([
  [
    "a name that is taken",
    [addBridge(bridge), addBridge({ ...bridge, index: 7 })],
    "add bridge br0: file exists (EEXIST)",
  ],
  [
    "an index that is taken",
    [addBridge(bridge), addBridge({ ...bridge, name: "br1" })],
    "add bridge br1: file exists (EEXIST)",
  ],
  ["a link that is missing", [setLinkUp(9)], "set link 9 up: no such device (ENODEV)"],
  ["an address for a missing link", [address], "add address to link 1000: no such device (ENODEV)"],
  ["a link that cannot be deleted", [deleteLink("none")], "delete link none: no such device (ENODEV)"],
  ["a bridge that is missing", [cable], "add veth port: invalid argument (EINVAL)"],
  [
    "a name that is too long",
    [addBridge({ ...bridge, name: "a".repeat(16) })],
    `add bridge ${"a".repeat(16)}: ERANGE (ERANGE)`,
  ],
  [
    "a gateway out of reach",
    [addBridge(bridge), addDefaultRoute({ link: 1000, gateway: 1 })],
    "add default route: ENETUNREACH (ENETUNREACH)",
  ],
])("the kernel refuses %s, by name", (_, requests, message) => {
  expect(send(requests)).toBe(message);
});
