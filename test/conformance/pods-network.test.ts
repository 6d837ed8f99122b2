/** Names and Services as programs in pods see them: the C library's resolver, curl, and pods that come, are not ready, and go. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { PillionHome } from "../../src/testing/pillion.ts";
import { type KubectlSession, openKubectl } from "./kubectl-session.ts";

const TEST_MS = 60_000;
/** More than fit into a datagram of 512 bytes, which is all that the C library asks for. */
const CROWD = 60;

/** Says who it is. `/hold` is answered after SIGUSR1. It takes connections to its end, which is when it owes no answer. */
const SERVER = `
  const { promise: released, resolve } = Promise.withResolvers();
  let held = 0;
  const server = Bun.serve({ port: 8080, async fetch({ url }) {
    if (new URL(url).pathname === "/hold") { held += 1; console.log("held"); await released; }
    return new Response(process.env.NAME + "\\n");
  } });
  process.on("SIGUSR1", resolve);
  process.on("SIGTERM", async () => { if (held > 0) await released; await server.stop(); process.exit(0); });
`;

let home: PillionHome;
let kubectl: KubectlSession;

function object(kind: string, name: string, rest: object, labels = {}): object {
  return { apiVersion: "v1", kind, metadata: { name, labels }, ...rest };
}

/** Ready as long as it has a file /tmp/ready. */
function server(isReady: boolean): object {
  return {
    terminationGracePeriodSeconds: 20,
    containers: [
      {
        name: "main",
        image: "box",
        command: ["sh", "-c", `${isReady ? "touch /tmp/ready;" : ""} exec bun -e '${SERVER}'`],
        env: [{ name: "NAME", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }],
        ports: [{ name: "web", containerPort: 8080 }],
        readinessProbe: {
          exec: { command: ["test", "-f", "/tmp/ready"] },
          periodSeconds: 1,
          failureThreshold: 1,
        },
      },
    ],
  };
}

const port = { name: "http", port: 80, targetPort: "web" };
const sleeper = {
  terminationGracePeriodSeconds: 1,
  containers: [
    { name: "main", image: "box", command: ["sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"] },
  ],
};

const OBJECTS = [
  object("Pod", "client", { spec: sleeper }),
  object("Pod", "a", { spec: server(true) }, { app: "shop" }),
  object("Pod", "b", { spec: server(true) }, { app: "shop" }),
  object("Pod", "unready", { spec: server(false) }, { app: "shop" }),
  object("Service", "shop", { spec: { selector: { app: "shop" }, ports: [port] } }),
  object("Service", "alias", { spec: { type: "ExternalName", externalName: "shop.town.svc.cluster.local" } }),
  object("Service", "db", { spec: { clusterIP: "None", selector: { app: "db" }, ports: [port] } }),
  {
    apiVersion: "apps/v1",
    kind: "StatefulSet",
    metadata: { name: "db" },
    spec: {
      serviceName: "db",
      replicas: 2,
      podManagementPolicy: "Parallel",
      selector: { matchLabels: { app: "db" } },
      template: { metadata: { labels: { app: "db" } }, spec: sleeper },
    },
  },
  object("Service", "crowd", { spec: { clusterIP: "None", ports: [{ port: 80 }] } }),
  {
    apiVersion: "discovery.k8s.io/v1",
    kind: "EndpointSlice",
    metadata: { name: "crowd-1", labels: { "kubernetes.io/service-name": "crowd" } },
    addressType: "IPv4",
    endpoints: Array.from({ length: CROWD }, (_, index) => ({ addresses: [`10.244.99.${index + 1}`] })),
    ports: [{ port: 80, protocol: "TCP" }],
  },
];

beforeAll(async () => {
  home = new PillionHome();
  const images = { box: { host: { copy: { [process.execPath]: "/usr/local/bin/bun" } } } };
  writeFileSync(join(home.path, "images.yaml"), JSON.stringify({ images }));
  await home.mustRun(["up", "-d", "--images", join(home.path, "images.yaml")]);
  const first = await openKubectl(home, { version: "35", namespace: "default" });
  await first.must(["create", "namespace", "town"]);
  await first.must(["run", "far", "--image=box", "--command", "--", "sleep", "1000"]);
  kubectl = await openKubectl(home, { version: "35", namespace: "town" });
  await kubectl.must(
    ["create", "-f", "-"],
    JSON.stringify({ apiVersion: "v1", kind: "List", items: OBJECTS }),
  );
  await kubectl.must(["rollout", "status", "statefulset/db", "--timeout=60s"]);
  await kubectl.must(["wait", "--for=condition=Ready", "pod/client", "pod/a", "pod/b", "--timeout=60s"]);
  await first.must(["wait", "--for=condition=Ready", "pod/far", "--timeout=60s"]);
}, TEST_MS);

afterAll(async () => {
  await home[Symbol.asyncDispose]();
}, TEST_MS);

/** Standard output of a script in a pod. */
async function inside(script: string, at: readonly string[] = ["client"]): Promise<string> {
  const { stdout } = await kubectl.run(["exec", ...at, "--", "sh", "-c", script]);
  return stdout.trim();
}

/** What the C library makes of each name: its addresses, sorted, or `-`. */
async function addresses(names: readonly string[], at?: readonly string[]): Promise<string[]> {
  const ask = (name: string) => `getent ahostsv4 ${name} | grep STREAM | cut -d' ' -f1 | sort | paste -sd,`;
  return (
    await inside(names.map((name) => `found=$(${ask(name)}); echo "\${found:--}"`).join("; "), at)
  ).split("\n");
}

/** What a resolver of node:dns says, or the code of its error. */
async function records(method: string, name: string): Promise<unknown> {
  const ask = `require("node:dns").promises.${method}(${JSON.stringify(name)}).catch((error) => error.code)`;
  return JSON.parse(await inside(`bun -e 'console.log(JSON.stringify(await ${ask}))'`)) as unknown;
}

async function field(resource: string, path: string): Promise<string> {
  return await kubectl.must(["get", ...resource.split("/"), "-o", `jsonpath={${path}}`]);
}

const ipOf = (pod: string) => field(`pod/${pod}`, ".status.podIP");

describe("names", () => {
  test("of a Service, however much of it is said [SV8]", async () => {
    const ip = await field("service/shop", ".spec.clusterIP");
    const names = [
      "shop",
      "shop.town",
      "shop.town.svc",
      "shop.town.svc.cluster.local",
      "SHOP.town.svc.cluster.local.",
    ];
    expect(await addresses(names)).toEqual(names.map(() => ip));
    const far = ["far", "-n", "default"];
    expect(await addresses(["shop", "shop.town", "kubernetes"], far)).toEqual(["-", ip, "10.96.0.1"]);
  });

  test("of a headless Service, of the pods behind it, and back from an address [SV6]", async () => {
    const [first, second] = [await ipOf("db-0"), await ipOf("db-1")];
    const both = [first, second].toSorted().join(",");
    const names = ["db", "db-0.db", "db-1.db.town.svc.cluster.local", "db-2.db"];
    expect(await addresses(names)).toEqual([both, first, second, "-"]);
    expect(await records("reverse", first)).toEqual(["db-0.db.town.svc.cluster.local"]);
    const dashed = first.replaceAll(".", "-");
    expect(await addresses([`${dashed}.town.pod.cluster.local`])).toEqual([first]);
    expect(await inside("hostname -f", ["db-0"])).toBe("db-0.db.town.svc.cluster.local");
  });

  test("with ports, and other names for a name [SV7, SV8]", async () => {
    expect(await records("resolveSrv", "_http._tcp.shop.town.svc.cluster.local")).toEqual([
      { name: "shop.town.svc.cluster.local", port: 80, priority: 0, weight: 100 },
    ]);
    expect(await records("resolveCname", "alias.town.svc.cluster.local")).toEqual([
      "shop.town.svc.cluster.local",
    ]);
    expect(await addresses(["alias"])).toEqual([await field("service/shop", ".spec.clusterIP")]);
  });

  test("that nobody has do not exist, for every type", async () => {
    const name = "nobody.town.svc.cluster.local";
    expect([await records("resolve4", name), await records("resolve6", name)]).toEqual([
      "ENOTFOUND",
      "ENOTFOUND",
    ]);
    expect(await inside("getent hosts nobody.town || echo none")).toBe("none");
  });

  test("with more addresses than a datagram holds have all of them", async () => {
    const [all = ""] = await addresses(["crowd"]);
    expect(all.split(",")).toHaveLength(CROWD);
  });

  test("are looked for as the pod's resolv.conf says", async () => {
    expect(await inside("cat /etc/resolv.conf")).toBe(
      [
        "search town.svc.cluster.local svc.cluster.local cluster.local",
        "nameserver 10.96.0.10",
        "options ndots:5",
      ].join("\n"),
    );
  });
});

/** Who has answered so many requests of their own connections, by the name of the Service. */
async function answers(times: number): Promise<string[]> {
  const script = `for i in $(seq ${times}); do curl -sS -m 5 http://shop/ 2>&1; done | sort -u`;
  return (await inside(script)).split("\n");
}

const isReady = (name: string, ready: boolean) =>
  kubectl.must(["wait", `--for=condition=Ready=${ready ? "True" : "False"}`, `pod/${name}`, "--timeout=60s"]);

describe("a Service", () => {
  test(
    "leads to ready pods, and to no other from the moment it is known [SV3]",
    async () => {
      expect(await answers(40)).toEqual(["a", "b"]);
      await inside("touch /tmp/ready", ["unready"]);
      await isReady("unready", true);
      expect(await answers(60)).toEqual(["a", "b", "unready"]);
      await inside("rm /tmp/ready", ["unready"]);
      await isReady("unready", false);
      expect(await answers(40)).toEqual(["a", "b"]);
    },
    TEST_MS,
  );

  test(
    "lets a pod that ends answer what it has begun, and gives it nothing new [SV3]",
    async () => {
      const held = kubectl.start(["exec", "client", "--", "curl", "-sS", "-m", "25", "http://shop/hold"]);
      const logs = ["a", "b"].map((name) => kubectl.start(["logs", "-f", name]));
      const ending = await Promise.race(
        ["a", "b"].map(async (name, index) => {
          await logs[index]?.line(/^held$/);
          return name;
        }),
      );
      const staying = ending === "a" ? "b" : "a";
      await kubectl.must(["delete", "pod", ending, "--wait=false"]);
      expect(await field(`pod/${ending}`, ".metadata.deletionTimestamp")).not.toBe("");
      expect(await answers(40)).toEqual([staying]);
      await inside("kill -USR1 1", [ending]);
      expect(await held.exited).toMatchObject({ code: 0, stdout: `${ending}\n` });
      await kubectl.must(["wait", "--for=delete", `pod/${ending}`, "--timeout=60s"]);
      for (const log of logs) log.kill("SIGTERM");
      await Promise.all(logs.map((log) => log.exited));
    },
    TEST_MS,
  );

  test("refuses at once where nobody is behind it", async () => {
    await kubectl.must(["create", "service", "clusterip", "empty", "--tcp=80"]);
    expect(await inside("curl -sS -m 5 http://empty/ 2>&1")).toMatch(/refused|Failed to connect/);
  });
});
