import { describe, expect, test } from "bun:test";
import { applyDefaults } from "../defaults.ts";
import type { KubeObject } from "../object.ts";
import { StatusError } from "../status-error.ts";
import { refuseInvalidChange, refuseInvalidEphemeralContainers, refuseInvalidNew } from "../validation.ts";

type Spec = Record<string, unknown>;

const LABEL =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

function pod(spec: Spec, metadata: Record<string, unknown> = {}): KubeObject {
  const object = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "web", namespace: "shop", ...metadata },
    spec: { containers: [{ name: "c", image: "nginx" }], ...spec },
  };
  return applyDefaults(object);
}

/** A pod with one container of these fields. */
function withContainer(fields: Spec, rest: Spec = {}): KubeObject {
  return pod({ containers: [{ name: "c", image: "nginx", ...fields }], ...rest });
}

/** `field: message` of every cause; empty for an accepted object. */
function faults(run: () => void): string[] {
  try {
    run();
    return [];
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    expect(error.reason).toBe("Invalid");
    return (error.details?.causes ?? []).map(({ field, message }) => `${field}: ${message}`);
  }
}

const creating = (object: KubeObject) => faults(() => refuseInvalidNew(object, { namespaced: true }));
const changing = (object: KubeObject, before: KubeObject) =>
  faults(() => refuseInvalidChange(object, before));

test("refuseInvalidNew() prints one mistake and several as Kubernetes does", () => {
  const refused = (object: KubeObject) => () => refuseInvalidNew(object, { namespaced: true });
  expect(refused(withContainer({ image: "" }))).toThrow(
    new Error('Pod "web" is invalid: spec.containers[0].image: Required value'),
  );
  expect(refused(pod({ containers: [{}] }))).toThrow(
    new Error(
      'Pod "web" is invalid: [spec.containers[0].name: Required value, spec.containers[0].image: Required value]',
    ),
  );
});

describe("a Pod is accepted", () => {
  test.each<[string, KubeObject]>([
    ["that is the smallest", pod({})],
    [
      "with a sidecar that has hooks and probes [O6]",
      pod({
        initContainers: [
          {
            name: "s",
            image: "x",
            restartPolicy: "Always",
            startupProbe: { exec: { command: ["true"] } },
            livenessProbe: { tcpSocket: { port: 80 } },
            readinessProbe: { httpGet: { port: "web" } },
            lifecycle: { preStop: { sleep: { seconds: 5 } } },
          },
        ],
      }),
    ],
    [
      "with volumes of every kind that Pillion mounts",
      withContainer(
        {
          volumeMounts: ["a", "b", "c", "d", "e", "f"].map((name) => ({
            name,
            mountPath: `/${name}`,
            subPath: "x/y",
          })),
          env: [
            { name: "1 odd name", value: "" },
            { name: "A", valueFrom: { fieldRef: { fieldPath: "metadata.labels['app.io/x']" } } },
            { name: "B", valueFrom: { resourceFieldRef: { resource: "limits.memory", divisor: "1Mi" } } },
            { name: "C", valueFrom: { secretKeyRef: { name: "s", key: ".k" } } },
          ],
          envFrom: [{ prefix: "X_", configMapRef: { name: "m" } }],
        },
        {
          volumes: [
            { name: "a" },
            { name: "b", hostPath: { path: "/x", type: "Directory" } },
            { name: "c", configMap: { name: "m", items: [{ key: "k", path: "a/..b", mode: 0o400 }] } },
            { name: "d", secret: { secretName: "s" } },
            {
              name: "e",
              downwardAPI: { items: [{ path: "l", fieldRef: { fieldPath: "metadata.labels" } }] },
            },
            { name: "f", projected: { sources: [{ configMap: { name: "m" } }, { secret: { name: "s" } }] } },
          ],
        },
      ),
    ],
    [
      "with a container's own restart rules [O7]",
      withContainer({
        restartPolicy: "Never",
        restartPolicyRules: [{ action: "Restart", exitCodes: { operator: "In", values: [42] } }],
      }),
    ],
    [
      "with init containers that have a restart policy of their own [O7]",
      pod({
        initContainers: [
          { name: "i", image: "x", restartPolicy: "Never" },
          { name: "j", image: "x", restartPolicy: "OnFailure" },
        ],
      }),
    ],
    [
      "with extended resources",
      withContainer({ resources: { limits: { "example.com/gpu": "1", cpu: "1", "hugepages-2Mi": "2Mi" } } }),
    ],
    [
      "with a relative mount path, as the real server accepts it",
      withContainer({ volumeMounts: [{ name: "v", mountPath: "a" }] }, { volumes: [{ name: "v" }] }),
    ],
  ])("%s", (_name, object) => {
    expect(creating(object)).toEqual([]);
  });
});

describe("a Pod is refused", () => {
  test.each<[string, KubeObject, string[]]>([
    ["without containers", pod({ containers: [] }), ["spec.containers: Required value"]],
    [
      "with a container name that is none",
      withContainer({ name: "C_1" }),
      [`spec.containers[0].name: Invalid value: "C_1": ${LABEL}`],
    ],
    [
      "with two containers of one name [O5]",
      pod({
        containers: [
          { name: "c", image: "x" },
          { name: "c", image: "y" },
        ],
      }),
      ['spec.containers[1].name: Duplicate value: "c"'],
    ],
    [
      "with an init container named like a main one [O5]",
      pod({ initContainers: [{ name: "c", image: "x" }] }),
      ['spec.initContainers[0].name: Duplicate value: "c"'],
    ],
    [
      "with hooks and probes on a plain init container [O6]",
      pod({
        initContainers: [
          {
            name: "i",
            image: "x",
            lifecycle: { preStop: { sleep: { seconds: 1 } } },
            livenessProbe: { exec: { command: ["x"] } },
            readinessProbe: { exec: { command: ["x"] } },
            startupProbe: { exec: { command: ["x"] } },
          },
        ],
      }),
      ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"].map(
        (field) =>
          `spec.initContainers[0].${field}: Forbidden: may not be set for init containers without restartPolicy=Always`,
      ),
    ],
    [
      "with an unknown restart policy of a container [O7]",
      pod({ initContainers: [{ name: "i", image: "x", restartPolicy: "Sometimes" }] }),
      [
        'spec.initContainers[0].restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "Never", "OnFailure"',
      ],
    ],
    [
      "with restart rules but no policy [O7]",
      withContainer({
        restartPolicyRules: [{ action: "Restart", exitCodes: { operator: "In", values: [1] } }],
      }),
      [
        "spec.containers[0].restartPolicy: Required value: must specify restartPolicy when restart rules are used",
      ],
    ],
    [
      "with a rule that restarts all containers, which is not done here",
      withContainer({
        restartPolicy: "Never",
        restartPolicyRules: [{ action: "RestartAllContainers", exitCodes: { operator: "In", values: [1] } }],
      }),
      [
        "spec.containers[0].restartPolicyRules[0].action: Forbidden: Pillion does not support RestartAllContainers (KEP-5532), only Restart",
      ],
    ],
    [
      "with too many restart rules [O7]",
      withContainer({
        restartPolicy: "Never",
        restartPolicyRules: Array.from({ length: 21 }, () => ({
          action: "Restart",
          exitCodes: { operator: "In", values: [1] },
        })),
      }),
      ["spec.containers[0].restartPolicyRules: Too many: 21: must have at most 20 items"],
    ],
    [
      "with restart rules that name too many exit codes, none, or another operator [O7]",
      withContainer({
        restartPolicy: "Never",
        restartPolicyRules: [
          {
            action: "Restart",
            exitCodes: { operator: "In", values: Array.from({ length: 256 }, (_, i) => i) },
          },
          { action: "Restart", exitCodes: { operator: "NotIn", values: [] } },
          { action: "Restart", exitCodes: { operator: "Like", values: [1] } },
        ],
      }),
      [
        "spec.containers[0].restartPolicyRules[0].exitCodes.values: Too many: 256: must have at most 255 items",
        "spec.containers[0].restartPolicyRules[1].exitCodes.values: Invalid value: []: must specify at least one value",
        'spec.containers[0].restartPolicyRules[2].exitCodes.operator: Unsupported value: "Like": supported values: "In", "NotIn"',
      ],
    ],
    [
      "with an image padded with blanks",
      withContainer({ image: " nginx" }),
      ['spec.containers[0].image: Invalid value: " nginx": must not have leading or trailing whitespace'],
    ],
    [
      "with ports out of range, twice the same name, an unknown protocol",
      withContainer({
        ports: [
          { containerPort: 0, name: "http" },
          { containerPort: 70000, name: "http" },
          { containerPort: 1, hostPort: -1, protocol: "ICMP", name: "HTTP" },
        ],
      }),
      [
        "spec.containers[0].ports[0].containerPort: Required value",
        'spec.containers[0].ports[1].name: Duplicate value: "http"',
        "spec.containers[0].ports[1].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        'spec.containers[0].ports[2].name: Invalid value: "HTTP": must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)',
        'spec.containers[0].ports[2].name: Invalid value: "HTTP": must contain at least one letter (a-z)',
        "spec.containers[0].ports[2].hostPort: Invalid value: -1: must be between 1 and 65535, inclusive",
        'spec.containers[0].ports[2].protocol: Unsupported value: "ICMP": supported values: "SCTP", "TCP", "UDP"',
      ],
    ],
    [
      "with one host port twice",
      pod({
        containers: [
          { name: "a", image: "x", ports: [{ containerPort: 1, hostPort: 80 }] },
          { name: "b", image: "x", ports: [{ containerPort: 2, hostPort: 80 }] },
        ],
      }),
      ['spec.containers[1].ports[0].hostPort: Duplicate value: "TCP//80"'],
    ],
    [
      "with environment variables that cannot be",
      withContainer({
        env: [
          { value: "x" },
          { name: "A=B" },
          { name: "C", valueFrom: {} },
          { name: "D", value: "x", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
          { name: "E", valueFrom: { fieldRef: { fieldPath: "spec.containers" } } },
          { name: "F", valueFrom: { fieldRef: { fieldPath: "metadata.labels" } } },
          { name: "G", valueFrom: { configMapKeyRef: { name: "m" } } },
          { name: "H", valueFrom: { resourceFieldRef: { resource: "limits.disk" } } },
        ],
        envFrom: [{}],
      }),
      [
        "spec.containers[0].env[0].name: Required value",
        "spec.containers[0].env[1].name: Invalid value: \"A=B\": a valid environment variable name must consist only of printable ASCII characters other than '='",
        'spec.containers[0].env[2].valueFrom: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`',
        'spec.containers[0].env[3].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
        'spec.containers[0].env[4].valueFrom.fieldRef.fieldPath: Invalid value: "spec.containers": error converting fieldPath: field label not supported: spec.containers',
        'spec.containers[0].env[5].valueFrom.fieldRef.fieldPath: Unsupported value: "metadata.labels": supported values: "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"',
        "spec.containers[0].env[6].valueFrom.configMapKeyRef.key: Required value",
        'spec.containers[0].env[7].valueFrom.resourceFieldRef.resource: Unsupported value: "limits.disk": supported values: "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory"',
        'spec.containers[0].envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`',
      ],
    ],
    [
      "with mounts of no volume, at one place, and out of the volume",
      withContainer(
        {
          volumeMounts: [
            { name: "no", mountPath: "/a" },
            { name: "v", mountPath: "/a" },
            { name: "v", mountPath: "" },
            { name: "v", mountPath: "/b", subPath: "../x" },
            { name: "v", mountPath: "/c", subPath: "/x" },
            { name: "v", mountPath: "/d", mountPropagation: "Bidirectional" },
          ],
        },
        { volumes: [{ name: "v" }] },
      ),
      [
        'spec.containers[0].volumeMounts[0].name: Not found: "no"',
        'spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/a": must be unique',
        "spec.containers[0].volumeMounts[2].mountPath: Required value",
        "spec.containers[0].volumeMounts.subPath: Invalid value: \"../x\": must not contain '..'",
        'spec.containers[0].volumeMounts.subPath: Invalid value: "/x": must be a relative path',
        "spec.containers[0].volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers",
      ],
    ],
    [
      "with volumes that have two sources, no name, a name twice, or lead outside",
      pod({
        volumes: [
          { name: "a", emptyDir: {}, configMap: { name: "m" } },
          { emptyDir: {} },
          { name: "b", emptyDir: {} },
          { name: "b", emptyDir: {} },
          { name: "c", hostPath: { path: "/a/../b", type: "Pipe" } },
          { name: "d", configMap: { name: "m", items: [{ key: "k", path: "../x" }] } },
          {
            name: "e",
            secret: { secretName: "s", defaultMode: 1000, items: [{ key: "k", path: "..data" }] },
          },
        ],
      }),
      [
        "spec.volumes[0].configMap: Forbidden: may not specify more than 1 volume type",
        "spec.volumes[1].name: Required value",
        'spec.volumes[3].name: Duplicate value: "b"',
        "spec.volumes[4].hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
        'spec.volumes[4].hostPath.type: Unsupported value: "Pipe": supported values: "", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"',
        "spec.volumes[5].configMap.items[0].path: Invalid value: \"../x\": must not contain '..'",
        "spec.volumes[6].secret.defaultMode: Invalid value: 1000: must be a number between 0 and 0777 (octal), both inclusive",
        "spec.volumes[6].secret.items[0].path: Invalid value: \"..data\": must not start with '..'",
      ],
    ],
    [
      "with projected files that clash",
      pod({
        volumes: [
          {
            name: "p",
            projected: {
              sources: [
                { configMap: { name: "m", items: [{ key: "k", path: "x" }] } },
                { secret: { name: "s", items: [{ key: "k", path: "x" }] } },
              ],
            },
          },
        ],
      }),
      ['spec.volumes[0].projected: Invalid value: "s": conflicting duplicate paths'],
    ],
    [
      "with probes that ask nothing, two things, or at odd times [PR2]",
      withContainer({
        livenessProbe: { successThreshold: 2 },
        readinessProbe: {
          exec: { command: ["x"] },
          tcpSocket: { port: 1 },
          terminationGracePeriodSeconds: 5,
          periodSeconds: -1,
        },
        startupProbe: { httpGet: { path: "/", port: 0, scheme: "FTP" }, terminationGracePeriodSeconds: 0 },
      }),
      [
        "spec.containers[0].livenessProbe: Required value: must specify a handler type",
        "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
        "spec.containers[0].readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
        "spec.containers[0].readinessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
        "spec.containers[0].readinessProbe.terminationGracePeriodSeconds: Invalid value: 5: must not be set for readinessProbes",
        "spec.containers[0].startupProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive",
        'spec.containers[0].startupProbe.httpGet.scheme: Unsupported value: "FTP": supported values: "HTTP", "HTTPS"',
        "spec.containers[0].startupProbe.terminationGracePeriodSeconds: Invalid value: 0: must be greater than 0",
      ],
    ],
    [
      "with hooks that do nothing or sleep too long [H5]",
      withContainer({ lifecycle: { postStart: { exec: {} }, preStop: { sleep: { seconds: 31 } } } }),
      [
        "spec.containers[0].lifecycle.postStart.exec.command: Required value",
        "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)",
      ],
    ],
    [
      "with a stop signal but no system [T12]",
      withContainer({ lifecycle: { stopSignal: "SIGQUIT" } }),
      [
        "spec.containers[0].lifecycle.stopSignal: Forbidden: may not be set for containers with empty `spec.os.name`",
      ],
    ],
    [
      "with requests above limits, below zero, of nothing known",
      withContainer({
        resources: {
          limits: { cpu: "1", memory: "-1" },
          requests: { cpu: "2", disk: "1", "example.com/gpu": "1" },
        },
      }),
      [
        'spec.containers[0].resources.limits[memory]: Invalid value: "-1": must be greater than or equal to 0',
        'spec.containers[0].resources.requests[disk]: Invalid value: "disk": must be a standard resource type or fully qualified',
        'spec.containers[0].resources.requests[disk]: Invalid value: "disk": must be a standard resource for containers',
        'spec.containers[0].resources.requests[memory]: Invalid value: "-1": must be greater than or equal to 0',
        'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
        "spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources",
      ],
    ],
    [
      "with policies that do not exist",
      withContainer(
        { imagePullPolicy: "Maybe", terminationMessagePolicy: "Log" },
        { restartPolicy: "Never ever", dnsPolicy: "Mine" },
      ),
      [
        'spec.containers[0].terminationMessagePolicy: Unsupported value: "Log": supported values: "File", "FallbackToLogsOnError"',
        'spec.containers[0].imagePullPolicy: Unsupported value: "Maybe": supported values: "Always", "IfNotPresent", "Never"',
        'spec.restartPolicy: Unsupported value: "Never ever": supported values: "Always", "OnFailure", "Never"',
        'spec.dnsPolicy: Unsupported value: "Mine": supported values: "ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"',
      ],
    ],
    [
      "with security contexts that contradict themselves",
      withContainer(
        {
          securityContext: {
            runAsUser: -1,
            privileged: true,
            allowPrivilegeEscalation: false,
            seccompProfile: { type: "Localhost" },
          },
        },
        { securityContext: { fsGroup: 2 ** 32, sysctls: [{ name: "a b", value: "1" }] } },
      ),
      [
        "spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and 4294967295, inclusive",
        "spec.containers[0].securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost",
        'spec.containers[0].securityContext: Invalid value: {"runAsUser":-1,"privileged":true,"allowPrivilegeEscalation":false,"seccompProfile":{"type":"Localhost"}}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true',
        "spec.securityContext.fsGroup: Invalid value: 4294967296: must be between 0 and 4294967295, inclusive",
        'spec.securityContext.sysctls[0].name: Invalid value: "a b": must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$',
      ].map((text) => text.replaceAll("\\\\", "\\")),
    ],
    [
      "with names and addresses that are none",
      pod({
        dnsPolicy: "None",
        hostname: "a.b",
        nodeName: "A",
        hostAliases: [{ ip: "x", hostnames: ["a"] }],
        tolerations: [{ key: "k", operator: "Like", value: "v" }],
        activeDeadlineSeconds: 0,
      }),
      [
        "spec.dnsConfig: Required value: must provide `dnsConfig` when `dnsPolicy` is None",
        `spec.nodeName: Invalid value: "A": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
        'spec.hostname: Invalid value: "a.b": must not contain dots',
        'spec.tolerations[0].operator: Unsupported value: "Like": supported values: "Equal", "Exists"',
        'spec.hostAliases[0].ip: Invalid value: "x": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)',
        "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
      ],
    ],
    [
      "with a name that overrides others which it excludes [N3]",
      pod({ hostnameOverride: `${"a".repeat(63)}.bc`, setHostnameAsFQDN: true, hostNetwork: true }),
      [
        "spec.hostnameOverride: Too long: may not be more than 64 bytes",
        "spec.hostnameOverride: Forbidden: may not be specified when `setHostnameAsFQDN` is true",
        "spec.hostnameOverride: Forbidden: may not be specified when `hostNetwork` is true",
      ],
    ],
    [
      "with a claim of its own that asks for nothing [V25]",
      pod({ volumes: [{ name: "v", ephemeral: { volumeClaimTemplate: { spec: {} } } }] }),
      [
        "spec.volumes[0].ephemeral.volumeClaimTemplate.spec.accessModes: Required value: at least 1 access mode is required",
        "spec.volumes[0].ephemeral.volumeClaimTemplate.spec.resources[storage]: Required value",
      ],
    ],
    [
      "with ephemeral containers at creation",
      pod({ ephemeralContainers: [{ name: "e", image: "x" }] }),
      ["spec.ephemeralContainers: Forbidden: cannot be set on create"],
    ],
    [
      "with another host port in the host's network",
      withContainer({ ports: [{ containerPort: 80, hostPort: 81 }] }, { hostNetwork: true }),
      [
        "spec.containers[0].ports[0].hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is true",
      ],
    ],
    [
      "with metadata that is wrong in every way",
      pod(
        {},
        {
          name: "Web",
          labels: { "a b": "c d" },
          annotations: { "/x": "y" },
          finalizers: ["mine"],
          ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: "x" }],
        },
      ),
      [
        `metadata.name: Invalid value: "Web": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`,
        `metadata.labels: Invalid value: "a b": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')`,
        `metadata.labels: Invalid value: "c d": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`,
        'metadata.annotations: Invalid value: "/x": prefix part must be non-empty',
        'metadata.ownerReferences.uid: Invalid value: "": must not be empty',
        'metadata.finalizers[0]: Invalid value: "mine": name is neither a standard finalizer name nor is it fully qualified',
      ],
    ],
  ])("%s", (_name, object, expected) => {
    expect(creating(object)).toEqual(expected);
  });
});

describe("a change of a Pod", () => {
  const before = pod({
    nodeName: "pillion",
    tolerations: [{ key: "a", operator: "Exists" }],
    activeDeadlineSeconds: 100,
  });
  const changed = (spec: Spec, of = before) => ({ ...of, spec: { ...(of["spec"] as Spec), ...spec } });
  const container = (before["spec"] as { containers: Spec[] }).containers[0];

  test.each<[string, Spec]>([
    ["nothing", {}],
    ["an image", { containers: [{ ...container, image: "nginx:2" }] }],
    ["an earlier deadline", { activeDeadlineSeconds: 50 }],
    [
      "another toleration",
      {
        tolerations: [
          { key: "b", operator: "Exists" },
          { key: "a", operator: "Exists" },
        ],
      },
    ],
  ])("may be %s [O8]", (_name, spec) => {
    expect(changing(changed(spec), before)).toEqual([]);
  });

  test("may set a deadline, and an image of an init container [O8]", () => {
    const init = { ...container, name: "i" };
    const old = pod({ initContainers: [init] });
    expect(changing(changed({ activeDeadlineSeconds: 5 }, old), old)).toEqual([]);
    expect(changing(changed({ initContainers: [{ ...init, image: "new" }] }, old), old)).toEqual([]);
  });

  test("may mend a negative grace period, and nothing else of it [O8]", () => {
    const old = pod({ terminationGracePeriodSeconds: -1 });
    expect(changing(changed({ terminationGracePeriodSeconds: 1 }, old), old)).toEqual([]);
    expect(changing(changed({ terminationGracePeriodSeconds: 2 }, old), old)[0]).toStartWith(only);
    expect(changing(changed({ terminationGracePeriodSeconds: 1 }), before)[0]).toStartWith(only);
  });

  test("may open gates, and add none [O8]", () => {
    const old = pod({ schedulingGates: [{ name: "a.b/c" }, { name: "a.b/d" }] });
    expect(changing(changed({ schedulingGates: [{ name: "a.b/d" }] }, old), old)).toEqual([]);
    expect(changing(changed({ schedulingGates: [{ name: "a.b/e" }] }, old), old)).toEqual([
      "spec.schedulingGates[0].name: Forbidden: only deletion is allowed, but found new scheduling gate 'a.b/e'",
    ]);
  });

  const only =
    "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n";

  test.each<[string, Spec, string[]]>([
    ["a node", { nodeName: "other" }, [`${only}  - spec.nodeName: "pillion"\n  + spec.nodeName: "other"\n`]],
    [
      "a variable",
      { containers: [{ ...container, env: [{ name: "A" }] }] },
      [`${only}  + spec.containers[0].env: [{"name":"A"}]\n`],
    ],
    [
      "an image to none",
      { containers: [{ ...container, image: "" }] },
      ["spec.containers[0].image: Required value"],
    ],
    [
      "one more container",
      { containers: [container, { ...container, name: "d" }] },
      ["spec.containers: Forbidden: pod updates may not add or remove containers"],
    ],
    [
      "a later deadline",
      { activeDeadlineSeconds: 200 },
      ["spec.activeDeadlineSeconds: Invalid value: 200: must be less than or equal to previous value"],
    ],
    [
      "no deadline any more",
      { activeDeadlineSeconds: undefined },
      [
        "spec.activeDeadlineSeconds: Invalid value: null: must not update from a positive integer to nil value",
      ],
    ],
    [
      "one toleration less",
      { tolerations: [] },
      ["spec.tolerations: Forbidden: existing toleration can not be modified except its tolerationSeconds"],
    ],
    ["no image", { containers: [{ ...container, image: "" }] }, ["spec.containers[0].image: Required value"]],
  ])("may not be %s [O8]", (_name, spec, expected) => {
    expect(changing(changed(spec), before)).toEqual(expected);
  });

  test("may not be another name, while what a client leaves out is no change", () => {
    const stored = {
      ...before,
      metadata: { ...before.metadata, uid: "u1", creationTimestamp: "2026-01-01T00:00:00Z" },
    };
    expect(changing(before, stored)).toEqual([]);
    const other = { ...stored, metadata: { ...stored.metadata, name: "x" } };
    expect(changing(other, stored)).toEqual(['metadata.name: Invalid value: "x": field is immutable']);
  });

  test("may not be a new finalizer once it is being deleted", () => {
    const dying = { ...before, metadata: { ...before.metadata, deletionTimestamp: "2026-01-01T00:00:00Z" } };
    const object = { ...dying, metadata: { ...dying.metadata, finalizers: ["a.b/c"] } };
    expect(changing(object, dying)).toEqual([
      'metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"a.b/c"}',
    ]);
  });
});

describe("ephemeral containers", () => {
  const visitor = {
    name: "e",
    image: "x",
    imagePullPolicy: "Always",
    terminationMessagePolicy: "File",
    resources: {},
  };
  const before = pod({ ephemeralContainers: [visitor] });
  const updating = (list: Spec[]) => {
    const object = { ...before, spec: { ...(before["spec"] as Spec), ephemeralContainers: list } };
    return faults(() => refuseInvalidEphemeralContainers(object, before));
  };

  test("may be added [EC1]", () => {
    expect(
      updating([
        { ...visitor, terminationMessagePath: "/dev/termination-log" },
        { ...visitor, name: "f", targetContainerName: "c" },
      ]),
    ).toEqual([]);
  });

  test.each<[string, Spec]>([
    ["ports", { ports: [{ containerPort: 1, protocol: "TCP" }] }],
    ["livenessProbe", { livenessProbe: { exec: { command: ["a"] } } }],
    ["readinessProbe", { readinessProbe: { exec: { command: ["a"] } } }],
    ["startupProbe", { startupProbe: { exec: { command: ["a"] } } }],
    ["lifecycle", { lifecycle: { preStop: { exec: { command: ["a"] } } } }],
    ["resources", { resources: { limits: { cpu: "1" } } }],
    ["restartPolicy", { restartPolicy: "Always" }],
    ["volumeMounts[0].subPath", { volumeMounts: [{ name: "v", mountPath: "/v", subPath: "s" }] }],
  ])("may not have %s [EC2]", (field, part) => {
    const added = updating([
      { ...visitor, terminationMessagePath: "/dev/termination-log" },
      { ...visitor, name: "f", ...part },
    ]);
    expect(added.some((fault) => fault.startsWith(`spec.ephemeralContainers[1].${field}: `))).toBe(true);
  });

  test("may not be removed, changed, or have what pods are judged by [EC1]", () => {
    expect(updating([])).toEqual([
      'spec.ephemeralContainers: Forbidden: existing ephemeral containers "e" may not be removed\n',
    ]);
    const stored = { ...visitor, terminationMessagePath: "/dev/termination-log" };
    expect(updating([{ ...stored, image: "y" }])).toEqual([
      'spec.ephemeralContainers: Forbidden: existing ephemeral containers "e" may not be changed\n  - e.image: "x"\n  + e.image: "y"\n',
    ]);
    expect(
      updating([
        stored,
        { ...visitor, name: "f", targetContainerName: "no", ports: [{ containerPort: 1, protocol: "TCP" }] },
      ]),
    ).toEqual([
      'spec.ephemeralContainers[1].targetContainerName: Not found: "no"',
      "spec.ephemeralContainers[1].ports: Forbidden: cannot be set for an Ephemeral Container",
    ]);
  });
});
