/** Gives claims their volumes and takes them back (`pkg/controller/volume`, and what a provisioner does beside it). */
import type { Clock } from "../../kernel/clock.ts";
import { messageOf } from "../../kernel/problem.ts";
import {
  classOfClaim,
  claimsOfPod,
  defaultClass,
  isForClaim,
  pickVolume,
  type Claim,
  type PersistentVolume,
  type StorageClass,
} from "../../k8s/claims.ts";
import type { KubeObject, ObjectName } from "../../k8s/object.ts";
import { asPod, isFinished } from "../../k8s/pod.ts";
import { StatusError } from "../../k8s/status-error.ts";
import type { Store } from "../store/store.ts";
import {
  boundClaim,
  boundStatus,
  boundVolume,
  CLAIM_FINALIZER,
  grownVolume,
  volumeFor,
  withFinalizer,
  withoutFinalizer,
} from "./claim-binding.ts";
import { claimEvents, type Tell } from "./claim-events.ts";
import { claimOfPod } from "./ephemeral-claims.ts";
import { volumeFolders, type VolumeFolders } from "./volume-folders.ts";
import { volumeReclaimer } from "./volume-reclaim.ts";
import { createWorkQueue } from "./work-queue.ts";

const CLAIMS = "persistentvolumeclaims";
const VOLUMES = "persistentvolumes";
const CLASSES = "storageclasses.storage.k8s.io";
const NO_PROVISIONER = "kubernetes.io/no-provisioner";

export interface ClaimControllerParts {
  readonly store: Store;
  readonly clock: Clock;
  readonly nodeName: string;
  /** The node's root folder, where the volumes are. */
  readonly nodeRoot: string;
  /** Told of what no object can show. */
  readonly onError: (error: unknown) => void;
}

interface Context {
  readonly store: Store;
  readonly nodeName: string;
  readonly folders: VolumeFolders;
  readonly tell: Tell;
}

/** Works until the returned function is called. Every StorageClass means a folder of the node, whoever its provisioner is. */
export function startClaimController(parts: ClaimControllerParts): () => void {
  const { store, clock } = parts;
  const tell = claimEvents(store, clock);
  const context: Context = { store, nodeName: parts.nodeName, folders: volumeFolders(parts.nodeRoot), tell };
  const reclaimer = volumeReclaimer({
    ...context,
    onError: parts.onError,
    again: (name) => queue.add(volumeKey(name)),
  });
  const queue = createWorkQueue(clock, (key) => {
    const [kind, namespace = "", name = ""] = key.split("/");
    if (kind === "claim") reconcileClaim(context, { namespace, name });
    else if (kind === "volume") reclaimer.reconcile(name);
    else claimOfPod(store, { namespace, name });
  });
  const pending = () => {
    for (const claim of store.list(CLAIMS).items) if (!isBound(claim)) queue.add(claimKey(claim.metadata));
  };
  // A claim that is bound does not care what its pods do; pods change often.
  const isWaiting = (at: ObjectName) => {
    const claim = store.get(CLAIMS, at);
    return claim !== undefined && (!isBound(claim) || claim.metadata.deletionTimestamp !== undefined);
  };
  const stops = [
    store.watch(CLAIMS, {}, ({ object, type }) => {
      if (type === "BOOKMARK") return;
      queue.add(claimKey(object.metadata));
      const { volumeName = "" } = (object as Claim).spec ?? {};
      if (volumeName !== "") queue.add(volumeKey(volumeName));
    }),
    store.watch(VOLUMES, {}, ({ object, type }) => {
      if (type === "BOOKMARK") return;
      const { claimRef } = (object as PersistentVolume).spec ?? {};
      queue.add(volumeKey(object.metadata.name ?? ""));
      if (claimRef === undefined) pending();
      else queue.add(claimKey(claimRef));
    }),
    store.watch(CLASSES, { sendInitialEvents: false }, pending),
    store.watch("pods", {}, ({ object, type }) => {
      if (type === "BOOKMARK") return;
      const { namespace, name } = object.metadata;
      for (const { claim, isEphemeral } of claimsOfPod(name ?? "", asPod(object).spec)) {
        if (isEphemeral && type !== "DELETED") queue.add(`pod/${namespace}/${name}`);
        if (isWaiting({ namespace: namespace ?? "", name: claim }))
          queue.add(claimKey({ namespace, name: claim }));
      }
    }),
  ];
  return () => {
    queue.stop();
    for (const stop of stops) stop();
  };
}

function claimKey({
  namespace = "",
  name = "",
}: {
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
}): string {
  return `claim/${namespace}/${name}`;
}

function volumeKey(name: string): string {
  return `volume//${name}`;
}

function isBound(claim: KubeObject): boolean {
  const { spec, status } = claim as Claim;
  return (spec?.volumeName ?? "") !== "" && status?.phase === "Bound";
}

function reconcileClaim(context: Context, at: ObjectName): void {
  const { store } = context;
  const found = store.get(CLAIMS, at);
  if (found === undefined) return;
  if (found.metadata.deletionTimestamp !== undefined) {
    if (!isInUse(store, at))
      store.update(CLAIMS, at, (current) => withoutFinalizer(current, CLAIM_FINALIZER));
    return;
  }
  const claim = store.update(CLAIMS, at, (current) =>
    withDefaultClass(store, withFinalizer(current, CLAIM_FINALIZER)),
  ) as Claim;
  if ((claim.spec?.volumeName ?? "") !== "") return keepBound(context, claim, at);
  const volumes = store.list(VOLUMES).items as PersistentVolume[];
  const volume = pickVolume(claim, volumes) ?? provision(context, claim);
  if (volume !== undefined) bind(context, claim, volume);
}

/** As long as the object of a pod that has a node is there. */
function isInUse(store: Store, { namespace, name }: ObjectName): boolean {
  return store.list("pods", { namespace }).items.some((object) => {
    const { spec, metadata } = asPod(object);
    return (
      (spec.nodeName ?? "") !== "" && claimsOfPod(metadata.name, spec).some(({ claim }) => claim === name)
    );
  });
}

/** A claim that names no class gets the default one, also later, when there is one (KEP-3333). */
function withDefaultClass(store: Store, claim: KubeObject): KubeObject {
  if (classOfClaim(claim) !== undefined || isBound(claim)) return claim;
  const found = defaultClass(store.list(CLASSES).items);
  if (found === undefined) return claim;
  return { ...claim, spec: { ...(claim as Claim).spec, storageClassName: found.metadata.name } };
}

/** A claim that names its volume: bound to it, or asked to be, or its volume is gone. */
function keepBound(context: Context, claim: Claim, at: ObjectName): void {
  const { store, tell } = context;
  const volumeName = claim.spec?.volumeName ?? "";
  const volume: PersistentVolume | undefined = store.get(VOLUMES, { namespace: "", name: volumeName });
  if (volume === undefined) {
    if (claim.status?.phase !== "Bound") return;
    const message = "Bound claim has lost its PersistentVolume. Data on the volume is lost!";
    tell(claim, { type: "Warning", reason: "ClaimLost", message });
    const status = { ...claim.status, phase: "Lost" };
    store.update(CLAIMS, at, (current) => ({ ...current, status }), { subresource: "status" });
    return;
  }
  if (volume.spec?.claimRef === undefined || isForClaim(volume.spec, claim))
    return bind(context, claim, volume);
  const message = `volume "${volumeName}" already bound to a different claim.`;
  tell(claim, { type: "Warning", reason: "FailedBinding", message });
}

/** Volume first: a claim that is bound can be mounted. Every step may be repeated. */
function bind({ store }: Context, claim: Claim, volume: PersistentVolume): void {
  const { namespace = "", name = "" } = claim.metadata;
  const ofVolume = { namespace: "", name: volume.metadata.name ?? "" };
  const stored = store.update(VOLUMES, ofVolume, (current) =>
    grownVolume(boundVolume(current, claim), claim),
  ) as PersistentVolume;
  const status = { ...stored.status, phase: "Bound" };
  store.update(VOLUMES, ofVolume, (current) => ({ ...current, status }), { subresource: "status" });
  const ofClaim = { namespace, name };
  store.update(CLAIMS, ofClaim, (current) => boundClaim(current, stored));
  store.update(CLAIMS, ofClaim, (current) => boundStatus(current, stored), {
    subresource: "status",
  });
}

/** Makes a volume, or says what it waits for. */
function provision(context: Context, claim: Claim): PersistentVolume | undefined {
  const { store, tell, folders, nodeName } = context;
  const className = classOfClaim(claim) ?? "";
  if (className === "") {
    const message = "no persistent volumes available for this claim and no storage class is set";
    tell(claim, { type: "Normal", reason: "FailedBinding", message });
    return undefined;
  }
  const storageClass: StorageClass | undefined = store.get(CLASSES, { namespace: "", name: className });
  const refusal = whyNotProvisioned(claim, className, storageClass);
  if (storageClass === undefined || refusal !== undefined) {
    tell(claim, { type: "Warning", reason: "ProvisioningFailed", message: refusal ?? "" });
    return undefined;
  }
  if (storageClass.volumeBindingMode === "WaitForFirstConsumer" && !isWanted(store, claim)) {
    const message = "waiting for first consumer to be created before binding";
    tell(claim, { type: "Normal", reason: "WaitForFirstConsumer", message });
    return undefined;
  }
  try {
    const path = folders.make(folderName(claim));
    const volume = store.create(VOLUMES, volumeFor(claim, storageClass, { path, nodeName }));
    const message = `Successfully provisioned volume ${volume.metadata.name}`;
    tell(claim, { type: "Normal", reason: "ProvisioningSucceeded", message });
    return volume;
  } catch (error) {
    const message = `failed to provision volume with StorageClass "${className}": ${messageOf(error)}`;
    tell(claim, { type: "Warning", reason: "ProvisioningFailed", message });
    // Tried again, with growing pauses.
    throw new StatusError("InternalError", message);
  }
}

function whyNotProvisioned(
  { spec }: Claim,
  className: string,
  storageClass: StorageClass | undefined,
): string | undefined {
  if (storageClass === undefined) return `storageclass.storage.k8s.io "${className}" not found`;
  if (storageClass.provisioner === NO_PROVISIONER) return `no volume plugin matched name: ${NO_PROVISIONER}`;
  const failed = `failed to provision volume with StorageClass "${className}"`;
  if (spec?.volumeMode === "Block") return `${failed}: volumeMode "Block" is not supported; use "Filesystem"`;
  if (spec?.selector !== undefined) return `${failed}: claim.spec.selector is not supported`;
  if (spec?.dataSource !== undefined || spec?.dataSourceRef !== undefined)
    return `${failed}: dataSource is not supported; a new volume is always empty`;
  return undefined;
}

/** Some pod that is to run names the claim. */
function isWanted(store: Store, { metadata: { namespace = "", name } }: Claim): boolean {
  return store.list("pods", { namespace }).items.some((object) => {
    const pod = asPod(object);
    const { spec, metadata } = pod;
    return !isFinished(pod) && claimsOfPod(metadata.name, spec).some(({ claim }) => claim === name);
  });
}

/** For people who look into the folder; the uid makes it the only one. */
function folderName({ metadata: { namespace = "", name = "", uid = "" } }: Claim): string {
  return `${namespace}_${name.slice(0, 150)}_${uid}`;
}
