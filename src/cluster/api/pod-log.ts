/** `GET pods/NAME/log`: finds the container, checks the options, and streams what the kubelet reads. */
import type { Pod } from "../../../generated/kubernetes.ts";
import { type FieldError, forbidden, invalid, invalidObject } from "../../k8s/field-error.ts";
import { StatusError } from "../../k8s/status-error.ts";
import type { KubeletPort, LogOptions } from "../kubelet/port.ts";
import { chooseContainer } from "./choose-container.ts";
import type { Answer, ApiRequest, Sink } from "./exchange.ts";
import { textAnswer } from "./exchange.ts";
import { asBoolean, integer } from "./request-options.ts";

/** `BadRequest` and `Invalid` in the words of the real server; the kubelet's own refusals pass through. */
export async function podLogAnswer(pod: Pod, kubelet: KubeletPort, request: ApiRequest): Promise<Answer> {
  const { name = "", namespace = "" } = pod.metadata ?? {};
  const options = logOptions(request.query, name);
  const container = chooseContainer(pod, options.container);
  // Nobody runs the pod yet, so there is nothing to read, which is no error.
  if ((pod.spec?.nodeName ?? "") === "") return textAnswer("");
  const log = await kubelet.openLog({ namespace, name }, { ...options, container }, request.signal);
  return { kind: "stream", contentType: "text/plain", run: (sink) => copy(log, sink) };
}

async function copy(log: AsyncIterable<Uint8Array>, sink: Sink): Promise<void> {
  for await (const chunk of log) {
    if (!sink.write(chunk)) await sink.drained();
    if (sink.signal.aborted) return;
  }
}

/** apis/core/validation `ValidatePodLogOptions`. */
function logOptions(query: URLSearchParams, podName: string): LogOptions {
  const flag = (name: string) => query.has(name) && asBoolean(query.get(name) ?? "");
  const tailLines = integer(query, "tailLines");
  const sinceSeconds = integer(query, "sinceSeconds");
  const limitBytes = integer(query, "limitBytes");
  const sinceTime = query.get("sinceTime") ?? "";
  const errors: FieldError[] = [];
  if (tailLines !== undefined && tailLines < 0) {
    errors.push(invalid("tailLines", tailLines, "must be greater than or equal to 0"));
  }
  if (limitBytes !== undefined && limitBytes < 1) {
    errors.push(invalid("limitBytes", limitBytes, "must be greater than 0"));
  }
  if (sinceSeconds !== undefined && sinceTime !== "") {
    errors.push(forbidden("", "at most one of `sinceTime` or `sinceSeconds` may be specified"));
  } else if (sinceSeconds !== undefined && sinceSeconds < 1) {
    errors.push(invalid("sinceSeconds", sinceSeconds, "must be greater than 0"));
  }
  if (errors.length > 0) throw invalidObject({ group: "", kind: "PodLogOptions", name: podName }, errors);
  if (sinceTime !== "" && Number.isNaN(Date.parse(sinceTime))) {
    throw new StatusError(
      "BadRequest",
      `parsing time ${JSON.stringify(sinceTime)} as RFC 3339: it is not a time`,
    );
  }
  return {
    container: query.get("container") ?? "",
    follow: flag("follow"),
    previous: flag("previous"),
    timestamps: flag("timestamps"),
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(sinceSeconds === undefined ? {} : { sinceSeconds }),
    ...(sinceTime === "" ? {} : { sinceTime }),
    ...(limitBytes === undefined ? {} : { limitBytes }),
  };
}
