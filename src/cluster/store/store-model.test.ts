/** Random histories against a model: what every watcher and every list must show is computed beside the store. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import type { KubeObject } from "../../k8s/object.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { at, configMap, openTestStore } from "../../testing/store-fixtures.ts";
import type { Selection, Store, WatchEvent } from "./store.ts";

const HISTORY_LIMIT = 8;
const NAMES = ["a", "b", "c", "d"];
const COLOURS = ["red", "blue"];

const name = fc.constantFrom(...NAMES);
const namespace = fc.constantFrom("default", "other");
const colour = fc.constantFrom(...COLOURS);
const place = fc.record({ name, namespace });
const selection = fc.record({
  namespace: fc.option(namespace, { nil: "" }),
  colour: fc.option(colour, { nil: undefined }),
});

type Operation =
  | {
      readonly kind: "create" | "update";
      readonly place: { name: string; namespace: string };
      readonly colour: string;
    }
  | { readonly kind: "delete" | "finish"; readonly place: { name: string; namespace: string } }
  | { readonly kind: "watch"; readonly back: number; readonly selection: Choice; readonly initial: boolean }
  | { readonly kind: "page"; readonly limit: number; readonly selection: Choice };

interface Choice {
  readonly namespace: string;
  readonly colour: string | undefined;
}

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("create"), place, colour }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("update"), place, colour }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("delete"), place }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("finish"), place }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("watch"),
      back: fc.nat({ max: HISTORY_LIMIT + 3 }),
      selection,
      initial: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("page"), limit: fc.integer({ min: 1, max: 3 }), selection }),
  },
);

function toSelection(choice: Choice): Selection {
  const { namespace, colour } = choice;
  if (colour === undefined) return { namespace };
  return { namespace, matches: ({ metadata }) => metadata.labels?.["colour"] === colour };
}

/** Every state that ever was, by version, as plain lists. */
class Model {
  readonly #store: Store;
  readonly #states = new Map<number, readonly KubeObject[]>();
  readonly first: number;

  constructor(store: Store) {
    this.#store = store;
    this.first = Number(store.resourceVersion());
    this.record();
  }

  record(): void {
    this.#states.set(Number(this.#store.resourceVersion()), this.#store.list("configmaps").items);
  }

  get version(): number {
    return Number(this.#store.resourceVersion());
  }

  /** The oldest version that history still reaches: the two namespaces of the fixture are changes, too. */
  get oldest(): number {
    return Math.max(0, this.version - HISTORY_LIMIT);
  }

  at(version: number, { namespace = "", matches }: Selection): readonly KubeObject[] {
    const items = this.#states.get(version) ?? [];
    return items.filter(
      (object) =>
        (namespace === "" || object.metadata.namespace === namespace) && (matches?.(object) ?? true),
    );
  }
}

/** What a client knows that starts with `known` and applies events as an informer does. */
class Replica {
  readonly selection: Selection;
  readonly #known = new Map<string, KubeObject>();
  #newest = 0;

  constructor(selection: Selection, known: readonly KubeObject[]) {
    this.selection = selection;
    for (const object of known) this.#known.set(keyOf(object), object);
  }

  apply({ type, object }: WatchEvent, isInitial: boolean): void {
    const version = Number(object.metadata.resourceVersion);
    if (!isInitial) {
      expect(version).toBeGreaterThan(this.#newest);
      this.#newest = version;
    }
    if (type === "BOOKMARK") return;
    expect(this.#known.has(keyOf(object))).toBe(type !== "ADDED");
    if (type === "DELETED") this.#known.delete(keyOf(object));
    else this.#known.set(keyOf(object), object);
  }

  get items(): readonly KubeObject[] {
    return [...this.#known.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  }
}

function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace}/${metadata.name}`;
}

function startWatch(
  store: Store,
  model: Model,
  step: Extract<Operation, { kind: "watch" }>,
): Replica | undefined {
  const selection = toSelection(step.selection);
  const wanted = Math.max(model.first, model.version - step.back);
  const replica = new Replica(selection, step.initial ? [] : model.at(wanted, selection));
  const query = step.initial ? { sendInitialEvents: true } : { resourceVersion: String(wanted) };
  let isInitial = step.initial;
  try {
    store.watch("configmaps", { ...selection, ...query }, (event) => {
      replica.apply(event, isInitial);
      if (event.type === "BOOKMARK") isInitial = false;
    });
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    expect([error.reason, wanted < model.oldest]).toEqual(["Expired", true]);
    return undefined;
  }
  expect(step.initial || wanted >= model.oldest).toBe(true);
  return replica;
}

interface OpenPage {
  readonly version: number;
  readonly selection: Selection;
  readonly limit: number;
  readonly seen: readonly KubeObject[];
  readonly token: string;
}

/** Reads one page more; a finished list must be the list of its first page's moment. */
function turnPage(store: Store, model: Model, page: OpenPage): OpenPage | undefined {
  let answer;
  try {
    const query = page.token === "" ? {} : { continue: page.token };
    answer = store.list("configmaps", { ...page.selection, limit: page.limit, ...query });
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
    expect([error.reason, page.version < model.oldest]).toEqual(["Expired", true]);
    return undefined;
  }
  const seen = [...page.seen, ...answer.items];
  const all = model.at(page.version, page.selection);
  expect(Number(answer.resourceVersion)).toBe(page.version);
  expect(seen).toEqual(all.slice(0, seen.length));
  expect(answer.continue === undefined).toBe(seen.length === all.length);
  if (page.selection.matches === undefined)
    expect(answer.remainingItemCount ?? 0).toBe(all.length - seen.length);
  return answer.continue === undefined ? undefined : { ...page, seen, token: answer.continue };
}

/** Refusals are part of the game: names are taken, objects are missing. */
function write(store: Store, step: Exclude<Operation, { kind: "watch" | "page" }>): void {
  const where = at(step.place.name, step.place.namespace);
  try {
    if (step.kind === "create") {
      const metadata = {
        ...where,
        labels: { colour: step.colour },
        finalizers: step.colour === "red" ? ["x/y"] : [],
      };
      store.create("configmaps", configMap(where.name, { metadata }));
    } else if (step.kind === "update") {
      store.update("configmaps", where, (current) => ({
        ...current,
        metadata: { ...current.metadata, labels: { colour: step.colour } },
      }));
    } else if (step.kind === "delete") {
      store.delete("configmaps", where);
    } else {
      store.update("configmaps", where, (now) => ({ ...now, metadata: { ...now.metadata, finalizers: [] } }));
    }
  } catch (error) {
    if (!(error instanceof StatusError)) throw error;
  }
}

test("every watcher, started at any version, and every paged list shows what was there", () => {
  fc.assert(
    fc.property(fc.array(operation, { minLength: 1, maxLength: 60, size: "max" }), (steps) => {
      const store = openTestStore({ historyLimit: HISTORY_LIMIT });
      const model = new Model(store);
      const replicas: Replica[] = [];
      let pages: OpenPage[] = [];
      for (const step of steps) {
        if (step.kind === "watch") {
          const replica = startWatch(store, model, step);
          if (replica !== undefined) replicas.push(replica);
        } else if (step.kind === "page") {
          const selection = toSelection(step.selection);
          pages.push({ version: model.version, selection, limit: step.limit, seen: [], token: "" });
          pages = pages.flatMap((page) => turnPage(store, model, page) ?? []);
        } else {
          write(store, step);
          model.record();
        }
        for (const replica of replicas) {
          expect(replica.items).toEqual(store.list("configmaps", replica.selection).items);
        }
      }
      store.close();
    }),
    { numRuns: Number(process.env["PILLION_SOAK"] ?? 0) > 0 ? 5_000 : 200 },
  );
});
