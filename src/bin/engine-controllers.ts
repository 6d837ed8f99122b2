/** Every controller of a cluster, as kube-controller-manager has them in one process. */
import { join } from "node:path";
import type { StateFolder } from "../cli/state-folder.ts";
import type { Pki } from "../cluster/api/pki.ts";
import { secretTokenIssuer } from "../cluster/api/service-account-tokens.ts";
import { startClaimController } from "../cluster/controllers/claims.ts";
import { startClusterRoleAggregation } from "../cluster/controllers/cluster-role-aggregation.ts";
import type { ControllerParts } from "../cluster/controllers/controller.ts";
import { startDisruptionBudgetController } from "../cluster/controllers/disruption-budgets.ts";
import { startEndpointSliceMirror } from "../cluster/controllers/endpoint-slices-mirror.ts";
import { startEndpointSliceController } from "../cluster/controllers/endpoint-slices.ts";
import { startEndpointsController } from "../cluster/controllers/endpoints.ts";
import { startEventExpiry } from "../cluster/controllers/event-expiry.ts";
import { startGarbageCollector } from "../cluster/controllers/garbage-collector.ts";
import { startNamespaceController } from "../cluster/controllers/namespaces.ts";
import { startTokenSecretController } from "../cluster/controllers/token-secrets.ts";
import { startCronJobController } from "../cluster/controllers/workloads/cron-job-controller.ts";
import { startDaemonSetController } from "../cluster/controllers/workloads/daemon-set-controller.ts";
import { startDeploymentController } from "../cluster/controllers/workloads/deployment-controller.ts";
import { startJobController } from "../cluster/controllers/workloads/job-controller.ts";
import {
  startReplicaSetController,
  startReplicationController,
} from "../cluster/controllers/workloads/replica-set-controller.ts";
import { startStatefulSetController } from "../cluster/controllers/workloads/stateful-set-controller.ts";
import { resources } from "../k8s/catalogue.ts";

export interface EngineControllers extends ControllerParts {
  readonly pki: Pki;
  readonly nodeName: string;
  readonly folder: StateFolder;
  /** Told of failures that no object can show. */
  readonly onError: (error: unknown) => void;
}

/** Gives what stops each. */
export function startControllers(options: EngineControllers): readonly (() => void)[] {
  const { store, clock, create, pki, nodeName, folder, onError } = options;
  const caCertificate = pki.authority;
  const stored = resources.filter((resource) => resource.stored);
  const parts: ControllerParts = { store, clock, create };
  return [
    startNamespaceController({ store, clock, resources: stored, caCertificate }),
    startTokenSecretController({
      store,
      clock,
      caCertificate,
      issue: secretTokenIssuer({ store, clock, pki }),
    }),
    startGarbageCollector({ store, clock, resources: stored }),
    startEventExpiry({ store, clock }),
    startClaimController({ store, clock, nodeName, nodeRoot: join(folder.path, "node"), onError }),
    startReplicaSetController(parts),
    startReplicationController(parts),
    startDeploymentController(parts),
    startStatefulSetController(parts),
    startDaemonSetController(parts),
    startJobController(parts),
    startCronJobController(parts),
    startDisruptionBudgetController({ store, clock }),
    startEndpointSliceController(parts),
    startEndpointsController(parts),
    startEndpointSliceMirror(parts),
    startClusterRoleAggregation({ store, clock }),
  ];
}
