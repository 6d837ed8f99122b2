/** The webhooks that are configured right now, kept as configurations come and go. */
import type { GroupResource, KubeObject } from "../../../k8s/object.ts";
import { SelectorError } from "../../../k8s/label-requirement.ts";
import {
  MUTATING_CONFIGURATIONS,
  VALIDATING_CONFIGURATIONS,
  type Webhook,
  type WebhookConfiguration,
  webhooksOf,
} from "../../../k8s/webhooks/webhook.ts";
import type { Store } from "../../store/store.ts";

export interface WebhookIndex {
  /** In the order in which they are asked. */
  readonly mutating: readonly Webhook[];
  readonly validating: readonly Webhook[];
  /** Ends its watches. */
  stop(): void;
}

/** Sees a configuration as soon as the store's call has returned. */
export function openWebhookIndex(store: Store): WebhookIndex {
  const mutating = new WatchedWebhooks(store, MUTATING_CONFIGURATIONS);
  const validating = new WatchedWebhooks(store, VALIDATING_CONFIGURATIONS);
  return {
    get mutating() {
      return mutating.webhooks;
    },
    get validating() {
      return validating.webhooks;
    },
    stop() {
      mutating.stop();
      validating.stop();
    },
  };
}

class WatchedWebhooks {
  readonly stop: () => void;
  readonly #configurations = new Map<string, WebhookConfiguration>();
  #webhooks: readonly Webhook[] = [];

  constructor(store: Store, resource: GroupResource) {
    this.stop = store.watch(resource, {}, ({ type, object }) => {
      if (type !== "BOOKMARK") this.#take(object, type !== "DELETED");
    });
  }

  get webhooks(): readonly Webhook[] {
    return this.#webhooks;
  }

  #take(configuration: KubeObject, isThere: boolean): void {
    const name = configuration.metadata.name ?? "";
    if (isThere && isReadable(configuration)) this.#configurations.set(name, configuration);
    else this.#configurations.delete(name);
    this.#webhooks = webhooksOf(this.#configurations.values());
  }
}

/** False for one that was stored before anybody checked them. */
function isReadable(configuration: KubeObject): configuration is WebhookConfiguration {
  try {
    webhooksOf([configuration]);
    return true;
  } catch (error) {
    if (error instanceof SelectorError) return false;
    throw error;
  }
}
