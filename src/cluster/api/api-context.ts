/** What every verb needs: the store, the node, the clock, and the steps that each write goes through. */
import type { KubeObject } from "../../k8s/object.ts";
import type { ResourceInfo } from "../../k8s/catalogue.ts";
import type { Clock } from "../../kernel/clock.ts";
import type { KubeletPort } from "../kubelet/port.ts";
import type { Store } from "../store/store.ts";
import type { VerifyToken } from "./authenticate.ts";
import type { Authorizer } from "./authorizer.ts";
import type { Measured } from "./metrics/usage-sampler.ts";
import type { ApiRequest, User } from "./exchange.ts";
import type { ResourceTarget } from "./resource-path.ts";
import type { Webhooks } from "./webhooks/run-webhooks.ts";
import type { ServiceAccountTokens } from "./service-account-tokens.ts";

export type WriteOperation = "CREATE" | "UPDATE";

/**
 * One admission step: answers the object to store, or throws `StatusError` to refuse it. Runs after defaulting and before
 * validation; must not change its arguments. `Warning:` headers go to `warn`.
 */
export type Admit = (request: {
  readonly info: ResourceInfo;
  readonly object: KubeObject;
  readonly operation: WriteOperation;
  /** The stored object, for updates. */
  readonly before?: KubeObject;
  readonly dryRun: boolean;
  /** Absent for the cluster's own controllers. */
  readonly user?: User;
  readonly warn: (text: string) => void;
}) => KubeObject;

export interface ApiContext {
  readonly store: Store;
  readonly kubelet: KubeletPort;
  readonly clock: Clock;
  /** The one node that every Pod is assigned to. */
  readonly nodeName: string;
  /** In order; the built-in steps come first. Webhooks are asked behind them. */
  readonly admit: readonly Admit[];
  /** Behind the webhooks: what is handed out once, and what depends on the object as it will be. */
  readonly settle: readonly Admit[];
  readonly webhooks: Webhooks;
  /** The user a bearer token belongs to, or why there is none. `audiences` are the API's own by default. */
  readonly verifyToken: VerifyToken;
  readonly tokens: ServiceAccountTokens;
  readonly authorizer: Authorizer;
  /** What runs, and how much of the machine it uses. */
  readonly measure: () => Promise<Measured>;
}

/** One request to one resource. */
export interface ResourceRequest {
  readonly context: ApiContext;
  readonly request: ApiRequest;
  readonly target: ResourceTarget;
}

/** A request that names its object. */
export interface NamedRequest extends ResourceRequest {
  readonly target: ResourceTarget & { readonly name: string };
}
