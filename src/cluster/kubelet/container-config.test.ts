import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Container, PodSpec } from "../../../generated/kubernetes.ts";
import type { StoredPod } from "../../k8s/pod.ts";
import { ContainerStartError } from "../sandbox/sandbox.ts";
import { containerSpec, type ContainerConfigFacts } from "./container-config.ts";
import { writeVolumeAtomically } from "./volumes/atomic-writer.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "config-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

interface Extra {
  readonly spec?: Partial<PodSpec>;
  readonly config?: Partial<ContainerConfigFacts["image"]["config"]>;
  readonly facts?: Partial<ContainerConfigFacts>;
}

function build(container: Partial<Container>, { spec = {}, config = {}, facts = {} }: Extra = {}) {
  const full: Container = { name: "app", image: "img", ...container };
  const pod: StoredPod = {
    metadata: { name: "p", namespace: "ns", uid: "uid-1", labels: { tier: "front" } },
    spec: { containers: [full], nodeName: "node-1", ...spec },
  };
  return containerSpec({
    pod,
    container: full,
    image: {
      name: "img",
      id: "img@sha256:0",
      rootfs: { kind: "image", path: "/image" },
      config: {
        entrypoint: ["/entry", "-x"],
        cmd: ["default"],
        env: ["PATH=/bin", "LANG=C"],
        user: "",
        workingDir: "/srv",
        stopSignal: "SIGTERM",
        volumes: [],
        ...config,
      },
      size: 0,
    },
    id: "0".repeat(64),
    hostname: "p",
    addresses: { hostIPs: ["10.0.0.1"], podIPs: ["10.0.0.2"] },
    objects: {
      configMap: (name) => (name === "cm" ? { data: { key: "from-cm", other: "o" } } : undefined),
      secret: (name) =>
        name === "s" ? { data: { pw: Buffer.from("hunter2").toString("base64") } } : undefined,
      claim: () => undefined,
      persistentVolume: () => undefined,
      services: () => [],
    },
    allocatable: { cpu: "4", memory: "8Gi" },
    allowPrivileged: false,
    volumes: new Map(),
    podFiles: new Map([["/etc/hosts", "/state/etc-hosts"]]),
    terminationLog: "/state/termination",
    logPath: "/state/0.log",
    ...facts,
  });
}

const env = (variables: Container["env"], more: Partial<Container> = {}) =>
  build({ env: variables ?? [], ...more }).env.slice(3);

describe("argv", () => {
  test.each<[string, Partial<Container>, string[]]>([
    ["nothing: the image's", {}, ["/entry", "-x", "default"]],
    ["args replace the image's arguments", { args: ["a"] }, ["/entry", "-x", "a"]],
    ["command drops the image's arguments", { command: ["/c"] }, ["/c"]],
    ["both", { command: ["/c"], args: ["a", "b"] }, ["/c", "a", "b"]],
    [
      "references",
      { command: ["$(X)", "$$(X)", "$(NO)"], env: [{ name: "X", value: "v" }] },
      ["v", "$(X)", "$(NO)"],
    ],
  ])("%s [E1, E2]", (_what, container, expected) => {
    expect(build(container).argv).toEqual(expected);
  });

  test("of an image without any is refused", () => {
    expect(() => build({}, { config: { entrypoint: [], cmd: [] } })).toThrow("no command specified");
  });
});

describe("env", () => {
  test("the image's lie underneath, then HOSTNAME, then the pod's [E3, E14]", () => {
    expect(build({ env: [{ name: "LANG", value: "de" }] }).env).toEqual([
      "PATH=/bin",
      "LANG=de",
      "HOSTNAME=p",
    ]);
    expect(build({}, { config: { env: [] } }).env[0]).toStartWith("PATH=/usr/local/sbin:");
  });

  test("all kinds of sources; only plain values see what is before them [E4, E7, E8]", () => {
    const from = (name: string, valueFrom: object) => ({ name, valueFrom });
    expect(
      env([
        { name: "PLAIN", value: "1" },
        { name: "REF", value: "$(PLAIN)-$(LATER)-$$(PLAIN)" },
        { name: "LATER", value: "x" },
        from("CM", { configMapKeyRef: { name: "cm", key: "key" } }),
        from("SECRET", { secretKeyRef: { name: "s", key: "pw" } }),
        from("NONE", { secretKeyRef: { name: "absent", key: "x", optional: true } }),
        from("NAME", { fieldRef: { fieldPath: "metadata.name" } }),
        from("IP", { fieldRef: { fieldPath: "status.podIP" } }),
        from("CPU", { resourceFieldRef: { resource: "limits.cpu" } }),
      ]),
    ).toEqual([
      "PLAIN=1",
      "REF=1-$(LATER)-$(PLAIN)",
      "LATER=x",
      "CM=from-cm",
      "SECRET=hunter2",
      "NAME=p",
      "IP=10.0.0.2",
      "CPU=4",
    ]);
  });

  test("envFrom in order, with prefix; env wins [E3, E5]", () => {
    const envFrom = [
      { configMapRef: { name: "cm" }, prefix: "P_" },
      { secretRef: { name: "s" } },
      { configMapRef: { name: "none", optional: true } },
    ];
    expect(env([{ name: "P_other", value: "mine $(P_key)" }], { envFrom })).toEqual([
      "P_key=from-cm",
      "P_other=mine from-cm",
      "pw=hunter2",
    ]);
  });

  test.each<[string, Partial<Container>]>([
    ['configmap "x" not found', { envFrom: [{ configMapRef: { name: "x" } }] }],
    ['secret "x" not found', { envFrom: [{ secretRef: { name: "x" } }] }],
    [
      'configmap "x" not found',
      { env: [{ name: "A", valueFrom: { configMapKeyRef: { name: "x", key: "k" } } }] },
    ],
    [
      "couldn't find key k in ConfigMap ns/cm",
      { env: [{ name: "A", valueFrom: { configMapKeyRef: { name: "cm", key: "k" } } }] },
    ],
    [
      "couldn't find key k in Secret ns/s",
      { env: [{ name: "A", valueFrom: { secretKeyRef: { name: "s", key: "k" } } }] },
    ],
    [
      "unsupported fieldPath: spec.foo",
      { env: [{ name: "A", valueFrom: { fieldRef: { fieldPath: "spec.foo" } } }] },
    ],
    [
      'Cannot set a variable of container "app" from valueFrom.fileKeyRef: this cluster does not read variables from files',
      { env: [{ name: "A", valueFrom: { fileKeyRef: { volumeName: "v", path: "p", key: "k" } } }] },
    ],
  ])("%s [E6]", (message, container) => {
    expect(() => build(container)).toThrow(message);
  });

  test("Services come last, and values see them where the pod has nothing of that name [E3, E4, E11]", () => {
    const kubernetes = {
      metadata: { namespace: "default", name: "kubernetes" },
      spec: { clusterIP: "10.96.0.1", ports: [{ name: "https", port: 443 }] },
    };
    const objects = {
      configMap: () => undefined,
      secret: () => undefined,
      claim: () => undefined,
      persistentVolume: () => undefined,
      services: () => [kubernetes],
    };
    const variables = [
      { name: "KUBERNETES_SERVICE_PORT", value: "6443" },
      { name: "URL", value: "https://$(KUBERNETES_SERVICE_HOST):$(KUBERNETES_SERVICE_PORT)" },
    ];
    const built = build(
      { env: variables, command: ["$(KUBERNETES_SERVICE_HOST)"] },
      { facts: { objects }, spec: { enableServiceLinks: false } },
    );
    expect(built.argv).toEqual(["10.96.0.1"]);
    expect(built.env.slice(3, 6)).toEqual([
      "KUBERNETES_SERVICE_PORT=6443",
      "URL=https://10.96.0.1:6443",
      "KUBERNETES_SERVICE_HOST=10.96.0.1",
    ]);
    expect(built.env.filter((one) => one.startsWith("KUBERNETES_SERVICE_PORT="))).toHaveLength(1);
  });

  test("keys need not be identifiers; values from elsewhere are not expanded [E4, E5]", () => {
    const objects = {
      configMap: () => ({ data: { "a.b-c": "$(X)", "1st": "y" } }),
      secret: () => undefined,
      claim: () => undefined,
      persistentVolume: () => undefined,
      services: () => [],
    };
    const container = {
      env: [
        { name: "X", value: "x" },
        { name: "FROM", valueFrom: { configMapKeyRef: { name: "c", key: "a.b-c" } } },
      ],
      envFrom: [{ prefix: "p-", configMapRef: { name: "c" } }],
    };
    expect(build(container, { facts: { objects } }).env.slice(3)).toEqual([
      "p-a.b-c=$(X)",
      "p-1st=y",
      "X=x",
      "FROM=$(X)",
    ]);
  });
});

describe("streams", () => {
  test.each([
    [{}, { stdin: false, stdinOnce: false, tty: false }],
    [
      { stdin: true, stdinOnce: true, tty: true },
      { stdin: true, stdinOnce: true, tty: true },
    ],
  ])("%j", (container, streams) => {
    expect(build(container)).toMatchObject(streams);
  });

  test("the input of an ephemeral container ends with its first client, so that `kubectl debug -i` gets all its output", () => {
    const own = { name: "visitor", image: "img", stdin: true };
    const spec = { ephemeralContainers: [own] };
    expect(build(own, { spec })).toMatchObject({ stdin: true, stdinOnce: true });
    expect(build({ stdin: true }, { spec })).toMatchObject({ stdin: true, stdinOnce: false });
  });
});

describe("securityContext", () => {
  const identity = (own: Container["securityContext"], ofPod: PodSpec["securityContext"], user = "") => {
    const built = build(
      { securityContext: own ?? {} },
      { spec: { securityContext: ofPod ?? {} }, config: { user } },
    );
    return built.user;
  };

  test("the image's user and group, unless the pod says otherwise; the container outranks the pod [X1, X2, X3]", () => {
    expect(identity({}, {}, "")).toEqual({ user: "0", supplementalGroups: [] });
    expect(identity({}, {}, "nginx:www")).toEqual({
      user: "nginx",
      group: "www",
      supplementalGroups: [],
      ofImage: ["user", "group"],
    });
    expect(identity({}, { runAsUser: 5, runAsGroup: 6 }, "nginx")).toEqual({
      user: "5",
      group: "6",
      supplementalGroups: [],
    });
    expect(
      identity({ runAsUser: 7 }, { runAsUser: 5, fsGroup: 9, supplementalGroups: [8, 9] }, "0:0"),
    ).toEqual({
      user: "7",
      supplementalGroups: [8, 9],
    });
  });

  test.each([
    [{ runAsUser: 0 }, "", "container's runAsUser breaks non-root policy"],
    [{}, "", "container has runAsNonRoot and image will run as root"],
    [{}, "0:5", "container has runAsNonRoot and image will run as root"],
    [
      {},
      "www",
      "container has runAsNonRoot and image has non-numeric user (www), cannot verify user is non-root",
    ],
  ])("runAsNonRoot with %j and image user %j [S16, X4]", (own, user, message) => {
    expect(() => identity(own, { runAsNonRoot: true }, user)).toThrow(
      `${message} (pod: "p_ns(uid-1)", container: app)`,
    );
    expect(identity({ runAsUser: 9 }, { runAsNonRoot: true }, "www").user).toBe("9");
    expect(identity({}, { runAsNonRoot: true }, "101").user).toBe("101");
  });

  test("privileged needs the cluster's permission [X7]", () => {
    const container = { securityContext: { privileged: true, allowPrivilegeEscalation: true } };
    expect(() => build(container)).toThrow("`pillion up --allow-privileged`");
    expect(build(container, { facts: { allowPrivileged: true } }).privileged).toBe(true);
  });

  test("who could look into the engine's programs needs it, too, and runs without [X7]", () => {
    const tracer = { securityContext: { capabilities: { add: ["SYS_PTRACE"] } } };
    expect(build(tracer).capabilities.add).toEqual([]);
    expect(build(tracer, { facts: { allowPrivileged: true } }).capabilities.add).toEqual(["SYS_PTRACE"]);
  });

  test("runAsNonRoot of the container outranks the pod's, and a group needs no user [X1, X4]", () => {
    expect(identity({ runAsNonRoot: false }, { runAsNonRoot: true }, "").user).toBe("0");
    expect(() => identity({ runAsNonRoot: true }, { runAsNonRoot: false }, "")).toThrow("will run as root");
    expect(identity({ runAsGroup: 6 }, {}, "nginx:www")).toEqual({
      user: "nginx",
      group: "6",
      supplementalGroups: [],
      ofImage: ["user"],
    });
    expect(identity({}, { supplementalGroupsPolicy: "Strict" })).toMatchObject({
      supplementalGroupsPolicy: "Strict",
    });
  });

  const RUNTIME = { type: "RuntimeDefault" };
  const UNCONFINED = { type: "Unconfined" };
  test.each([
    [undefined, undefined, "Unconfined"],
    [undefined, RUNTIME, "RuntimeDefault"],
    [UNCONFINED, RUNTIME, "Unconfined"],
    [RUNTIME, UNCONFINED, "RuntimeDefault"],
  ])("seccomp %j in a pod with %j is %s [X1, X10]", (own, ofPod, expected) => {
    const securityContext = own === undefined ? {} : { seccompProfile: own };
    const spec = { securityContext: ofPod === undefined ? {} : { seccompProfile: ofPod } };
    expect(build({ securityContext }, { spec }).seccomp).toBe(expected as never);
  });

  test.each<[string, Container["securityContext"]]>([
    [
      'failed to create container "app": seccomp profiles of type Localhost are not supported (localhostProfile "a/b.json"). Use the type RuntimeDefault, or Unconfined [X10]',
      { seccompProfile: { type: "Localhost", localhostProfile: "a/b.json" } },
    ],
    [
      'failed to create container "app": procMount Unmasked is not supported: it is safe only in a user namespace of the pod\'s own, and hostUsers: false is not supported either. Remove securityContext.procMount [X9]',
      { procMount: "Unmasked" },
    ],
  ])("%s", (message, securityContext) => {
    const refused = new ContainerStartError("CreateContainerError", message.replace(/ \[X\d+\]$/, ""));
    expect(() => build({ securityContext: securityContext ?? {} })).toThrow(refused);
  });

  test("the rest goes to the sandbox as it is [X5, X6, X8]", () => {
    const built = build({
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { add: ["NET_ADMIN"], drop: ["ALL"] },
      },
    });
    expect([built.noNewPrivileges, built.readOnlyRootFilesystem, built.capabilities]).toEqual([
      true,
      true,
      { add: ["NET_ADMIN"], drop: ["ALL"] },
    ]);
  });
});

describe("mounts", () => {
  const data = (part = {}) => ({ root: folder, path: "", readOnly: false, isOurs: false, ...part });
  const mounts = (volumeMount: object, volume = data(), more: Partial<Container> = {}) =>
    build(
      { volumeMounts: [{ name: "v", mountPath: "/data", ...volumeMount }], ...more },
      { facts: { volumes: new Map([["v", volume]]) } },
    ).mounts;

  test("the volumes, then the pod's files and the termination log", () => {
    expect(mounts({ readOnly: true })).toEqual([
      { kind: "bind", source: folder, target: "/data", readOnly: true },
      { kind: "bind", source: "/state/etc-hosts", target: "/etc/hosts", readOnly: false },
      { kind: "bind", source: "/state/termination", target: "/dev/termination-log", readOnly: false },
    ]);
  });

  test("a container's own /etc/hosts wins; configMaps are read-only always [N5, V7]", () => {
    const found = mounts({ mountPath: "/etc/hosts" }, data({ readOnly: true }), {
      terminationMessagePath: "",
    });
    expect(found).toEqual([{ kind: "bind", source: folder, target: "/etc/hosts", readOnly: true }]);
  });

  test("a missing subPath becomes a folder with the volume's mode [V18]", () => {
    chmodSync(folder, 0o777);
    expect(mounts({ subPath: "logs/app" })[0]).toMatchObject({ source: folder, subPath: "logs/app" });
    expect(statSync(join(folder, "logs/app")).mode & 0o7777).toBe(0o777);
  });

  test("subPathExpr expands; what is missing or empty is an error [V18]", () => {
    const more = {
      env: [
        { name: "X", value: "x1" },
        { name: "EMPTY", value: "" },
      ],
    };
    expect(mounts({ subPathExpr: "$(X)/y" }, data(), more)[0]).toMatchObject({ subPath: "x1/y" });
    expect(mounts({ subPathExpr: "$$(X)" }, data(), more)[0]).toMatchObject({ subPath: "$(X)" });
    expect(() => mounts({ subPathExpr: "$(NO)/$(EMPTY)/$(NO)" }, data(), more)).toThrow(
      /^missing value for EMPTY, NO$/,
    );
  });

  test.each([
    ["/abs", "error SubPath `/abs` must not be an absolute path"],
    ["a/../../b", "unable to provision SubPath `a/../../b`: must not contain '..'"],
    ["..", "unable to provision SubPath `..`: must not contain '..'"],
  ])("refuses the subPath %j [V18, V19]", (subPath, message) => {
    expect(() => mounts({ subPath })).toThrow(message);
    const env = [{ name: "X", value: subPath }];
    expect(() => mounts({ subPathExpr: "$(X)" }, data(), { env })).toThrow(message);
  });

  test.each([
    ["an absolute link", "OUTSIDE"],
    ["a link that climbs", "../outside"],
    ["a link to the root", "/"],
    ["a loop", "link"],
  ])("a subPath through %s is refused, and nothing is made behind it [V18, V19]", (_what, target) => {
    const volume = join(folder, "volume");
    mkdirSync(volume);
    mkdirSync(join(folder, "outside"));
    symlinkSync(target.replace("OUTSIDE", join(folder, "outside")), join(volume, "link"));
    for (const subPath of ["link", "link/made"])
      expect(() => mounts({ subPath }, data({ root: volume }))).toThrow(
        /^failed to prepare subPath for volumeMount "v" of container "app"$/,
      );
    expect(readdirSync(join(folder, "outside"))).toEqual([]);
  });

  test("a link that stays in the volume is followed [V18]", () => {
    mkdirSync(join(folder, "real/deep"), { recursive: true });
    symlinkSync("real/deep/..", join(folder, "link"));
    expect(mounts({ subPath: "link/deep" })[0]).toMatchObject({ subPath: "real/deep" });
  });

  test("a subPath of a hostPath must not leave that path, though the node goes on beside it [V18, V19]", () => {
    mkdirSync(join(folder, "data"));
    mkdirSync(join(folder, "etc"));
    symlinkSync("../etc", join(folder, "data/link"));
    symlinkSync("/data", join(folder, "data/self"));
    const volume = data({ path: "data", isShared: false });
    expect(() => mounts({ subPath: "link" }, volume)).toThrow("failed to prepare subPath");
    expect(mounts({ subPath: "self/new" }, volume)[0]).toMatchObject({ source: folder, subPath: "data/new" });
  });

  test("where a folder cannot be made, the subPath is refused [V19]", () => {
    expect(() => mounts({ subPath: "new" }, data({ root: "/proc" }))).toThrow(
      /^failed to create subPath directory for volumeMount "v" of container "app"$/,
    );
  });

  test("a subPath of a ConfigMap is the file as it is now; a key it has not is an empty folder [V12]", () => {
    const payload = new Map([
      ["app.conf", { data: Buffer.from("x"), mode: 0o644 }],
      ["dir/key", { data: Buffer.from("y"), mode: 0o644 }],
    ]);
    writeVolumeAtomically(folder, payload, { now: 0 });
    const ours = data({ readOnly: true, isOurs: true });
    expect(mounts({ subPath: "app.conf" }, ours)[0]?.subPath).toMatch(
      /^\.\.1970_01_01_00_00_00\.\d+\/app\.conf$/,
    );
    expect(mounts({ subPath: "dir/key" }, ours)[0]?.subPath).toMatch(/^\.\.1970.*\/dir\/key$/);
    expect(mounts({ subPath: "missing" }, ours)[0]?.subPath).toBe("missing");
    expect(readdirSync(join(folder, "missing"))).toEqual([]);
  });

  test("recursiveReadOnly holds for what is mounted inside, where it is read-only at all [V20]", () => {
    const modes = ["Disabled", "IfPossible", "Enabled", undefined].map((recursiveReadOnly) => {
      const [mount] = mounts({
        readOnly: true,
        ...(recursiveReadOnly === undefined ? {} : { recursiveReadOnly }),
      });
      return `${mount?.readOnly} ${mount?.recursiveReadOnly ?? false}`;
    });
    expect(modes).toEqual(["true false", "true true", "true true", "true false"]);
  });

  test("mountPropagation is None; what cannot be had is refused in so many words [V21]", () => {
    const shared = data({ isShared: true });
    expect(mounts({ mountPropagation: "None" }, shared)).toBeArray();
    expect(mounts({ mountPropagation: "HostToContainer" })).toBeArray();
    for (const [mode, volume] of [
      ["HostToContainer", shared],
      ["Bidirectional", data()],
    ] as const)
      expect(() => mounts({ mountPropagation: mode }, volume)).toThrow(
        `Cannot mount volume "v" into container "app" with mountPropagation ${mode}: pods of this cluster see no mounts`,
      );
  });

  test("of a volume that is not there", () => {
    expect(() => build({ volumeMounts: [{ name: "x", mountPath: "/x" }] })).toThrow(
      'cannot find volume "x" to mount into container "app"',
    );
  });
});
