/** `resourceVersion` as clients send it: opaque to them, a count to us. */
import { badRequest } from "./api-errors.ts";

/** 0 for "whatever you have" (absent, empty or `0`). Anything but a decimal number throws `BadRequest`. */
export function parseVersion(text: string | undefined): number {
  if (text === undefined || text === "") return 0;
  const version = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(version)) {
    throw badRequest(
      `Invalid value: ${JSON.stringify(text)}: resourceVersion must be a number that a list or watch has returned`,
    );
  }
  return version;
}
