/**
 * OpenAPI v2, as little of it as kubectl needs: it asks here for kinds that no v3 document names (`List`, or one that the
 * server does not have) and must get an answer before it says what is wrong, or sends the items of the list.
 */
import { createHash } from "node:crypto";
import { apiVersionOf, type ResourceInfo, resources } from "../../k8s/catalogue.ts";
import { mediaRanges } from "./accept.ts";

/** gnostic's `openapi.v2.Document`, which is all that kubectl reads. An answer's type may not have the `@`. */
const ASKED_PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
const PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

export interface OpenApiV2Document {
  readonly contentType: string;
  readonly body: string | Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
}

/** Which kinds can be patched, with `dryRun` and `fieldValidation`; no schemas, which are in v3. */
export function openApiV2Document(
  accept: string | undefined,
  served: readonly ResourceInfo[] = resources,
): OpenApiV2Document {
  const isProtobuf = mediaRanges(accept ?? "").some(
    ({ type }) => type === ASKED_PROTOBUF || type === PROTOBUF,
  );
  const body = isProtobuf ? protobufDocument(served) : JSON.stringify(jsonDocument(served));
  return {
    contentType: isProtobuf ? PROTOBUF : "application/json",
    body,
    headers: {
      etag: `"${createHash("sha256").update(body).digest("hex").slice(0, 32)}"`,
      vary: "Accept",
      "cache-control": "no-cache, private",
    },
  };
}

const INFO = { title: "Kubernetes", version: "v1.36.0" } as const;
const PARAMETERS = ["dryRun", "fieldValidation"] as const;
const KIND_EXTENSION = "x-kubernetes-group-version-kind";

function patchable(served: readonly ResourceInfo[]): readonly ResourceInfo[] {
  return served.filter(({ verbs }) => verbs.includes("patch"));
}

function itemPath(info: ResourceInfo): string {
  const root = info.group === "" ? "/api" : "/apis";
  const scope = info.namespaced ? "/namespaces/{namespace}" : "";
  return `${root}/${info.group === "" ? info.version : apiVersionOf(info)}${scope}/${info.plural}/{name}`;
}

function jsonDocument(served: readonly ResourceInfo[]): object {
  const paths = patchable(served).map((info) => {
    const { group, version, kind } = info;
    const patch = {
      parameters: PARAMETERS.map((name) => ({ name, in: "query", type: "string", uniqueItems: true })),
      responses: { "200": { description: "OK" } },
      [KIND_EXTENSION]: { group, version, kind },
    };
    return [itemPath(info), { patch }] as const;
  });
  return { swagger: "2.0", info: INFO, paths: Object.fromEntries(paths), definitions: {} };
}

/** Field numbers are those of gnostic's `OpenAPIv2.proto`. */
function protobufDocument(served: readonly ResourceInfo[]): Uint8Array {
  const info = message([1, INFO.title], [2, INFO.version]);
  const paths = message(...patchable(served).map((one) => [2, namedPath(one)] as const));
  return message([1, "2.0"], [2, info], [8, paths]);
}

function namedPath(info: ResourceInfo): Buffer {
  const { group, version, kind } = info;
  const yaml = JSON.stringify({ group, version, kind });
  const extension = message([1, KIND_EXTENSION], [2, message([2, yaml])]);
  const parameters = PARAMETERS.map((name) => [8, queryParameter(name)] as const);
  const patch = message(...parameters, [13, extension]);
  return message([1, itemPath(info)], [2, message([8, patch])]);
}

/** `ParametersItem` of a `Parameter` of a `NonBodyParameter` of a `QueryParameterSubSchema`. */
function queryParameter(name: string): Buffer {
  const query = message([2, "query"], [4, name], [6, "string"]);
  return message([1, message([2, message([3, query])])]);
}

/** A protobuf message of length-delimited fields. */
function message(...fields: readonly (readonly [number: number, value: string | Buffer])[]): Buffer {
  const parts = fields.flatMap(([number, value]) => {
    const bytes = Buffer.from(value);
    return [varint(number * 8 + 2), varint(bytes.length), bytes];
  });
  return Buffer.concat(parts);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Buffer.from([...bytes, rest]);
}
