/** Tells who writes an object what of it is hardly meant, or does not happen here. The cluster's own controllers know. */
import { writeWarnings } from "../../k8s/write-warnings.ts";
import type { Admit } from "./api-context.ts";

export const warnOfWrite: Admit = ({ info, object, before, user, warn }) => {
  if (user !== undefined) writeWarnings(info.groupResource, object, before).forEach(warn);
  return object;
};
