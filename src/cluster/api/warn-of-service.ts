/** Tells who writes a Service what of it does not happen here. */
import type { Service } from "../../../generated/kubernetes.ts";
import { serviceWarnings } from "../../k8s/service-warnings.ts";
import type { Unchecked } from "../../k8s/validation/unchecked.ts";
import type { Admit } from "./api-context.ts";

export const warnOfService: Admit = ({ info, object, warn }) => {
  if (info.groupResource === "services")
    serviceWarnings((object as Unchecked<Service>).spec ?? {}).forEach(warn);
  return object;
};
