/** Checks of where containers mount volumes and devices (core `validation.go`). */
import type { Container, Volume, VolumeDevice, VolumeMount } from "../../../generated/kubernetes.ts";
import { type FieldError, forbidden, invalid, notFound, notSupported, required } from "../field-error.ts";
import { validateDescendingPath, validateNoBacksteps } from "./local-path.ts";
import type { Unchecked } from "./unchecked.ts";

const PROPAGATIONS = ["Bidirectional", "HostToContainer", "None"];
const RECURSIVE_READ_ONLY = ["Disabled", "Enabled", "IfPossible"];

export interface MountsPlace {
  /** That of the container. */
  readonly path: string;
  readonly volumes: ReadonlyMap<string, Unchecked<Volume>>;
}

/**
 * A relative mountPath passes, as on the real server: the node takes it from the root. The paths of sub-paths and
 * propagations come without an index, as Kubernetes reports them.
 */
export function validateMounts(
  container: Unchecked<Container>,
  { path, volumes }: MountsPlace,
): FieldError[] {
  const { volumeMounts = [], volumeDevices = [] } = container;
  const list = `${path}.volumeMounts`;
  const taken = new Set<string>();
  return volumeMounts.flatMap((mount, index) => {
    const { name = "", mountPath = "" } = mount;
    const at = `${list}[${index}]`;
    const errors: FieldError[] = [];
    if (name === "") errors.push(required(`${at}.name`));
    if (!volumes.has(name)) errors.push(notFound(`${at}.name`, name));
    if (mountPath === "") errors.push(required(`${at}.mountPath`));
    if (taken.has(mountPath)) errors.push(invalid(`${at}.mountPath`, mountPath, "must be unique"));
    taken.add(mountPath);
    if (volumeDevices.some((device) => device.name === name)) {
      errors.push(invalid(`${at}.name`, name, "must not already exist in volumeDevices"));
    }
    if (volumeDevices.some((device) => device.devicePath === mountPath)) {
      errors.push(invalid(`${at}.mountPath`, mountPath, "must not already exist as a path in volumeDevices"));
    }
    return [
      ...errors,
      ...validateSubPath(mount, list, `${at}.subPathExpr`),
      ...validatePropagation(mount, list, container.securityContext?.privileged === true),
      ...validateRecursion(mount, `${list}.recursiveReadOnly`),
    ];
  });
}

type Mount = Unchecked<VolumeMount>;

function validateSubPath(
  { subPath = "", subPathExpr = "" }: Mount,
  list: string,
  exprField: string,
): FieldError[] {
  const errors = subPath === "" ? [] : validateDescendingPath(subPath, `${list}.subPath`);
  if (subPathExpr === "") return errors;
  if (subPath !== "")
    errors.push(invalid(exprField, subPathExpr, "subPathExpr and subPath are mutually exclusive"));
  return [...errors, ...validateDescendingPath(subPathExpr, `${list}.subPathExpr`)];
}

function validatePropagation(
  { mountPropagation: mode }: Mount,
  list: string,
  privileged: boolean,
): FieldError[] {
  if (mode === undefined) return [];
  const field = `${list}.mountPropagation`;
  if (!PROPAGATIONS.includes(mode)) return [notSupported(field, mode, PROPAGATIONS)];
  if (mode !== "Bidirectional" || privileged) return [];
  return [forbidden(field, "Bidirectional mount propagation is available only to privileged containers")];
}

function validateRecursion(
  { recursiveReadOnly: mode, readOnly, mountPropagation }: Mount,
  field: string,
): FieldError[] {
  if (mode === undefined || mode === "Disabled") return [];
  if (!RECURSIVE_READ_ONLY.includes(mode)) return [notSupported(field, mode, RECURSIVE_READ_ONLY)];
  const errors: FieldError[] = [];
  if (readOnly !== true) errors.push(forbidden(field, "may only be specified when readOnly is true"));
  if (mountPropagation !== undefined && mountPropagation !== "None") {
    errors.push(forbidden(field, "may only be specified when mountPropagation is None or not specified"));
  }
  return errors;
}

export function validateDevices(
  container: Unchecked<Container>,
  { path, volumes }: MountsPlace,
): FieldError[] {
  const [names, paths] = [new Set<string>(), new Set<string>()];
  return (container.volumeDevices ?? []).flatMap((device, index) => {
    const { name = "", devicePath = "" } = device;
    const at = `${path}.volumeDevices[${index}]`;
    const errors = validateDevice(device, at, volumes.get(name));
    if (names.has(name)) errors.push(invalid(`${at}.name`, name, "must be unique"));
    if (paths.has(devicePath)) errors.push(invalid(`${at}.devicePath`, devicePath, "must be unique"));
    names.add(name);
    paths.add(devicePath);
    return errors;
  });
}

function validateDevice(
  { name = "", devicePath = "" }: Unchecked<VolumeDevice>,
  at: string,
  volume: Unchecked<Volume> | undefined,
): FieldError[] {
  const errors: FieldError[] = [];
  if (name === "") errors.push(required(`${at}.name`));
  if (volume === undefined) errors.push(notFound(`${at}.name`, name));
  else if (volume.persistentVolumeClaim === undefined && volume.ephemeral === undefined) {
    const message = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
    errors.push(invalid(`${at}.name`, name, message));
  }
  if (devicePath === "") errors.push(required(`${at}.devicePath`));
  if (validateNoBacksteps(devicePath, "").length > 0) {
    errors.push(invalid(`${at}.devicePath`, devicePath, "can not contain backsteps ('..')"));
  }
  return errors;
}
