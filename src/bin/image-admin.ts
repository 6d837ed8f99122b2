/** Image management, the same for a running cluster and for one that is down: calls in, lines of progress and results out. */
import { z } from "zod";
import type { ImageAnswer, ListedImage, ListedMapping } from "../cli/commands/images.ts";
import { ImageError } from "../cluster/images/image.ts";
import { loadImageMap, parseMapping } from "../cluster/images/image-map-file.ts";
import { describeMapping } from "../cluster/images/image-map.ts";
import type { ListedImage as StoredListing, LocalImages } from "../cluster/images/open-images.ts";
import type { PullProgress } from "../cluster/images/pull.ts";
import { messageOf, Problem } from "../kernel/problem.ts";

export interface AdminCall {
  readonly method: string;
  /** Below `/pillion/v1/`, with its query. */
  readonly path: string;
  readonly body?: unknown;
}

export interface ImageAdmin {
  readonly images: LocalImages;
  /** Told after the store or the map has changed. */
  readonly onChange: () => void;
  /** Where progress of pulls comes from; the returned function ends it. */
  readonly onProgress: (listener: (progress: PullProgress) => void) => () => void;
}

const Named = z.strictObject({ name: z.string().min(1) });
const Import = z.strictObject({ path: z.string().startsWith("/"), name: z.string().min(1).optional() });
const Mapped = z.strictObject({
  name: z.string().min(1),
  target: z.string().min(1),
  /** What relative paths in the target mean. */
  folder: z.string().startsWith("/"),
});
const MapFile = z.strictObject({ file: z.string().startsWith("/") });

/** Answers with the result, a promise of it, or a stream of answers. */
type Handler = (admin: ImageAdmin, input: unknown) => unknown;

const HANDLERS: Readonly<Record<string, Handler>> = {
  "GET images": ({ images }) => ({
    images: images.list().map(listed),
    map: images.mappings().map(({ name, mapping, source }): ListedMapping => ({
      name,
      target: describeMapping(mapping),
      from: source,
    })),
  }),
  "POST images/pull": (admin, input) => pull(admin, Named.parse(input).name),
  async "POST images/import"({ images, onChange }, input) {
    const { path, name } = Import.parse(input);
    const imported = new Set((await images.import(path, name)).map(({ id }) => id));
    onChange();
    return {
      images: images
        .list()
        .filter(({ id }) => imported.has(id))
        .map(listed),
    };
  },
  async "DELETE images"({ images, onChange }, input) {
    await images.remove(Named.parse(input).name);
    onChange();
  },
  "POST image-map"({ images, onChange }, input) {
    const { name, target, folder } = Mapped.parse(input);
    images.map(name, parseMapping(target, folder));
    onChange();
  },
  "POST image-map/files"({ images, onChange }, input) {
    images.adoptMaps([loadImageMap(MapFile.parse(input).file)]);
    onChange();
  },
  "DELETE image-map"({ images, onChange }, input) {
    images.unmap(Named.parse(input).name);
    onChange();
  },
};

/** One `result` at the end, or one `problem`. */
export async function* handleImageCall(
  admin: ImageAdmin,
  { method, path, body }: AdminCall,
): AsyncGenerator<ImageAnswer> {
  const [route = "", query = ""] = path.split("?");
  const handler = HANDLERS[`${method} ${route}`];
  if (handler === undefined) {
    yield problem(
      new Problem({
        code: "E_NO_SUCH_CALL",
        message: `Cannot answer ${method} ${route}: there is no such call`,
        fix: "Use the `pillion` command of the same version as the running cluster",
      }),
    );
    return;
  }
  try {
    const answer = handler(admin, body ?? Object.fromEntries(new URLSearchParams(query)));
    if (isStream(answer)) yield* answer;
    else yield { result: (await answer) ?? {} };
  } catch (error) {
    yield problem(asProblem(error));
  }
}

function isStream(answer: unknown): answer is AsyncIterable<ImageAnswer> {
  return typeof answer === "object" && answer !== null && Symbol.asyncIterator in answer;
}

function problem({ code, message, fix }: Problem): ImageAnswer {
  return { problem: { code, message, fix } };
}

/** Bugs go on; what users can act on becomes a problem. */
function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof ImageError) {
    return new Problem({
      code: "E_IMAGE_PULL",
      message: `Cannot get the image: ${messageOf(error)}`,
      fix: "Correct the name or log in to its registry, import it with `pillion images import`, or map it",
      cause: error,
    });
  }
  throw error;
}

const PROGRESS_EVERY_MS = 1000;
const MIB = 1024 * 1024;

/** Says how far it is once a second. */
async function* pull(
  { images, onChange, onProgress }: ImageAdmin,
  name: string,
): AsyncGenerator<ImageAnswer> {
  let latest: PullProgress | undefined;
  const unsubscribe = onProgress((progress) => (latest = progress));
  const pulling = images.pull(name);
  try {
    while (!(await settledWithin(pulling, PROGRESS_EVERY_MS))) {
      if (latest === undefined) continue;
      const { downloadedBytes, totalBytes, unpackedLayers, totalLayers } = latest;
      const downloaded = `${Math.ceil(downloadedBytes / MIB)} of ${Math.ceil(totalBytes / MIB)} MiB`;
      yield { progress: `${name}: ${downloaded}, ${unpackedLayers} of ${totalLayers} layers unpacked` };
    }
    const image = await pulling;
    onChange();
    yield { result: listed(image) };
  } finally {
    unsubscribe();
  }
}

async function settledWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<boolean>();
  const timer = setTimeout(resolve, ms, false);
  const settled = work.then(
    () => true,
    () => true,
  );
  const isSettled = await Promise.race([settled, late]);
  clearTimeout(timer);
  return isSettled;
}

function listed({ name, id, size }: StoredListing): ListedImage {
  return { name, digest: id, sizeBytes: size };
}
