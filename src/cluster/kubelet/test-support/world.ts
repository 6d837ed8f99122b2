/** A kubelet on a store in memory, a fake sandbox, fake images and a clock that the test moves. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ContainerStatus, Event, PodSpec } from "../../../../generated/kubernetes.ts";
import type { KubeObject, ObjectMeta } from "../../../k8s/object.ts";
import { asPod, type StoredPod } from "../../../k8s/pod.ts";
import { ManualClock } from "../../../testing/manual-clock.ts";
import { openTestStore } from "../../../testing/store-fixtures.ts";
import type { Store } from "../../store/store.ts";
import { startKubelet, type Kubelet, type KubeletOptions } from "../start-kubelet.ts";
import { FakeImages } from "./fake-images.ts";
import { FakeSandbox, type FakeContainer } from "./fake-sandbox.ts";

export const NODE = "node-1";

export class World implements AsyncDisposable {
  readonly clock = new ManualClock();
  readonly store: Store = openTestStore({ clock: this.clock });
  readonly stateDir = mkdtempSync(join(tmpdir(), "kubelet-"));
  sandbox = new FakeSandbox(this.clock);
  readonly images = new FakeImages();
  readonly errors: unknown[] = [];
  kubelet: Kubelet | undefined;

  async start(options: KubeletOptions = {}): Promise<this> {
    this.kubelet = await startKubelet({
      store: this.store,
      sandbox: this.sandbox,
      images: this.images,
      clock: this.clock,
      stateDir: this.stateDir,
      nodeName: NODE,
      options: { onError: (error) => this.errors.push(error), ...options },
    });
    await this.settle();
    return this;
  }

  /** Creates a pod on the node and waits until nothing moves. */
  async run(name: string, spec: Partial<PodSpec>, metadata: Partial<ObjectMeta> = {}): Promise<void> {
    this.store.create("pods", {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { namespace: "default", name, ...metadata },
      spec: {
        nodeName: NODE,
        restartPolicy: "Always",
        terminationGracePeriodSeconds: 30,
        containers: [{ name: "app", image: "img" }],
        ...spec,
      },
    });
    await this.settle();
  }

  /** Everything that does not need time has happened. */
  async settle(): Promise<void> {
    for (let round = 0; round < 12; round++) await new Promise<void>((resolve) => setImmediate(resolve));
    if (this.errors.length > 0) throw this.errors[0];
  }

  async advance(ms: number): Promise<void> {
    this.clock.advance(ms);
    await this.settle();
  }

  container(name: string, pod = "p"): FakeContainer {
    const found = this.sandbox.alive(pod, name);
    if (found === undefined)
      throw new Error(`${pod}/${name} does not run: ${this.sandbox.running().join(" ")}`);
    return found;
  }

  async exit(name: string, exitCode: number, pod = "p"): Promise<void> {
    this.container(name, pod).exit(exitCode);
    await this.settle();
  }

  pod(name = "p"): StoredPod {
    const object = this.store.get("pods", { namespace: "default", name });
    if (object === undefined) throw new Error(`no pod ${name}`);
    return asPod(object);
  }

  exists(name = "p"): boolean {
    return this.store.get("pods", { namespace: "default", name }) !== undefined;
  }

  status(name: string, pod = "p"): ContainerStatus {
    const { initContainerStatuses = [], containerStatuses = [] } = this.pod(pod).status ?? {};
    const found = [...initContainerStatuses, ...containerStatuses].find((status) => status.name === name);
    if (found === undefined) throw new Error(`no status of ${name}`);
    return found;
  }

  /** One word, as `kubectl get pods` derives it: `Running`, a reason, or the reason's exit code. */
  state(name: string, pod = "p"): string {
    const { state = {} } = this.status(name, pod);
    if (state.running !== undefined) return "Running";
    if (state.terminated !== undefined) return `${state.terminated.reason} ${state.terminated.exitCode}`;
    return state.waiting?.reason ?? "nothing";
  }

  async delete(gracePeriodSeconds?: number, name = "p"): Promise<void> {
    this.store.delete(
      "pods",
      { namespace: "default", name },
      gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds },
    );
    await this.settle();
  }

  async change(name: string, change: (pod: KubeObject) => KubeObject): Promise<void> {
    this.store.update("pods", { namespace: "default", name }, change);
    await this.settle();
  }

  async setImage(image: string, index = 0): Promise<void> {
    await this.change("p", (object) => {
      const pod = asPod(object);
      const containers = pod.spec.containers.map((one, at) => (at === index ? { ...one, image } : one));
      return { ...object, spec: { ...pod.spec, containers } };
    });
  }

  /** `Normal Started: Container started (x2)`, oldest first. */
  events(pod = "p"): string[] {
    return this.store
      .list("events")
      .items.map((object) => object as KubeObject & Event)
      .filter(({ involvedObject }) => involvedObject.name === pod)
      .map(
        ({ type, reason, message, count = 1 }) =>
          `${type} ${reason}: ${message}${count > 1 ? ` (x${count})` : ""}`,
      );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kubelet?.stop();
    this.store.close();
    rmSync(this.stateDir, { recursive: true, force: true });
  }
}
