/** The models of `@kubernetes/client-node`: field names, types and which fields are required. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { clientNodeFolder } from "./generated-file.ts";

export interface ModelField {
  readonly name: string;
  readonly required: boolean;
  /** As in `attributeTypeMap`: `string`, `Array<V1Container>`, `{ [key: string]: string; }`, ... */
  readonly type: string;
  /** `int32`, `int64`, `double`, `byte`, `date-time`, `date-time-micro`, `int-or-string` or empty. */
  readonly format: string;
}

export interface Model {
  readonly name: string;
  readonly fields: readonly ModelField[];
}

const ATTRIBUTE = /"name": "(\w+)",\s*"baseName": "([^"]+)",\s*"type": "([^"]+)",\s*"format": "([^"]*)"/g;

/** Undefined when the package has no such model. */
export function readModel(name: string): Model | undefined {
  const file = join(clientNodeFolder, "gen/models", name);
  if (!existsSync(`${file}.js`)) return undefined;
  const declared = readFileSync(`${file}.d.ts`, "utf8").replaceAll(/\/\*\*[\s\S]*?\*\//g, "");
  const attributes = readFileSync(`${file}.js`, "utf8").matchAll(ATTRIBUTE);
  const fields = [...attributes].map(([, property = "", baseName = "", type = "", format = ""]) => ({
    name: baseName,
    required: declared.includes(`'${property}': `),
    type,
    format,
  }));
  return { name, fields };
}
