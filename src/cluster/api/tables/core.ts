/** Tables of the core group, as kubectl users know them. */
import type {
  ConfigMap,
  Event,
  Namespace,
  Node,
  PersistentVolumeClaim,
  Secret,
  Service,
  ServiceAccount,
} from "../../../../generated/kubernetes.ts";
import { ageOf } from "../../../k8s/duration.ts";
import { age, columnsOf, formatLabels, printer } from "./table-printer.ts";

export const configMapPrinter = printer<ConfigMap>(columnsOf("Name", "Data", "Age"), (object, now) => [
  object.metadata?.name,
  Object.keys(object.data ?? {}).length + Object.keys(object.binaryData ?? {}).length,
  age(object, now),
]);

export const secretPrinter = printer<Secret>(columnsOf("Name", "Type", "Data", "Age"), (object, now) => [
  object.metadata?.name,
  object.type ?? "",
  Object.keys(object.data ?? {}).length,
  age(object, now),
]);

export const namespacePrinter = printer<Namespace>(columnsOf("Name", "Status", "Age"), (object, now) => [
  object.metadata?.name,
  object.status?.phase ?? "",
  age(object, now),
]);

export const serviceAccountPrinter = printer<ServiceAccount>(
  columnsOf("Name", "Secrets", "Age"),
  (object, now) => [object.metadata?.name, object.secrets?.length ?? 0, age(object, now)],
);

const ROLE_PREFIX = "node-role.kubernetes.io/";

export const nodePrinter = printer<Node>(
  columnsOf(
    "Name",
    "Status",
    "Roles",
    "Age",
    "Version",
    "!Internal-IP",
    "!External-IP",
    "!OS-Image",
    "!Kernel-Version",
    "!Container-Runtime",
  ),
  (node, now) => {
    const ready = node.status?.conditions?.find(({ type }) => type === "Ready");
    const states = [ready === undefined ? "Unknown" : ready.status === "True" ? "Ready" : "NotReady"];
    if (node.spec?.unschedulable) states.push("SchedulingDisabled");
    const roles = Object.keys(node.metadata?.labels ?? {})
      .filter((label) => label.startsWith(ROLE_PREFIX))
      .map((label) => label.slice(ROLE_PREFIX.length));
    const address = (wanted: string) => node.status?.addresses?.find(({ type }) => type === wanted)?.address;
    const info = node.status?.nodeInfo;
    return [
      node.metadata?.name,
      states.join(","),
      roles.toSorted().join(",") || undefined,
      age(node, now),
      info?.kubeletVersion ?? "",
      address("InternalIP"),
      address("ExternalIP"),
      info?.osImage ?? "<unknown>",
      info?.kernelVersion ?? "<unknown>",
      info?.containerRuntimeVersion ?? "<unknown>",
    ];
  },
);

export const servicePrinter = printer<Service>(
  columnsOf("Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "!Selector"),
  (service, now) => [
    service.metadata?.name,
    service.spec?.type ?? "",
    service.spec?.clusterIP || undefined,
    externalIP(service),
    ports(service),
    age(service, now),
    formatLabels(service.spec?.selector),
  ],
);

/** `getServiceExternalIP`. */
function externalIP({ spec, status }: Service): string | undefined {
  const external = spec?.externalIPs ?? [];
  if (spec?.type === "ExternalName") return spec.externalName;
  if (spec?.type !== "LoadBalancer") return external.join(",") || undefined;
  const given = (status?.loadBalancer?.ingress ?? []).map(({ ip, hostname }) => ip ?? hostname ?? "");
  return [...given, ...external].join(",") || "<pending>";
}

/** `80:31001/TCP,443/TCP`. */
function ports({ spec }: Service): string | undefined {
  return (
    spec?.ports
      ?.map(({ port, nodePort, protocol = "TCP" }) => `${port}${nodePort ? `:${nodePort}` : ""}/${protocol}`)
      .join(",") || undefined
  );
}

export const eventPrinter = printer<Event>(
  columnsOf(
    "Last Seen",
    "Type",
    "Reason",
    "Object",
    "!Subobject",
    "!Source",
    "Message",
    "!First Seen",
    "!Count",
    "!Name",
  ),
  (event, now) => {
    const first = event.firstTimestamp ?? event.eventTime;
    const last = event.series?.lastObservedTime ?? event.lastTimestamp ?? first;
    const { kind = "", name = "", fieldPath = "" } = event.involvedObject;
    const component = event.source?.component ?? event.reportingComponent ?? "";
    return [
      ageOf(last, now),
      event.type ?? "",
      event.reason ?? "",
      `${kind.toLowerCase()}/${name}`,
      fieldPath,
      event.source?.host ? `${component}, ${event.source.host}` : component,
      (event.message ?? "").trim(),
      ageOf(first, now),
      event.series?.count ?? event.count ?? 1,
      event.metadata.name,
    ];
  },
);

const ACCESS_MODES: Readonly<Record<string, string>> = {
  ReadWriteOnce: "RWO",
  ReadOnlyMany: "ROX",
  ReadWriteMany: "RWX",
  ReadWriteOncePod: "RWOP",
};

export const claimPrinter = printer<PersistentVolumeClaim>(
  columnsOf(
    "Name",
    "Status",
    "Volume",
    "Capacity",
    "Access Modes",
    "StorageClass",
    "VolumeAttributesClass",
    "Age",
    "!VolumeMode",
  ),
  (claim, now) => [
    claim.metadata?.name,
    claim.metadata?.deletionTimestamp ? "Terminating" : (claim.status?.phase ?? ""),
    claim.spec?.volumeName ?? "",
    claim.status?.capacity?.["storage"] ?? "",
    (claim.status?.accessModes ?? []).map((mode) => ACCESS_MODES[mode] ?? mode).join(","),
    claim.spec?.storageClassName ?? "",
    claim.spec?.volumeAttributesClassName ?? "<unset>",
    age(claim, now),
    claim.spec?.volumeMode ?? "<unset>",
  ],
);
