/** Checks of paths that must stay below a volume's or a container's root (core `validation.go`). */
import { type FieldError, invalid } from "../field-error.ts";

export function validateNoBacksteps(path: string, field: string): FieldError[] {
  return path.split("/").includes("..") ? [invalid(field, path, "must not contain '..'")] : [];
}

/** Relative, and never upwards. */
export function validateDescendingPath(path: string, field: string): FieldError[] {
  const absolute = path.startsWith("/") ? [invalid(field, path, "must be a relative path")] : [];
  return [...absolute, ...validateNoBacksteps(path, field)];
}

/** The same, and not a name that volumes keep for themselves (`..data`). */
export function validateVolumeFilePath(path: string, field: string): FieldError[] {
  const reserved = path.startsWith("..") && !path.startsWith("../") && path !== "..";
  const errors = validateDescendingPath(path, field);
  return reserved ? [...errors, invalid(field, path, "must not start with '..'")] : errors;
}
