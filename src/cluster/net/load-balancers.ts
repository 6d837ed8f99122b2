/** Gives every Service of type LoadBalancer an address of this machine's loopback, and shows it in its status. */
import type { Service } from "../../../generated/kubernetes.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { placeOfKey } from "../../k8s/object-name.ts";
import type { ServiceRoute } from "../../k8s/service-routes.ts";
import { StatusError } from "../../k8s/status-error.ts";
import type { Clock } from "../../kernel/clock.ts";
import { type EventRecorder, referenceTo } from "../store/event-recorder.ts";
import type { Store } from "../store/store.ts";
import {
  type ExternalAddress,
  type ExternalWish,
  findExternalAddress,
  ingressOf,
} from "./load-balancer-address.ts";
import type { Address } from "./service-network.ts";
import type { ServiceProxy } from "./service-proxy.ts";

const SERVICES = "services";
/** How long until one that got no address is tried again. */
const RETRY_MS = 5000;

export interface LoadBalancersOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly proxy: Pick<ServiceProxy, "check">;
  readonly recorder: EventRecorder;
  /** A Service has an address, or another one. */
  readonly onChange: () => void;
  readonly onError: (error: unknown) => void;
}

interface Balanced {
  /** Ports as text: others need a new address. */
  readonly ports: string;
  /** Undefined while it is looked for. */
  found?: ExternalAddress;
}

export class LoadBalancers {
  readonly #options: LoadBalancersOptions;
  /** By `namespace/name`. */
  readonly #balanced = new Map<string, Balanced>();
  /** One is looked for at a time, so that no two find the same. */
  #turn: Promise<void> = Promise.resolve();
  #isStopped = false;

  constructor(options: LoadBalancersOptions) {
    this.#options = options;
  }

  stop(): void {
    this.#isStopped = true;
  }

  /** Looks at what a Service is now; undefined: it has gone. */
  look(key: string, service: (KubeObject & Service) | undefined): void {
    const { type, loadBalancerClass, ports = [] } = service?.spec ?? {};
    // One of a class is somebody else's.
    if (service === undefined || type !== "LoadBalancer" || loadBalancerClass !== undefined) {
      const had = this.#balanced.delete(key);
      const isShown = (service?.status?.loadBalancer?.ingress ?? []).length > 0;
      if (service !== undefined && isShown && (had || type !== "LoadBalancer")) this.#write(key, undefined);
      return;
    }
    const text = ports.map(({ port, protocol = "TCP" }) => `${port}/${protocol}`).join();
    const balanced = this.#balanced.get(key);
    if (balanced?.ports !== text) this.#find(key, { ports: text });
  }

  /** Where this machine has the port of the route. */
  addressesOf(key: string, { port, protocol }: ServiceRoute): readonly Address[] {
    const found = this.#balanced.get(key)?.found?.ports ?? [];
    return found.filter((each) => each.port === port && each.protocol === protocol).map(({ at }) => at);
  }

  /** Another program took the address. False when it is not one of the load balancer. */
  lost(key: string, { ip, port }: Address): boolean {
    const balanced = this.#balanced.get(key);
    const isOurs = balanced?.found?.ports.some(({ at }) => at.ip === ip && at.port === port) ?? false;
    if (balanced !== undefined && isOurs) this.#find(key, { ports: balanced.ports });
    return isOurs;
  }

  #find(key: string, balanced: Balanced): void {
    this.#balanced.set(key, balanced);
    this.#turn = this.#turn
      .then(() => this.#findNow(key, balanced))
      .catch((error: unknown) => this.#options.onError(error));
  }

  async #findNow(key: string, balanced: Balanced): Promise<void> {
    const { store, clock, proxy, recorder, onChange } = this.#options;
    const isCurrent = () => !this.#isStopped && this.#balanced.get(key) === balanced;
    const service: (KubeObject & Service) | undefined = store.get(SERVICES, placeOfKey(key));
    if (service === undefined || !isCurrent()) return;
    const found = await findExternalAddress(
      (protocol, at) => proxy.check(protocol, at),
      this.#wish(key, service),
    );
    if (!isCurrent()) return;
    const about = referenceTo(service);
    if (found === undefined) {
      const message = "Error syncing load balancer: this machine has no address with these ports free";
      recorder.record({ about, type: "Warning", reason: "SyncLoadBalancerFailed", message });
      clock.schedule(RETRY_MS, () => {
        if (isCurrent()) this.#find(key, { ports: balanced.ports });
      });
      return;
    }
    balanced.found = found;
    onChange();
    if (!this.#write(key, found)) return;
    recorder.record({ about, type: "Normal", reason: "EnsuredLoadBalancer", message: messageOf(found) });
  }

  #wish(key: string, { spec, status }: Service): ExternalWish {
    const shown = (status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => ip ?? []);
    const asked = spec?.loadBalancerIP === undefined ? [] : [spec.loadBalancerIP];
    const others = [...this.#balanced].flatMap(([other, { found }]) =>
      other === key ? [] : (found?.ports ?? []),
    );
    return {
      service: key,
      ports: (spec?.ports ?? []).flatMap(({ port, protocol = "TCP" }) =>
        protocol === "TCP" || protocol === "UDP" ? [{ port, protocol }] : [],
      ),
      preferred: [...asked, ...shown],
      isTaken: (protocol, { ip, port }) =>
        others.some((each) => each.protocol === protocol && each.at.ip === ip && each.at.port === port),
    };
  }

  /** False when the status says so already, or the Service has gone. */
  #write(key: string, found: ExternalAddress | undefined): boolean {
    const { store } = this.#options;
    const loadBalancer = found === undefined ? {} : { ingress: [ingressOf(found)] };
    const before = store.get(SERVICES, placeOfKey(key));
    try {
      const after = store.update(
        SERVICES,
        placeOfKey(key),
        (current) => {
          const { status = {} } = current as KubeObject & Service;
          return { ...current, status: { ...status, loadBalancer } };
        },
        { subresource: "status" },
      );
      return after.metadata.resourceVersion !== before?.metadata.resourceVersion;
    } catch (error) {
      if (error instanceof StatusError && error.reason === "NotFound") return false;
      throw error;
    }
  }
}

function messageOf({ ip, ports }: ExternalAddress): string {
  const moved = ports
    .filter(({ port, at }) => port !== at.port)
    .map(({ port, at, protocol }) => `port ${port}/${protocol} is at ${ip}:${at.port}`);
  if (moved.length === 0) return `Ensured load balancer at ${ip}`;
  return `Ensured load balancer at ${ip}; this user may not bind every port, or another program has it: ${moved.join(", ")}`;
}
