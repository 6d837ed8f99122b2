/** Finds the running container or pod that a subresource names, and hands its streams to the API. */
import { StatusError } from "../../k8s/status-error.ts";
import type { RunningContainer } from "../sandbox/sandbox.ts";
import { ContainerStartError } from "../sandbox/sandbox.ts";
import type { PodWorker } from "./pod-worker.ts";
import type { ContainerPlace, KubeletPort, PodUse } from "./port.ts";
import type { ResourceUse } from "../sandbox/sandbox.ts";

interface RunningPods {
  readonly workers: () => Iterable<PodWorker>;
  /** What all of the node uses. */
  readonly nodeUse: () => ResourceUse;
}

/** The stream part of `KubeletPort` (kubelet server.go getExec, getAttach, getPortForward). */
export function containerStreams({ workers, nodeUse }: RunningPods): Omit<KubeletPort, "openLog"> {
  const find = (namespace: string, name: string) =>
    [...workers()].find((worker) => worker.isFor(namespace, name));
  const running = ({ namespace, name, container }: ContainerPlace): RunningContainer => {
    const found = find(namespace, name)?.runningContainer(container);
    if (found === undefined)
      throw new StatusError("NotFound", `container not found (${JSON.stringify(container)})`);
    return found;
  };
  return {
    isRunning({ namespace, name, container }) {
      const worker = find(namespace, name);
      if (container === undefined) return worker?.readySandbox() !== undefined;
      return worker?.runningContainer(container) !== undefined;
    },
    async exec(at, spec) {
      try {
        return await running(at).exec(spec);
      } catch (error) {
        if (!(error instanceof ContainerStartError)) throw error;
        throw new StatusError("InternalError", `Internal error occurred: ${error.message}`);
      }
    },
    attach(at, spec) {
      const container = running(at);
      return Promise.resolve({ ...container.attach(spec), exited: container.exited });
    },
    async connect({ namespace, name }, port, signal) {
      const sandbox = find(namespace, name)?.readySandbox();
      if (sandbox === undefined)
        throw new StatusError("NotFound", `pod not found (${JSON.stringify(`${name}_${namespace}`)})`);
      return await sandbox.connect({ ip: "127.0.0.1", port }, signal);
    },
    usage: () => ({
      node: nodeUse(),
      pods: [...workers()].map((worker) => worker.usage()).filter((use): use is PodUse => use !== undefined),
    }),
  };
}
