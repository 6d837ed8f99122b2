/** The one thing that defaulting has to know of an image name: whether its tag is `latest`. */

const PART = "[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*";
const HOST_PART = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const HOST = `(?:${HOST_PART}(?:\\.${HOST_PART})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`;
const REFERENCE = new RegExp(
  `^(?:${HOST}/)?${PART}(?:/${PART})*(?::(?<tag>[\\w][\\w.-]{0,127}))?(?<digest>@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?$`,
);

/** Longest image name that is looked at; registries allow 255 bytes for the path. */
const MAX_LENGTH = 1024;

/** `parsers.ParseImageName`: no tag and no digest means `latest`; a name that cannot be read has no tag. */
export function hasLatestTag(image: string): boolean {
  const groups = image.length > MAX_LENGTH ? undefined : REFERENCE.exec(image)?.groups;
  if (groups === undefined) return false;
  const { tag, digest } = groups;
  return tag === undefined ? digest === undefined : tag === "latest";
}
