/** Tables of volumes, claims and what provides them. */
import type { ObjectMeta, PersistentVolumeClaim } from "../../../../generated/kubernetes.ts";
import { age, nameOf } from "./cell-text.ts";
import { AGE, column, definePrinter, NAME, type TablePrinter } from "./table-printer.ts";

const ACCESS_MODES = [
  ["ReadWriteOnce", "RWO"],
  ["ReadOnlyMany", "ROX"],
  ["ReadWriteMany", "RWX"],
  ["ReadWriteOncePod", "RWOP"],
] as const;
const CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class";

function accessModes(modes: readonly string[] | undefined): string {
  return ACCESS_MODES.flatMap(([mode, short]) => (modes?.includes(mode) === true ? [short] : [])).join(",");
}

function storageClass({ annotations }: ObjectMeta, className: string | undefined): string {
  return annotations?.[CLASS_ANNOTATION] ?? className ?? "";
}

interface PersistentVolume {
  readonly spec?: {
    readonly capacity?: Readonly<Record<string, string>>;
    readonly accessModes?: readonly string[];
    readonly persistentVolumeReclaimPolicy?: string;
    readonly claimRef?: { readonly namespace?: string; readonly name?: string };
    readonly storageClassName?: string;
    readonly volumeAttributesClassName?: string;
    readonly volumeMode?: string;
  };
  readonly status?: { readonly phase?: string; readonly reason?: string };
}

const persistentVolumePrinter = definePrinter<PersistentVolume>(
  [
    NAME,
    column("Capacity"),
    column("Access Modes"),
    column("Reclaim Policy"),
    column("Status"),
    column("Claim"),
    column("StorageClass"),
    column("VolumeAttributesClass"),
    column("Reason"),
    AGE,
    column("VolumeMode", { wide: true }),
  ],
  ({ metadata, spec = {}, status = {} }, now) => [
    nameOf(metadata),
    spec.capacity?.["storage"] ?? "0",
    accessModes(spec.accessModes),
    spec.persistentVolumeReclaimPolicy ?? "",
    metadata.deletionTimestamp === undefined ? (status.phase ?? "") : "Terminating",
    spec.claimRef === undefined ? "" : `${spec.claimRef.namespace ?? ""}/${spec.claimRef.name ?? ""}`,
    storageClass(metadata, spec.storageClassName),
    spec.volumeAttributesClassName ?? "<unset>",
    status.reason ?? "",
    age(metadata, now),
    spec.volumeMode ?? "<unset>",
  ],
);

const claimPrinter = definePrinter<PersistentVolumeClaim>(
  [
    NAME,
    column("Status"),
    column("Volume"),
    column("Capacity"),
    column("Access Modes"),
    column("StorageClass"),
    column("VolumeAttributesClass"),
    AGE,
    column("VolumeMode", { wide: true }),
  ],
  ({ metadata, spec = {}, status = {} }, now) => {
    const isBound = Boolean(spec.volumeName);
    return [
      nameOf(metadata),
      metadata.deletionTimestamp === undefined ? (status.phase ?? "") : "Terminating",
      spec.volumeName ?? "",
      isBound ? (status.capacity?.["storage"] ?? "0") : "",
      isBound ? accessModes(status.accessModes) : "",
      storageClass(metadata, spec.storageClassName),
      spec.volumeAttributesClassName ?? "<unset>",
      age(metadata, now),
      spec.volumeMode ?? "<unset>",
    ];
  },
);

function isDefault({ annotations }: ObjectMeta, annotation: string): boolean {
  return annotations?.[annotation] === "true";
}

interface StorageClass {
  readonly provisioner?: string;
  readonly reclaimPolicy?: string;
  readonly volumeBindingMode?: string;
  readonly allowVolumeExpansion?: boolean;
}

const storageClassPrinter = definePrinter<StorageClass>(
  [
    NAME,
    column("Provisioner"),
    column("ReclaimPolicy"),
    column("VolumeBindingMode"),
    column("AllowVolumeExpansion"),
    AGE,
  ],
  ({ metadata, provisioner, reclaimPolicy, volumeBindingMode, allowVolumeExpansion }, now) => [
    isDefault(metadata, "storageclass.kubernetes.io/is-default-class") ||
    isDefault(metadata, "storageclass.beta.kubernetes.io/is-default-class")
      ? `${nameOf(metadata)} (default)`
      : nameOf(metadata),
    provisioner ?? "",
    reclaimPolicy ?? "Delete",
    volumeBindingMode ?? "Immediate",
    allowVolumeExpansion ?? false,
    age(metadata, now),
  ],
);

const attributesClassPrinter = definePrinter<{ readonly driverName?: string }>(
  [NAME, column("DriverName"), AGE],
  ({ metadata, driverName }, now) => [nameOf(metadata), driverName ?? "", age(metadata, now)],
);

interface VolumeAttachment {
  readonly spec?: {
    readonly attacher?: string;
    readonly nodeName?: string;
    readonly source?: { readonly persistentVolumeName?: string };
  };
  readonly status?: { readonly attached?: boolean };
}

const volumeAttachmentPrinter = definePrinter<VolumeAttachment>(
  [NAME, column("Attacher"), column("PV"), column("Node"), column("Attached", { type: "boolean" }), AGE],
  ({ metadata, spec = {}, status }, now) => [
    nameOf(metadata),
    spec.attacher ?? "",
    spec.source?.persistentVolumeName ?? "",
    spec.nodeName ?? "",
    status?.attached ?? false,
    age(metadata, now),
  ],
);

const csiNodePrinter = definePrinter<{ readonly spec?: { readonly drivers?: readonly unknown[] } }>(
  [NAME, column("Drivers", { type: "integer" }), AGE],
  ({ metadata, spec }, now) => [nameOf(metadata), spec?.drivers?.length ?? 0, age(metadata, now)],
);

interface CsiDriver {
  readonly spec?: {
    readonly attachRequired?: boolean;
    readonly podInfoOnMount?: boolean;
    readonly storageCapacity?: boolean;
    readonly tokenRequests?: readonly { readonly audience: string }[];
    readonly requiresRepublish?: boolean;
    readonly volumeLifecycleModes?: readonly string[];
  };
}

const csiDriverPrinter = definePrinter<CsiDriver>(
  [
    NAME,
    column("AttachRequired", { type: "boolean" }),
    column("PodInfoOnMount", { type: "boolean" }),
    column("StorageCapacity", { type: "boolean" }),
    column("TokenRequests"),
    column("RequiresRepublish", { type: "boolean" }),
    column("Modes"),
    AGE,
  ],
  ({ metadata, spec = {} }, now) => [
    nameOf(metadata),
    spec.attachRequired ?? true,
    spec.podInfoOnMount ?? false,
    spec.storageCapacity ?? false,
    spec.tokenRequests?.map(({ audience }) => audience).join(",") ?? "<unset>",
    spec.requiresRepublish ?? false,
    spec.volumeLifecycleModes?.join(",") || "<none>",
    age(metadata, now),
  ],
);

const csiCapacityPrinter = definePrinter<{ readonly storageClassName?: string; readonly capacity?: string }>(
  [NAME, column("StorageClassName"), column("Capacity")],
  ({ metadata, storageClassName, capacity }) => [
    nameOf(metadata),
    storageClassName ?? "",
    capacity ?? "<unset>",
  ],
);

export const storageTables: Readonly<Record<string, TablePrinter>> = {
  persistentvolumes: persistentVolumePrinter,
  persistentvolumeclaims: claimPrinter,
  "storageclasses.storage.k8s.io": storageClassPrinter,
  "volumeattributesclasses.storage.k8s.io": attributesClassPrinter,
  "volumeattachments.storage.k8s.io": volumeAttachmentPrinter,
  "csinodes.storage.k8s.io": csiNodePrinter,
  "csidrivers.storage.k8s.io": csiDriverPrinter,
  "csistoragecapacities.storage.k8s.io": csiCapacityPrinter,
};
