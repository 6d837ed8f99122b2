/** The files of a configMap, secret, downwardAPI or projected volume, before they are written. */
import type {
  ConfigMapVolumeSource,
  DownwardAPIVolumeFile,
  KeyToPath,
  ProjectedVolumeSource,
  SecretVolumeSource,
  ServiceAccountTokenProjection,
  Volume,
  VolumeProjection,
} from "../../../../generated/kubernetes.ts";
import {
  downwardField,
  limitsBeyond,
  resourceField,
  type PodAddresses,
} from "../../../k8s/downward-field.ts";
import type { StoredPod } from "../../../k8s/pod.ts";
import { messageOf } from "../../../kernel/problem.ts";
import type { ReferencedObjects } from "../referenced-objects.ts";
import { commonUser } from "./common-user.ts";
import type { TokenWish } from "./pod-tokens.ts";
import { VolumeError } from "./volume-error.ts";

export interface PayloadFile {
  readonly data: Uint8Array;
  readonly mode: number;
  /** User that gets the file; without, it is root's. */
  readonly owner?: number;
}

/** Path below the volume -> file. */
export type Payload = ReadonlyMap<string, PayloadFile>;

const DEFAULT_MODE = 0o644;

export interface PayloadFacts {
  readonly pod: StoredPod;
  readonly addresses: PodAddresses;
  readonly objects: ReferencedObjects;
  readonly allocatable: Readonly<Record<string, string>>;
  /** Throws when there is no token to be had. */
  readonly token: (wish: TokenWish) => string;
}

/** `undefined` for volumes of other kinds. Throws `VolumeError` with the kubelet's text when something is missing. */
export function volumePayload(volume: Volume, facts: PayloadFacts): Payload | undefined {
  const files = new Map<string, PayloadFile>();
  if (volume.configMap !== undefined) addConfigMap(files, volume.configMap, facts);
  else if (volume.secret !== undefined) {
    const { secretName = "", ...rest } = volume.secret;
    addSecret(files, { ...rest, name: secretName }, facts);
  } else if (volume.downwardAPI !== undefined) {
    const { items = [], defaultMode = DEFAULT_MODE } = volume.downwardAPI;
    addDownward(files, items, { facts, defaultMode });
  } else if (volume.projected !== undefined) addProjected(files, volume.projected, facts);
  else return undefined;
  return files;
}

interface Keys {
  readonly items?: readonly KeyToPath[];
  readonly optional?: boolean;
  readonly defaultMode?: number;
}

function addConfigMap(
  files: Map<string, PayloadFile>,
  source: ConfigMapVolumeSource,
  { objects }: PayloadFacts,
): void {
  const { name = "" } = source;
  const configMap = objects.configMap(name);
  if (configMap === undefined) {
    if (source.optional === true) return;
    throw new VolumeError(`configmap "${name}" not found`);
  }
  const data = new Map<string, Uint8Array>();
  for (const [key, text] of Object.entries(configMap.data ?? {})) data.set(key, Buffer.from(text, "utf8"));
  for (const [key, text] of Object.entries(configMap.binaryData ?? {}))
    data.set(key, Buffer.from(text, "base64"));
  addKeys(files, data, {
    ...source,
    missing: (key) => `configmap references non-existent config key: ${key}`,
  });
}

function addSecret(
  files: Map<string, PayloadFile>,
  source: Omit<SecretVolumeSource, "secretName"> & { readonly name: string },
  { objects }: PayloadFacts,
): void {
  const secret = objects.secret(source.name);
  if (secret === undefined) {
    if (source.optional === true) return;
    throw new VolumeError(`secret "${source.name}" not found`);
  }
  const data = new Map<string, Uint8Array>();
  for (const [key, text] of Object.entries(secret.data ?? {})) data.set(key, Buffer.from(text, "base64"));
  addKeys(files, data, { ...source, missing: (key) => `references non-existent secret key: ${key}` });
}

/** All keys under their own names, or the listed ones under the listed paths (`MakePayload`). */
function addKeys(
  files: Map<string, PayloadFile>,
  data: ReadonlyMap<string, Uint8Array>,
  { items, optional, defaultMode = DEFAULT_MODE, missing }: Keys & { missing: (key: string) => string },
): void {
  if (items === undefined || items.length === 0) {
    for (const [key, bytes] of data) files.set(key, { data: bytes, mode: defaultMode });
    return;
  }
  for (const { key, path, mode = defaultMode } of items) {
    const bytes = data.get(key);
    if (bytes !== undefined) files.set(path, { data: bytes, mode });
    else if (optional !== true) throw new VolumeError(missing(key));
  }
}

function addDownward(
  files: Map<string, PayloadFile>,
  items: readonly DownwardAPIVolumeFile[],
  { facts, defaultMode }: { readonly facts: PayloadFacts; readonly defaultMode: number },
): void {
  const { pod, addresses, allocatable } = facts;
  for (const { path, mode = defaultMode, fieldRef, resourceFieldRef } of items) {
    let text: string | undefined;
    if (fieldRef !== undefined) {
      text = downwardField(pod, addresses, fieldRef.fieldPath);
      if (text === undefined) throw new VolumeError(`unsupported fieldPath: ${fieldRef.fieldPath}`);
    } else if (resourceFieldRef !== undefined) {
      const { containerName = "" } = resourceFieldRef;
      const containers = [...pod.spec.containers, ...(pod.spec.initContainers ?? [])];
      const container = containers.find(({ name }) => name === containerName);
      if (container === undefined) throw new VolumeError(`container ${containerName} not found`);
      text = resourceField(container, resourceFieldRef, limitsBeyond(pod.spec, allocatable));
    }
    files.set(path, { data: Buffer.from(text ?? "", "utf8"), mode });
  }
}

/** All sources in one tree, later ones win; every source that fails is named (projected.go collectData). */
function addProjected(
  files: Map<string, PayloadFile>,
  { sources = [], defaultMode = DEFAULT_MODE }: ProjectedVolumeSource,
  facts: PayloadFacts,
): void {
  const errors: string[] = [];
  for (const source of sources) {
    try {
      addProjection(files, source, { facts, defaultMode });
    } catch (error) {
      errors.push(messageOf(error));
    }
  }
  const [first] = errors;
  if (first !== undefined) throw new VolumeError(errors.length === 1 ? first : `[${errors.join(", ")}]`);
}

interface ProjectionContext {
  readonly facts: PayloadFacts;
  readonly defaultMode: number;
}

function addProjection(
  files: Map<string, PayloadFile>,
  source: VolumeProjection,
  { facts, defaultMode }: ProjectionContext,
): void {
  if (source.configMap !== undefined) addConfigMap(files, { ...source.configMap, defaultMode }, facts);
  else if (source.secret !== undefined) {
    const { name = "", ...rest } = source.secret;
    addSecret(files, { ...rest, name, defaultMode }, facts);
  } else if (source.downwardAPI !== undefined)
    addDownward(files, source.downwardAPI.items ?? [], { facts, defaultMode });
  else if (source.serviceAccountToken !== undefined)
    addToken(files, source.serviceAccountToken, { facts, defaultMode });
  else {
    const [kind = "nothing"] = Object.keys(source);
    throw new VolumeError(
      `projected source "${kind}" is not supported: use configMap, secret, downwardAPI or serviceAccountToken`,
    );
  }
}

const TOKEN_SECONDS = 3600;
const OWN_MODE = 0o600;

/** Only those who are meant to read the token can, when the pod says who that is. */
function addToken(
  files: Map<string, PayloadFile>,
  { path, audience, expirationSeconds = TOKEN_SECONDS }: ServiceAccountTokenProjection,
  { facts, defaultMode }: ProjectionContext,
): void {
  const token = facts.token({ ...(audience === undefined ? {} : { audience }), expirationSeconds });
  const owner = commonUser(facts.pod.spec);
  const isOwned = owner !== undefined || facts.pod.spec.securityContext?.fsGroup !== undefined;
  files.set(path, {
    data: Buffer.from(token, "utf8"),
    mode: isOwned ? OWN_MODE : defaultMode,
    ...(owner === undefined ? {} : { owner }),
  });
}
