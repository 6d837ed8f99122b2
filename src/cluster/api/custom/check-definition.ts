/** What a custom resource's definition says to every request: that it is going away, that a version is of the past. */
import { apiVersionOf, type ResourceInfo } from "../../../k8s/catalogue.ts";
import { type CustomVersion, type Definition, isTrue } from "../../../k8s/custom/definition.ts";
import { compareVersions } from "../../../k8s/custom/version-order.ts";
import { StatusError } from "../../../k8s/status-error.ts";
import type { ApiRequest } from "../exchange.ts";
import type { ResourceTarget } from "../resource-path.ts";

/** Throws `MethodNotAllowed` for new objects of a definition that is being deleted (apiextensions `crdHandler`). */
export function checkDefinition(request: ApiRequest, { info, name }: ResourceTarget): void {
  const { custom } = info;
  if (custom === undefined) return;
  if (request.method === "POST" && name === undefined && isTrue(custom.definition, "Terminating")) {
    throw new StatusError(
      "MethodNotAllowed",
      "create not allowed while custom resource definition is terminating",
    );
  }
  if (custom.version.deprecated === true) request.warn(deprecation(info, custom));
}

function deprecation(info: ResourceInfo, { definition, version }: CustomVersion): string {
  if (version.deprecationWarning !== undefined) return version.deprecationWarning;
  const old = `${apiVersionOf(info)} ${info.kind} is deprecated`;
  const newer = successorOf(definition, version.name);
  return newer === undefined ? old : `${old}; use ${info.group}/${newer} ${info.kind}`;
}

/** The served version that clients should rather use. */
function successorOf({ spec }: Definition, name: string): string | undefined {
  const better = spec.versions
    .filter((version) => version.served && version.deprecated !== true)
    .map((version) => version.name)
    .toSorted(compareVersions);
  return better.find((version) => compareVersions(version, name) < 0);
}
