import { expect, test } from "bun:test";
import { openApiV2Document } from "./openapi-v2.ts";
import { ProtobufReader } from "./protobuf-wire.ts";

const ASKED = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
const POD = "/api/v1/namespaces/{namespace}/pods/{name}";
const NODE = "/api/v1/nodes/{name}";
const LEASE = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}";

/** The fields `number` of a message. */
function fields(bytes: Buffer, number: number): Buffer[] {
  const reader = new ProtobufReader(bytes);
  const found: Buffer[] = [];
  for (let tag = reader.tag(); tag !== undefined; tag = reader.tag()) {
    const value = reader.bytes();
    if (tag.number === number) found.push(value);
  }
  return found;
}

/** Follows one field number after the other, each time into the first of that number. */
function at(bytes: Buffer, ...numbers: readonly number[]): Buffer {
  return numbers.reduce((inner, number) => fields(inner, number)[0] ?? Buffer.of(), bytes);
}

test("the protobuf and the JSON document name the same paths", () => {
  const { body, contentType } = openApiV2Document(ASKED);
  expect(contentType).toBe("application/com.github.proto-openapi.spec.v2.v1.0+protobuf");
  const paths = fields(at(Buffer.from(body), 8), 2).map((path) => at(path, 1).toString());
  const json = openApiV2Document("application/json");
  expect(json.contentType).toBe("application/json");
  expect(Object.keys((JSON.parse(String(json.body)) as { paths: object }).paths)).toEqual(paths);
  expect(paths).toEqual(expect.arrayContaining([POD, NODE, LEASE]));
});

test("a patch operation names its kind and the parameters that kubectl looks for", () => {
  const document = Buffer.from(openApiV2Document(ASKED).body);
  const path = fields(at(document, 8), 2).find((one) => at(one, 1).toString() === LEASE) ?? Buffer.of();
  const patch = at(path, 2, 8);
  expect(fields(patch, 8).map((one) => at(one, 1, 2, 3, 4).toString())).toEqual([
    "dryRun",
    "fieldValidation",
  ]);
  expect(at(patch, 13, 1).toString()).toBe("x-kubernetes-group-version-kind");
  expect(JSON.parse(at(patch, 13, 2, 2).toString())).toEqual({
    group: "coordination.k8s.io",
    version: "v1",
    kind: "Lease",
  });
});
