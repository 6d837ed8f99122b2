/** Draft: the image map only. */
import type { Images, ResolvedImage } from "./image.ts";
import { ImageError } from "./image.ts";
import { loadImageMap } from "./image-map-file.ts";
import { lookUp, mergeMaps } from "./image-map.ts";
import { parseReference } from "./reference.ts";
export type ClusterImages = Images & { readonly draft: true };
export function openImages({ mapFiles }: { root: string; mapFile: string; mapFiles: readonly string[] }): ClusterImages {
  const map = mergeMaps(mapFiles.map(loadImageMap));
  return {
    draft: true,
    isPresent: (name) => lookUp(map, parseReference(name)) !== undefined,
    async resolve({ name }) {
      const entry = lookUp(map, parseReference(name));
      if (entry?.mapping.kind !== "host") throw new ImageError("ErrImagePull", `cannot pull "${name}"; pillion images map ${name} host`);
      const m = entry.mapping;
      const image: ResolvedImage = {
        name, id: `host@sha256:${"0".repeat(64)}`,
        rootfs: { kind: "host", folders: [...(m.workdir ? [{ path: m.workdir }] : []), ...m.folders.map((path) => ({ path }))], copies: m.copies },
        config: { entrypoint: m.command ?? [], cmd: m.args ?? (m.command ? [] : ["/bin/sh"]), env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", ...Object.entries(m.env).map(([k, v]) => `${k}=${v}`)], user: m.user, workingDir: m.workdir ?? "", stopSignal: m.stopSignal, volumes: [] },
        size: 0,
      };
      return { ...image, pulled: false, pullMs: 0 };
    },
  };
}
