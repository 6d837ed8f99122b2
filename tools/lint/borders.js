/**
 * Lint rule `pillion/borders`: which room of the house may import which (docs/architecture.md).
 * A table instead of one `no-restricted-imports` block per folder: one place to read, one message that says where code belongs.
 */
import { dirname, join, relative } from "node:path";

const TRAFFIC = ["src/cluster/net", "src/cluster/store", "src/k8s", "src/lib", "src/kernel"];

/** Room -> rooms it may import. The longest matching prefix of a path decides its room. */
export const ROOMS = {
  "src/kernel": [],
  "src/lib": ["src/kernel"],
  "src/config": ["src/lib", "src/kernel"],
  "src/k8s": ["src/lib", "src/kernel"],
  "src/runtime": ["src/runtime/view.ts", "src/config", "src/lib", "src/kernel"],
  "src/runtime/view.ts": ["src/kernel"],
  "src/sidecars": ["src/lib", "src/kernel"],
  "src/inject": ["src/k8s", "src/config", "src/lib", "src/kernel"],
  "src/cluster/store": ["src/k8s", "src/lib", "src/kernel"],
  "src/cluster/images": ["src/config", "src/k8s", "src/lib", "src/kernel"],
  "src/cluster/net": ["src/k8s", "src/lib", "src/kernel"],
  // Between the store and the proxy, as a controller is, and of the network by what it knows.
  "src/cluster/net/service-traffic.ts": TRAFFIC,
  "src/cluster/net/load-balancers.ts": TRAFFIC,
  "src/cluster/sandbox": ["src/cluster/images", "src/cluster/net", "src/k8s", "src/lib", "src/kernel"],
  "src/cluster/controllers": ["src/cluster/store", "src/k8s", "src/lib", "src/kernel"],
  "src/cluster/kubelet": [
    "src/cluster/kubelet/port.ts",
    "src/cluster/store",
    "src/cluster/sandbox",
    "src/cluster/images",
    "src/cluster/net",
    "src/k8s",
    "src/lib",
    "src/kernel",
  ],
  "src/cluster/kubelet/port.ts": ["src/cluster/sandbox", "src/k8s", "src/lib", "src/kernel"],
  "src/cluster/api": ["src/cluster/store", "src/cluster/kubelet/port.ts", "src/k8s", "src/lib", "src/kernel"],
  "src/cli": [
    "src/cluster/api",
    "src/cluster/images",
    "src/runtime/view.ts",
    "src/config",
    "src/k8s",
    "src/lib",
    "src/kernel",
  ],
  "src/bin": ["src"],
  "src/testing": ["src"],
};

const HINTS = {
  "src/kernel": "kernel knows nobody: put what rooms share into kernel, never the other way",
  "src/cluster/api": "the API never spawns: ask the kubelet through cluster/kubelet/port.ts",
  "src/sidecars": "sidecars do not know each other: share through lib or kernel",
};

/** @returns {string | undefined} the room a repository path belongs to */
export function roomOf(path) {
  return Object.keys(ROOMS)
    .filter((room) => path === room || path.startsWith(`${room}/`))
    .toSorted((a, b) => b.length - a.length)[0];
}

/** @returns {string | undefined} why `from` may not import `to` (repository paths), or undefined when it may */
export function crossing(from, to) {
  if (from.startsWith("src/") && /^(test|tools|bench|examples)\//.test(to)) return `src may not import ${to}`;
  const room = roomOf(from);
  const target = roomOf(to);
  if (room === undefined || target === undefined) return undefined;
  const isTest = /\.test(-support)?\.ts$|\/test-support\//.test(from);
  if (target === "src/testing")
    return isTest || room === target ? undefined : "src/testing is for tests only";
  if (isTest) return undefined;
  if (room === "src/sidecars") {
    const kind = (path) => path.split("/")[2];
    if (target === room) return kind(from) === kind(to) ? undefined : HINTS[room];
  }
  if (target === room) return undefined;
  const allowed = ROOMS[room].some((open) => to === open || to.startsWith(`${open}/`));
  if (allowed) return undefined;
  return `${room} may not import ${target}${HINTS[room] ? `: ${HINTS[room]}` : ""}`;
}

const borders = {
  create(context) {
    const root = context.cwd ?? process.cwd();
    const from = relative(root, context.filename);
    function check(node) {
      const source = node.source?.value;
      if (typeof source !== "string" || !source.startsWith(".")) return;
      const message = crossing(from, relative(root, join(dirname(context.filename), source)));
      if (message !== undefined) context.report({ node: node.source, message });
    }
    return {
      ImportDeclaration: check,
      ExportNamedDeclaration: check,
      ExportAllDeclaration: check,
      ImportExpression: check,
    };
  },
};

export default { meta: { name: "pillion" }, rules: { borders } };
