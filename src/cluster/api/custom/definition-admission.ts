/** Says to the author of a CustomResourceDefinition what of it means nothing here. */
import { DEFINITIONS } from "../../../k8s/custom/definition.ts";
import { definitionWarnings } from "../../../k8s/custom/definition-warnings.ts";
import type { Admit } from "../api-context.ts";

export const warnOfDefinition: Admit = ({ info, object, warn }) => {
  if (info.groupResource === DEFINITIONS) for (const text of definitionWarnings(object)) warn(text);
  return object;
};
