/** What the threads of an unpacking say to each other. */
import type { FileRange } from "./byte-streams.ts";
import type { UnpackLimits, Unpacked } from "./unpack.ts";

export interface UnpackJob {
  /** An empty folder. */
  readonly root: string;
  readonly limits: UnpackLimits;
}

export type UnpackOrder =
  /** Unpack the next layer, and tell its digest by this algorithm. */
  | { readonly kind: "layer"; readonly range: FileRange; readonly algorithm: string }
  | { readonly kind: "finish" }
  /** Give up what is being unpacked, and end. */
  | { readonly kind: "stop" };

export type UnpackReply =
  | { readonly kind: "layer"; readonly digest: string }
  | { readonly kind: "finished"; readonly unpacked: Unpacked }
  | {
      readonly kind: "failed";
      readonly isArchiveError: boolean;
      readonly message: string;
      readonly code?: string;
    };
