/** Which table a kind is shown with. */
import type { GroupResource } from "../../../k8s/object.ts";
import {
  claimPrinter,
  configMapPrinter,
  eventPrinter,
  namespacePrinter,
  nodePrinter,
  secretPrinter,
  serviceAccountPrinter,
  servicePrinter,
} from "./core.ts";
import { podPrinter } from "./pods.ts";
import { genericPrinter, type TablePrinter } from "./table-printer.ts";
import {
  cronJobPrinter,
  daemonSetPrinter,
  deploymentPrinter,
  jobPrinter,
  leasePrinter,
  replicaSetPrinter,
  statefulSetPrinter,
} from "./workloads.ts";

const PRINTERS: Readonly<Record<GroupResource, TablePrinter>> = {
  configmaps: configMapPrinter,
  "cronjobs.batch": cronJobPrinter,
  "daemonsets.apps": daemonSetPrinter,
  "deployments.apps": deploymentPrinter,
  events: eventPrinter,
  "jobs.batch": jobPrinter,
  "leases.coordination.k8s.io": leasePrinter,
  namespaces: namespacePrinter,
  nodes: nodePrinter,
  persistentvolumeclaims: claimPrinter,
  pods: podPrinter,
  "replicasets.apps": replicaSetPrinter,
  secrets: secretPrinter,
  serviceaccounts: serviceAccountPrinter,
  services: servicePrinter,
  "statefulsets.apps": statefulSetPrinter,
};

/** The kind's own table, or NAME and AGE. */
export function printerFor(resource: GroupResource): TablePrinter {
  return PRINTERS[resource] ?? genericPrinter;
}
