/** Shows objects in the shape a client asked for: themselves, rows of a Table, or their metadata alone. */
import type { KubeObject } from "../../k8s/object.ts";
import { StatusError } from "../../k8s/status-error.ts";
import { apiVersionOf, type ResourceInfo } from "../../k8s/catalogue.ts";
import type { ListResult, WatchEvent } from "../store/store.ts";
import type { Accepted } from "./accept.ts";
import { customPrinter } from "./tables/custom-table.ts";
import { printerFor } from "./tables/printer-for.ts";

export interface Presenter {
  readonly object: (object: KubeObject) => object;
  readonly list: (result: ListResult) => object;
  /** The object of a watch event. Only a Table's first event carries the column definitions. */
  readonly event: (event: WatchEvent) => object;
}

export interface PresenterOptions {
  readonly info: ResourceInfo;
  readonly accepted: Accepted;
  /** `includeObject` of the query: what stands in a Table's rows beside the cells. */
  readonly includeObject: string | null;
  /** Milliseconds since the epoch, for ages. */
  readonly now: () => number;
}

export function presenterFor(options: PresenterOptions): Presenter {
  if (options.accepted.shape === "Table") return tablePresenter(options);
  return options.accepted.shape === "Object" ? plainPresenter(options) : metadataPresenter(options);
}

function listMeta({ resourceVersion, continue: token, remainingItemCount }: ListResult): object {
  return {
    resourceVersion,
    ...(token === undefined ? {} : { continue: token }),
    ...(remainingItemCount === undefined ? {} : { remainingItemCount }),
  };
}

function plainPresenter({ info }: PresenterOptions): Presenter {
  return {
    object: (object) => object,
    list: (result) => ({
      kind: info.custom?.listKind ?? `${info.kind}List`,
      apiVersion: apiVersionOf(info),
      metadata: listMeta(result),
      // Items of a list do not repeat what the list says of them all; custom resources have no Go type that could leave it out.
      items:
        info.custom === undefined
          ? result.items.map(({ kind: _kind, apiVersion: _apiVersion, ...item }) => item)
          : result.items,
    }),
    event: ({ object }) => object,
  };
}

function metadataPresenter({ accepted }: PresenterOptions): Presenter {
  const apiVersion = `meta.k8s.io/${accepted.version}`;
  const object = ({ metadata }: KubeObject) => ({ kind: "PartialObjectMetadata", apiVersion, metadata });
  return {
    object,
    list: (result) => ({
      kind: "PartialObjectMetadataList",
      apiVersion,
      metadata: listMeta(result),
      items: result.items.map(object),
    }),
    event: (event) => object(event.object),
  };
}

const INCLUDE: ReadonlySet<string> = new Set(["", "None", "Metadata", "Object"]);

function tablePresenter({ info, accepted, includeObject, now }: PresenterOptions): Presenter {
  const include = includeObject ?? "";
  if (!INCLUDE.has(include)) {
    throw new StatusError("BadRequest", `unrecognized includeObject value: ${JSON.stringify(include)}`);
  }
  const apiVersion = `meta.k8s.io/${accepted.version}`;
  const printer = info.custom === undefined ? printerFor(info.groupResource) : customPrinter(info.custom);
  const rowObject = (object: KubeObject) => {
    if (include === "None") return {};
    if (include === "Object") return { object };
    return { object: { kind: "PartialObjectMetadata", apiVersion, metadata: object.metadata } };
  };
  const row = (object: KubeObject) => ({ cells: printer.row(object, now()), ...rowObject(object) });
  const table = (metadata: object, rows: readonly object[]) => ({
    kind: "Table",
    apiVersion,
    metadata,
    columnDefinitions: printer.columns,
    rows,
  });
  let isFirst = true;
  return {
    object: (object) => table(versionOf(object), [row(object)]),
    list: (result) => table(listMeta(result), result.items.map(row)),
    event({ type, object }) {
      const rows = type === "BOOKMARK" ? [{ cells: [], object }] : [row(object)];
      const shown = { ...table(versionOf(object), rows), ...(isFirst ? {} : { columnDefinitions: null }) };
      isFirst = false;
      return shown;
    },
  };
}

function versionOf({ metadata: { resourceVersion } }: KubeObject): object {
  return resourceVersion === undefined ? {} : { resourceVersion };
}
