/** Carries traffic to Services: watches them and their endpoints, tells the proxy, and gives load balancers addresses. */
import type { EndpointSlice } from "../../../generated/kubernetes.ts";
import type { KubeObject } from "../../k8s/object.ts";
import { keyOf } from "../../k8s/object-name.ts";
import {
  ENDPOINT_SLICES,
  routesOf,
  SERVICE_NAME_LABEL,
  type ServiceRoute,
} from "../../k8s/service-routes.ts";
import type { Clock } from "../../kernel/clock.ts";
import { type EventRecorder, referenceTo } from "../store/event-recorder.ts";
import type { Store } from "../store/store.ts";
import { LoadBalancers } from "./load-balancers.ts";
import { type ProxyPlaces, proxyRoute } from "./proxy-routes.ts";
import type { ListenFailure, ProxyRoute, ServiceProxy } from "./service-proxy.ts";

/** Names the proxy that a Service is meant for; without it, every one (`LabelServiceProxyName` of kube-proxy). */
const PROXY_NAME_LABEL = "service.kubernetes.io/service-proxy-name";
/** How long until an address that another program has is tried again. */
const RETRY_MS = 5000;

export interface ServiceTrafficOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly proxy: ServiceProxy;
  /** Carries what it can of the traffic on the node instead of the proxy. */
  readonly kernel?: Carrier | undefined;
  readonly recorder: EventRecorder;
  readonly places: Omit<ProxyPlaces, "onNode">;
  /** Told of what is a bug. */
  readonly onError: (error: unknown) => void;
}

export interface Carrier {
  carries(route: ServiceRoute): boolean;
  /** Replaces the routes that it carries. Rejects when it cannot; that is tried again. */
  update(routes: readonly ServiceRoute[]): Promise<void>;
}

/** Returns how to stop; connections and the proxy are the caller's to end. */
export function startServiceTraffic(options: ServiceTrafficOptions): () => void {
  const traffic = new ServiceTraffic(options);
  return traffic.start();
}

interface Known {
  service?: KubeObject;
  readonly slices: Map<string, EndpointSlice>;
  /** Undefined: to be worked out. */
  routes?: readonly ServiceRoute[] | undefined;
}

class ServiceTraffic {
  readonly #options: ServiceTrafficOptions;
  readonly #balancers: LoadBalancers;
  /** By `namespace/name`. */
  readonly #known = new Map<string, Known>();
  /** Failures that their Service has been told of. */
  #told = new Set<string>();
  #isDue = false;
  #isStopped = false;
  #cancelRetry: () => void = () => undefined;

  constructor(options: ServiceTrafficOptions) {
    this.#options = options;
    this.#balancers = new LoadBalancers({ ...options, onChange: () => this.#soon() });
  }

  start(): () => void {
    const { store } = this.#options;
    const unwatch = [
      store.watch("services", {}, ({ type, object }) => {
        if (type !== "BOOKMARK") this.#onService(object, type === "DELETED");
      }),
      store.watch(ENDPOINT_SLICES, {}, ({ type, object }) => {
        if (type !== "BOOKMARK") this.#onSlice(object, type === "DELETED");
      }),
    ];
    this.#soon();
    return () => {
      this.#isStopped = true;
      this.#cancelRetry();
      this.#balancers.stop();
      for (const stop of unwatch) stop();
    };
  }

  #onService(object: KubeObject, isDeleted: boolean): void {
    const key = keyOf(object.metadata);
    const known = this.#knownAt(key);
    if (isDeleted || object.metadata.labels?.[PROXY_NAME_LABEL] !== undefined) delete known.service;
    else known.service = object;
    this.#balancers.look(key, known.service);
    this.#changed(key, known);
  }

  #onSlice(object: KubeObject, isDeleted: boolean): void {
    const { namespace, labels } = object.metadata;
    const slice = keyOf(object.metadata);
    // A label that changes takes the slice from one Service to another.
    for (const [key, known] of this.#known) if (known.slices.delete(slice)) this.#changed(key, known);
    const service = labels?.[SERVICE_NAME_LABEL];
    if (isDeleted || service === undefined) return;
    const key = keyOf({ namespace, name: service });
    const known = this.#knownAt(key);
    known.slices.set(slice, object as KubeObject & EndpointSlice);
    this.#changed(key, known);
  }

  #knownAt(key: string): Known {
    const known = this.#known.get(key) ?? { slices: new Map() };
    this.#known.set(key, known);
    return known;
  }

  #changed(key: string, known: Known): void {
    known.routes = undefined;
    if (known.service === undefined && known.slices.size === 0) this.#known.delete(key);
    this.#soon();
  }

  /** After what is being written now; many writes at once are one update. */
  #soon(): void {
    if (this.#isDue || this.#isStopped) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      if (this.#isStopped) return;
      this.#update().catch(this.#options.onError);
    });
  }

  async #update(): Promise<void> {
    const { proxy, clock } = this.#options;
    const [failures, isLed] = await Promise.all([proxy.update(this.#routes()), this.#tellKernel()]);
    if (this.#isStopped) return;
    this.#tell(failures);
    this.#cancelRetry();
    if (failures.length > 0 || !isLed) this.#cancelRetry = clock.schedule(RETRY_MS, () => this.#soon());
  }

  /** False when it is to be tried again. */
  async #tellKernel(): Promise<boolean> {
    const { kernel, onError } = this.#options;
    try {
      const routes = [...this.#known.values()].flatMap((known) => serviceRoutes(known));
      await kernel?.update(routes.filter((route) => kernel.carries(route)));
      return true;
    } catch (error) {
      onError(error);
      return false;
    }
  }

  #routes(): ProxyRoute[] {
    const { places, kernel } = this.#options;
    const routes: ProxyRoute[] = [];
    for (const [key, known] of this.#known) {
      for (const route of serviceRoutes(known)) {
        const external = this.#balancers.addressesOf(key, route);
        const onNode = kernel?.carries(route) !== true;
        const proxied = proxyRoute(route, { ...places, onNode }, external);
        if (proxied !== undefined) routes.push(proxied);
      }
    }
    return routes;
  }

  /** Once for as long as it lasts. A load balancer gets another address instead. */
  #tell(failures: readonly ListenFailure[]): void {
    const told = new Set<string>();
    for (const { route, address, code } of failures) {
      const key = route.slice(0, route.lastIndexOf(":"));
      const { ip, port, place } = address;
      if (place === "machine" && this.#balancers.lost(key, address)) continue;
      const name = `${route} ${place} ${ip}:${port} ${code}`;
      told.add(name);
      const service = this.#known.get(key)?.service;
      if (service === undefined || this.#told.has(name)) continue;
      this.#options.recorder.record({
        about: referenceTo(service),
        type: "Warning",
        reason: "PortUnavailable",
        message: `Cannot listen on ${ip}:${port}: ${textOf(code)}; trying again`,
      });
    }
    this.#told = told;
  }
}

function serviceRoutes(known: Known): readonly ServiceRoute[] {
  if (known.service === undefined) return [];
  known.routes ??= routesOf(known.service, [...known.slices.values()]);
  return known.routes;
}

function textOf(code: string): string {
  if (code === "EADDRINUSE") return "another program or Service has it";
  return code === "EACCES" ? "this user may not bind it" : code;
}
