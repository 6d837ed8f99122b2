/** A cluster without a node, for tests of what keeps pods alive: pods become what the test says. */
import type { Deployment, Event, Pod, PodStatus } from "../../../../generated/kubernetes.ts";
import { applyDefaults } from "../../../k8s/defaults.ts";
import { generateName } from "../../store/generate-name.ts";
import type { GroupResource, KubeObject } from "../../../k8s/object.ts";
import type { StatusError } from "../../../k8s/status-error.ts";
import { formatTimestamp } from "../../../k8s/timestamp.ts";
import { refuseInvalidNew } from "../../../k8s/validation.ts";
import { ManualClock } from "../../../testing/manual-clock.ts";
import { openTestStore } from "../../../testing/store-fixtures.ts";
import type { Store } from "../../store/store.ts";
import type { ControllerParts } from "../controller.ts";
import type { StoredDeployment } from "./deployment-revision.ts";
import { isPodActive } from "./pod-condition.ts";
import type { StoredReplicaSet } from "./replica-set-owner.ts";

export type TestPod = KubeObject & Pod;

/** What a test makes of creations: answers the error to refuse with. */
export type Refuse = (resource: GroupResource, object: KubeObject) => StatusError | undefined;

export class ReplicaWorld implements Disposable {
  readonly clock = new ManualClock();
  readonly store: Store = openTestStore({ clock: this.clock });
  refuse: Refuse = () => undefined;
  /** Creations that were tried. */
  tried = 0;
  readonly #stops: (() => void)[] = [];

  constructor(...controllers: readonly ((parts: ControllerParts) => () => void)[]) {
    const { store, clock } = this;
    const create = async (resource: GroupResource, object: KubeObject) => await this.create(resource, object);
    for (const start of controllers) this.#stops.push(start({ store, clock, create }));
  }

  /** Through defaults and validation, as the API does. */
  async create(resource: GroupResource, object: KubeObject): Promise<KubeObject> {
    this.tried += 1;
    const refused = this.refuse(resource, object);
    if (refused !== undefined) throw refused;
    const fresh = applyDefaults(object);
    const { name = generateName(fresh.metadata.generateName ?? "") } = fresh.metadata;
    refuseInvalidNew({ ...fresh, metadata: { ...fresh.metadata, name } }, { namespaced: true });
    return this.store.create(resource, fresh);
  }

  /** Until the controllers have nothing more to do. */
  async settle(): Promise<void> {
    for (let version = ""; version !== this.store.resourceVersion();) {
      version = this.store.resourceVersion();
      for (let turn = 0; turn < 4; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
    }
  }

  async advance(ms: number): Promise<void> {
    this.clock.advance(ms);
    await this.settle();
  }

  get pods(): TestPod[] {
    return [...this.store.list("pods").items] as TestPod[];
  }

  get active(): TestPod[] {
    return this.pods.filter(isPodActive);
  }

  get sets(): StoredReplicaSet[] {
    return [...this.store.list("replicasets.apps").items] as StoredReplicaSet[];
  }

  setStatus({ metadata }: KubeObject, status: PodStatus): void {
    const { name = "" } = metadata;
    this.store.update("pods", at(name), (pod) => ({ ...pod, status }), { subresource: "status" });
  }

  /** Assigned and running; ready from now on, or not. */
  run(pod: TestPod, isReady: boolean): void {
    const { name = "" } = pod.metadata;
    this.store.update("pods", at(name), (current) => ({
      ...current,
      spec: { containers: [], ...(current as TestPod).spec, nodeName: "node-1" },
    }));
    const lastTransitionTime = formatTimestamp(this.clock.now());
    const status = isReady ? "True" : "False";
    this.setStatus(pod, { phase: "Running", conditions: [{ type: "Ready", status, lastTransitionTime }] });
  }

  /** What is being deleted is gone. */
  reap(): void {
    for (const { metadata } of this.pods) {
      if (metadata.deletionTimestamp === undefined) continue;
      this.store.delete("pods", at(metadata.name ?? ""), { gracePeriodSeconds: 0 });
    }
  }

  /** All pods ready and all ends over, as often as it takes. */
  async runAll(): Promise<void> {
    for (let version = ""; version !== this.store.resourceVersion();) {
      version = this.store.resourceVersion();
      for (const pod of this.active) if (!isRunning(pod)) this.run(pod, true);
      this.reap();
      await this.settle();
    }
  }

  deployment(name = "web"): StoredDeployment {
    const found = this.store.get("deployments.apps", at(name));
    if (found === undefined) throw new Error(`no deployment ${name}`);
    return found;
  }

  async deploy(spec: Partial<NonNullable<Deployment["spec"]>> = {}, name = "web"): Promise<StoredDeployment> {
    await this.create("deployments.apps", {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: at(name),
      spec: { selector: { matchLabels: { app: name } }, template: templateOf("v1", name), ...spec },
    });
    await this.settle();
    return this.deployment(name);
  }

  async change(
    how: (spec: NonNullable<Deployment["spec"]>) => Partial<NonNullable<Deployment["spec"]>>,
    name = "web",
  ): Promise<void> {
    this.store.update("deployments.apps", at(name), (current: StoredDeployment) => {
      const spec = current.spec ?? { selector: {}, template: {} };
      return applyDefaults({ ...current, spec: { ...spec, ...how(spec) } });
    });
    await this.settle();
  }

  /** `Normal ScalingReplicaSet: Scaled up ...`, oldest first; names of ReplicaSets and pods are as they are. */
  events(kind: string): string[] {
    return (this.store.list("events").items as readonly (KubeObject & Event)[])
      .filter(({ involvedObject }) => involvedObject.kind === kind)
      .toSorted((a, b) => Number(a.metadata.resourceVersion) - Number(b.metadata.resourceVersion))
      .map(({ type, reason, message }) => `${type} ${reason}: ${message}`);
  }

  [Symbol.dispose](): void {
    for (const stop of this.#stops) stop();
    this.store.close();
  }
}

export function at(name: string): { readonly namespace: string; readonly name: string } {
  return { namespace: "default", name };
}

export function templateOf(image: string, app = "web"): NonNullable<Deployment["spec"]>["template"] {
  return { metadata: { labels: { app } }, spec: { containers: [{ name: "main", image }] } };
}

function isRunning({ status }: TestPod): boolean {
  return status?.phase === "Running";
}
