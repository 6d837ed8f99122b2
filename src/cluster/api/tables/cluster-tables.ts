/** Tables of the cluster itself: nodes, namespaces, leases, events. */
import type { Event, Lease, Namespace, Node, ObjectReference } from "../../../../generated/kubernetes.ts";
import { ageOf } from "../../../k8s/duration.ts";
import { age, nameOf } from "./cell-text.ts";
import { AGE, column, definePrinter, NAME, type TablePrinter } from "./table-printer.ts";

const ROLE_LABEL_PREFIX = "node-role.kubernetes.io/";
const ROLE_LABEL = "kubernetes.io/role";

const nodePrinter = definePrinter<Node>(
  [
    NAME,
    column("Status", { description: "Whether the node is ready and takes pods" }),
    column("Roles", { description: "Roles by the node's labels" }),
    AGE,
    column("Version", { description: "Version of the node" }),
    column("Internal-IP", { wide: true }),
    column("External-IP", { wide: true }),
    column("OS-Image", { wide: true }),
    column("Kernel-Version", { wide: true }),
    column("Container-Runtime", { wide: true }),
  ],
  (node, now) => {
    const { nodeInfo } = node.status ?? {};
    return [
      nameOf(node.metadata),
      nodeStatus(node),
      nodeRoles(node),
      age(node.metadata, now),
      nodeInfo?.kubeletVersion ?? "",
      nodeAddress(node, "InternalIP"),
      nodeAddress(node, "ExternalIP"),
      nodeInfo?.osImage || "<unknown>",
      nodeInfo?.kernelVersion || "<unknown>",
      nodeInfo?.containerRuntimeVersion || "<unknown>",
    ];
  },
);

function nodeStatus({ spec, status }: Node): string {
  const ready = status?.conditions?.findLast(({ type }) => type === "Ready");
  const readiness = ready === undefined ? "Unknown" : ready.status === "True" ? "Ready" : "NotReady";
  return spec?.unschedulable === true ? `${readiness},SchedulingDisabled` : readiness;
}

function nodeRoles({ metadata }: Node): string {
  const roles = new Set<string>();
  for (const [key, value] of Object.entries(metadata?.labels ?? {})) {
    if (key.startsWith(ROLE_LABEL_PREFIX)) roles.add(key.slice(ROLE_LABEL_PREFIX.length));
    else if (key === ROLE_LABEL) roles.add(value);
  }
  roles.delete("");
  return [...roles].sort().join(",") || "<none>";
}

function nodeAddress({ status }: Node, type: string): string {
  return status?.addresses?.find((address) => address.type === type)?.address ?? "<none>";
}

const namespacePrinter = definePrinter<Namespace>(
  [NAME, column("Status", { description: "Whether the namespace is being deleted" }), AGE],
  ({ metadata, status }, now) => [nameOf(metadata), status?.phase ?? "", age(metadata, now)],
);

const leasePrinter = definePrinter<Lease>(
  [NAME, column("Holder", { description: "Who holds the lease" }), AGE],
  ({ metadata, spec }, now) => [nameOf(metadata), spec?.holderIdentity ?? "", age(metadata, now)],
);

/** An event in either spelling: core/v1, or events.k8s.io/v1. */
interface AnyEvent extends Partial<Omit<Event, "series">> {
  readonly regarding?: ObjectReference;
  readonly note?: string;
  readonly reportingController?: string;
  readonly series?: { readonly count?: number; readonly lastObservedTime?: string };
}

const eventPrinter = definePrinter<AnyEvent>(
  [
    column("Last Seen"),
    column("Type"),
    column("Reason"),
    column("Object"),
    column("Subobject", { wide: true }),
    column("Source", { wide: true }),
    column("Message"),
    column("First Seen", { wide: true }),
    column("Count", { wide: true }),
    { ...NAME, priority: 1 },
  ],
  (event, now) => {
    const { kind = "", name = "", fieldPath = "" } = event.involvedObject ?? event.regarding ?? {};
    const { series } = event;
    const first = ageOf(event.firstTimestamp ?? event.eventTime, now);
    const last = event.lastTimestamp === undefined ? first : ageOf(event.lastTimestamp, now);
    return [
      series === undefined ? last : ageOf(series.lastObservedTime, now),
      event.type ?? "",
      event.reason ?? "",
      name === "" ? kind.toLowerCase() : `${kind.toLowerCase()}/${name}`,
      fieldPath,
      eventSource(event),
      (event.message ?? event.note ?? "").trim(),
      first,
      (series === undefined ? event.count : series.count) || 1,
      nameOf(event.metadata),
    ];
  },
);

function eventSource({
  source,
  reportingComponent,
  reportingController,
  reportingInstance,
}: AnyEvent): string {
  const component = source?.component || reportingComponent || reportingController || "";
  const instance = source?.host || reportingInstance || "";
  return instance === "" ? component : `${component}, ${instance}`;
}

export const clusterTables: Readonly<Record<string, TablePrinter>> = {
  nodes: nodePrinter,
  namespaces: namespacePrinter,
  "leases.coordination.k8s.io": leasePrinter,
  events: eventPrinter,
  "events.events.k8s.io": eventPrinter,
};
