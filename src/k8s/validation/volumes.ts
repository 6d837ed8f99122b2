/** Checks of a pod's volumes: one source each, and what the sources that Pillion mounts may say (core `validation.go`). */
import type {
  DownwardAPIVolumeFile,
  KeyToPath,
  PersistentVolumeClaimSpec,
  ProjectedVolumeSource,
  Volume,
  VolumeProjection,
} from "../../../generated/kubernetes.ts";
import {
  duplicate,
  type FieldError,
  forbidden,
  invalid,
  invalidEach,
  notSupported,
  required,
} from "../field-error.ts";
import { checkDns1123Label, checkDns1123Subdomain } from "../names.ts";
import { isQuantity, quantityOf } from "../quantity.ts";
import { validateFieldRef, validateResourceRef, VOLUME_FIELDS } from "./field-reference.ts";
import { validateNoBacksteps, validateVolumeFilePath } from "./local-path.ts";
import { validateClaimSpec } from "./storage.ts";
import type { Unchecked } from "./unchecked.ts";

const FILE_MODE = "must be a number between 0 and 0777 (octal), both inclusive";
const MIN_TOKEN_SECONDS = 600;
const MAX_TOKEN_SECONDS = 2 ** 32;
const HOST_PATH_TYPES = [
  "",
  "BlockDevice",
  "CharDevice",
  "Directory",
  "DirectoryOrCreate",
  "File",
  "FileOrCreate",
  "Socket",
];

export interface VolumesResult {
  readonly errors: readonly FieldError[];
  /** By name, those without a fault: mounts of the others are not found. */
  readonly valid: ReadonlyMap<string, Unchecked<Volume>>;
}

export interface VolumesPlace {
  readonly path: string;
  /** Empty for templates. */
  readonly podName: string;
}

export function validateVolumes(
  volumes: readonly Unchecked<Volume>[],
  { path, podName }: VolumesPlace,
): VolumesResult {
  const errors: FieldError[] = [];
  const valid = new Map<string, Unchecked<Volume>>();
  for (const [index, volume] of volumes.entries()) {
    const { name = "" } = volume;
    const at = `${path}[${index}]`;
    const own = validateSource(volume, at);
    if (volume.ephemeral !== undefined && podName !== "" && name !== "") {
      const claim = `${podName}-${name}`;
      const wrong = checkDns1123Subdomain(claim).map(
        (message) => `PVC name ${JSON.stringify(claim)}: ${message}`,
      );
      own.push(...invalidEach(`${at}.name`, name, wrong));
    }
    if (name === "") own.push(required(`${at}.name`));
    else own.push(...invalidEach(`${at}.name`, name, checkDns1123Label(name)));
    if (valid.has(name)) own.push(duplicate(`${at}.name`, name));
    if (own.length === 0) valid.set(name, volume);
    errors.push(...own);
  }
  return { errors, valid };
}

/** Kubernetes looks at the sources in an order of its own, and refuses every further one. */
function validateSource(volume: Unchecked<Volume>, path: string): FieldError[] {
  const sources = Object.keys(volume).filter((key) => key !== "name");
  const [first, ...further] = sources.toSorted((a, b) => sourceRank(a) - sourceRank(b));
  if (first === undefined) return [required(path, "must specify a volume type")];
  const more = further.map((name) => forbidden(`${path}.${name}`, "may not specify more than 1 volume type"));
  return [...validateKnownSource(volume, `${path}.${first}`, first), ...more];
}

const SOURCE_ORDER = [
  "emptyDir",
  "hostPath",
  "gitRepo",
  "gcePersistentDisk",
  "awsElasticBlockStore",
  "secret",
  "nfs",
  "iscsi",
  "glusterfs",
  "flocker",
  "persistentVolumeClaim",
  "rbd",
  "cinder",
  "cephfs",
  "quobyte",
  "downwardAPI",
  "fc",
  "flexVolume",
  "configMap",
  "azureFile",
  "vsphereVolume",
  "photonPersistentDisk",
  "portworxVolume",
  "azureDisk",
  "storageos",
  "projected",
  "scaleIO",
  "csi",
  "ephemeral",
  "image",
];

function sourceRank(name: string): number {
  const rank = SOURCE_ORDER.indexOf(name);
  return rank < 0 ? SOURCE_ORDER.length : rank;
}

function requireText(value: string | undefined, path: string): FieldError[] {
  return value === undefined || value === "" ? [required(path)] : [];
}

function validateMode(mode: number | undefined, path: string): FieldError[] {
  return mode !== undefined && (mode < 0 || mode > 0o777) ? [invalid(path, mode, FILE_MODE)] : [];
}

function validateKnownSource(volume: Unchecked<Volume>, path: string, source: string): FieldError[] {
  const { emptyDir, hostPath, secret, configMap, downwardAPI, projected, persistentVolumeClaim, nfs, csi } =
    volume;
  switch (source) {
    case "emptyDir":
      return validateSizeLimit(emptyDir?.sizeLimit, `${path}.sizeLimit`);
    case "hostPath":
      return validateHostPath(hostPath ?? {}, path);
    case "secret":
      return [...requireText(secret?.secretName, `${path}.secretName`), ...validateKeys(secret, path)];
    case "configMap":
      return [...requireText(configMap?.name, `${path}.name`), ...validateKeys(configMap, path)];
    case "downwardAPI":
      return [
        ...validateMode(downwardAPI?.defaultMode, `${path}.defaultMode`),
        ...(downwardAPI?.items ?? []).flatMap((item) => validateDownwardFile(item, path)),
      ];
    case "projected":
      return validateProjected(projected ?? {}, path);
    case "ephemeral":
      return validateEphemeral(volume.ephemeral?.volumeClaimTemplate?.spec, `${path}.volumeClaimTemplate`);
    case "persistentVolumeClaim":
      return requireText(persistentVolumeClaim?.claimName, `${path}.claimName`);
    case "nfs":
      return [...requireText(nfs?.server, `${path}.server`), ...requireText(nfs?.path, `${path}.path`)];
    case "csi":
      return requireText(csi?.driver, `${path}.driver`);
    default:
      return [];
  }
}

function validateEphemeral(
  spec: Unchecked<PersistentVolumeClaimSpec> | undefined,
  path: string,
): FieldError[] {
  return spec === undefined ? [required(path)] : validateClaimSpec(spec, `${path}.spec`);
}

function validateSizeLimit(limit: string | undefined, path: string): FieldError[] {
  const wrong = limit !== undefined && (!isQuantity(limit) || quantityOf(limit).nanos < 0n);
  return wrong ? [forbidden(path, "SizeLimit field must be a valid resource quantity")] : [];
}

function validateHostPath(
  { path: hostPath = "", type = "" }: { path?: string; type?: string },
  path: string,
): FieldError[] {
  if (hostPath === "") return [required(`${path}.path`)];
  const errors = validateNoBacksteps(hostPath, `${path}.path`);
  return HOST_PATH_TYPES.includes(type)
    ? errors
    : [...errors, notSupported(`${path}.type`, type, HOST_PATH_TYPES)];
}

interface KeyedSource {
  readonly defaultMode?: number;
  readonly items?: readonly Unchecked<KeyToPath>[];
}

function validateKeys({ defaultMode, items = [] }: KeyedSource = {}, path: string): FieldError[] {
  const keys = items.flatMap((item, index) => validateKeyToPath(item, `${path}.items[${index}]`));
  return [...validateMode(defaultMode, `${path}.defaultMode`), ...keys];
}

function validateKeyToPath({ key, path: file = "", mode }: Unchecked<KeyToPath>, path: string): FieldError[] {
  return [
    ...requireText(key, `${path}.key`),
    ...requireText(file, `${path}.path`),
    ...validateVolumeFilePath(file, `${path}.path`),
    ...validateMode(mode, `${path}.mode`),
  ];
}

function validateDownwardFile(file: Unchecked<DownwardAPIVolumeFile>, path: string): FieldError[] {
  const { path: name = "", fieldRef, resourceFieldRef, mode } = file;
  const errors = [...requireText(name, `${path}.path`), ...validateVolumeFilePath(name, `${path}.path`)];
  if (fieldRef !== undefined) {
    errors.push(...validateFieldRef(fieldRef, VOLUME_FIELDS, `${path}.fieldRef`));
    if (resourceFieldRef !== undefined) {
      errors.push(
        invalid(path, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"),
      );
    }
  } else if (resourceFieldRef === undefined) {
    errors.push(required(path, "one of fieldRef and resourceFieldRef is required"));
  } else
    errors.push(
      ...validateResourceRef(resourceFieldRef, { path: `${path}.resourceFieldRef`, inVolume: true }),
    );
  return [...errors, ...validateMode(mode, `${path}.mode`)];
}

function validateProjected(
  { defaultMode, sources = [] }: Unchecked<ProjectedVolumeSource>,
  path: string,
): FieldError[] {
  const taken = new Set<string>();
  const errors = validateMode(defaultMode, `${path}.defaultMode`);
  for (const [index, source] of sources.entries()) {
    const at = `${path}.sources[${index}]`;
    errors.push(...validateProjection(source, { at, path }));
    for (const { file, owner } of projectedFiles(source)) {
      if (taken.has(file)) errors.push(invalid(path, owner, "conflicting duplicate paths"));
      taken.add(file);
    }
    if (Object.keys(source).length > 1) {
      errors.push(forbidden(at, "may not specify more than 1 volume type per source"));
    }
  }
  return errors;
}

function validateProjection(
  source: Unchecked<VolumeProjection>,
  { at, path }: { at: string; path: string },
): FieldError[] {
  const { secret, configMap, downwardAPI, serviceAccountToken: token } = source;
  const errors: FieldError[] = [];
  for (const [kind, keyed] of [
    ["secret", secret],
    ["configMap", configMap],
  ] as const) {
    if (keyed === undefined) continue;
    errors.push(...requireText(keyed.name, `${at}.${kind}.name`), ...validateKeys(keyed, `${at}.${kind}`));
  }
  for (const file of downwardAPI?.items ?? [])
    errors.push(...validateDownwardFile(file, `${at}.downwardAPI`));
  if (token === undefined) return errors;
  const { expirationSeconds: seconds = MIN_TOKEN_SECONDS, path: file = "" } = token;
  const field = `${at}.serviceAccountToken.expirationSeconds`;
  if (seconds < MIN_TOKEN_SECONDS)
    errors.push(invalid(field, seconds, "may not specify a duration less than 10 minutes"));
  if (seconds > MAX_TOKEN_SECONDS) {
    errors.push(invalid(field, seconds, "may not specify a duration larger than 2^32 seconds"));
  }
  if (file === "") errors.push(required(`${path}.path`));
  return [...errors, ...validateVolumeFilePath(file, `${path}.path`)];
}

/** Which files a source is sure to write, and what the message names when one is there already. */
function projectedFiles({
  secret,
  configMap,
  downwardAPI,
}: Unchecked<VolumeProjection>): { file: string; owner: string }[] {
  const keyed = [secret, configMap].flatMap((source) =>
    (source?.items ?? []).map(({ path = "" }) => ({ file: path, owner: source?.name ?? "" })),
  );
  const fields = (downwardAPI?.items ?? []).map(({ path = "" }) => ({ file: path, owner: path }));
  return [...keyed, ...fields].filter(({ file }) => file !== "");
}
