/** Images of which tests say which are there, and which cannot be pulled. */
import { ImageError, type ImageConfig, type ImageRequest, type Images } from "../../images/image.ts";

const CONFIG: ImageConfig = {
  entrypoint: ["/entry"],
  cmd: ["from-image"],
  env: ["PATH=/bin", "FROM_IMAGE=yes"],
  user: "",
  workingDir: "/srv",
  stopSignal: "SIGTERM",
  volumes: [],
};

export class FakeImages implements Images {
  readonly present = new Set<string>(["img", "img2", "img:latest"]);
  /** Those of `present` that the image map sends to this machine. */
  readonly mapped = new Set<string>();
  readonly failures = new Map<string, ImageError>();
  readonly requests: ImageRequest[] = [];
  config: Partial<ImageConfig> = {};
  /** While set, pulls wait for it. */
  gate: Promise<void> | undefined;

  isPresent(name: string): boolean {
    return this.present.has(name);
  }

  async resolve(request: ImageRequest) {
    this.requests.push(request);
    if (this.gate !== undefined && !this.present.has(request.name))
      await abortable(this.gate, request.signal);
    const failure = this.failures.get(request.name);
    if (failure !== undefined) throw failure;
    const pulled = !this.present.has(request.name);
    if (pulled && request.policy === "Never") throw new ImageError("ErrImageNeverPull", "not here");
    this.present.add(request.name);
    return {
      name: request.name,
      id: `${request.name}@sha256:${"0".repeat(64)}`,
      rootfs: this.mapped.has(request.name)
        ? { kind: "host" as const, folders: [], copies: [] }
        : { kind: "image" as const, path: `/images/${request.name}` },
      config: { ...CONFIG, ...this.config },
      size: 1000,
      pulled,
      pullMs: pulled ? 1234 : 0,
    };
  }
}

function abortable(gate: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.addEventListener("abort", () => reject(new DOMException("aborted", "AbortError")));
    gate.then(resolve, reject);
  });
}
