/** Image management, the same for a running cluster and for one that is down: calls in, lines of progress and results out. */
import type { ImageAnswer } from "../cli/commands/images.ts";
import type { ClusterImages } from "../cluster/images/open-images.ts";

export interface AdminCall {
  readonly method: string;
  /** Below `/pillion/v1/`, with its query. */
  readonly path: string;
  readonly body?: unknown;
}

export async function* handleImageCall(_images: ClusterImages, _call: AdminCall): AsyncGenerator<ImageAnswer> {
  yield { result: { images: [], map: [] } };
}
