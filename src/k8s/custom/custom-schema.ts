/** `JSONSchemaProps`: what a CustomResourceDefinition says of the shape of its objects. */
import { isJsonObject } from "../../lib/frozen-json.ts";

export interface ValidationRule {
  readonly rule: string;
  readonly message?: string;
  readonly messageExpression?: string;
  readonly reason?: string;
  readonly fieldPath?: string;
  readonly optionalOldSelf?: boolean;
}

export interface CustomSchema {
  readonly $ref?: string;
  readonly id?: string;
  readonly title?: string;
  readonly description?: string;
  readonly type?: string;
  readonly format?: string;
  readonly default?: unknown;
  readonly maximum?: number;
  readonly exclusiveMaximum?: boolean;
  readonly minimum?: number;
  readonly exclusiveMinimum?: boolean;
  readonly maxLength?: number;
  readonly minLength?: number;
  readonly pattern?: string;
  readonly maxItems?: number;
  readonly minItems?: number;
  readonly uniqueItems?: boolean;
  readonly multipleOf?: number;
  readonly enum?: readonly unknown[];
  readonly maxProperties?: number;
  readonly minProperties?: number;
  readonly required?: readonly string[];
  readonly items?: CustomSchema;
  readonly allOf?: readonly CustomSchema[];
  readonly oneOf?: readonly CustomSchema[];
  readonly anyOf?: readonly CustomSchema[];
  readonly not?: CustomSchema;
  readonly properties?: Readonly<Record<string, CustomSchema>>;
  readonly additionalProperties?: boolean | CustomSchema;
  readonly nullable?: boolean;
  readonly "x-kubernetes-preserve-unknown-fields"?: boolean;
  readonly "x-kubernetes-embedded-resource"?: boolean;
  readonly "x-kubernetes-int-or-string"?: boolean;
  readonly "x-kubernetes-list-type"?: string;
  readonly "x-kubernetes-list-map-keys"?: readonly string[];
  readonly "x-kubernetes-map-type"?: string;
  readonly "x-kubernetes-validations"?: readonly ValidationRule[];
}

export const PRESERVE = "x-kubernetes-preserve-unknown-fields";
export const EMBEDDED = "x-kubernetes-embedded-resource";
export const INT_OR_STRING = "x-kubernetes-int-or-string";
export const LIST_TYPE = "x-kubernetes-list-type";
export const LIST_MAP_KEYS = "x-kubernetes-list-map-keys";
export const MAP_TYPE = "x-kubernetes-map-type";
export const VALIDATIONS = "x-kubernetes-validations";

/** Of a property by its name, never of one that every object inherits. */
export function propertySchema({ properties }: CustomSchema, name: string): CustomSchema | undefined {
  return properties !== undefined && Object.hasOwn(properties, name) ? properties[name] : undefined;
}

/** Of the values of a map; undefined where any value is fine, or none. */
export function valueSchema({ additionalProperties }: CustomSchema): CustomSchema | undefined {
  return isJsonObject(additionalProperties) ? additionalProperties : undefined;
}

export function allowsOtherProperties({ additionalProperties }: CustomSchema): boolean {
  return additionalProperties !== undefined && additionalProperties !== false;
}
