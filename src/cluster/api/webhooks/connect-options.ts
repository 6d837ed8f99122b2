/** The query of a stream as the object that it stands for: `PodExecOptions` and its like (core/v1). */
import type { SubresourceInfo } from "../../../k8s/catalogue.ts";
import type { KubeObject } from "../../../k8s/object.ts";
import { asBoolean } from "../request-options.ts";

const FLAGS = ["stdin", "stdout", "stderr", "tty"] as const;

/** Has no metadata, which no webhook expects of it. */
export function connectOptions({ kind }: SubresourceInfo, query: URLSearchParams): KubeObject {
  const container = query.get("container") ?? "";
  const command = query.getAll("command");
  const ports = query
    .getAll("ports")
    .flatMap((text) => text.split(","))
    .map(Number);
  const options: Omit<KubeObject, "metadata"> = {
    kind,
    apiVersion: "v1",
    ...Object.fromEntries(
      FLAGS.filter((name) => query.has(name) && asBoolean(query.get(name) ?? "")).map((name) => [name, true]),
    ),
    ...(container === "" ? {} : { container }),
    ...(command.length === 0 ? {} : { command }),
    ...(ports.length === 0 ? {} : { ports }),
  };
  return options as KubeObject;
}
