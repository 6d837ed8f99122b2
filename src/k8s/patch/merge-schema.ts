/** What merging has to know of a type, and no more: how its lists and objects combine. */

export interface MergeField {
  /** `patchStrategy` of the Go struct tag; absent: objects merge, lists are replaced. */
  readonly strategy?: "merge" | "replace";
  /** `patchStrategy: retainKeys`: a union, of which a patch names the members that stay. */
  readonly retainKeys?: boolean;
  /** `patchMergeKey`; absent for lists of scalars. */
  readonly mergeKey?: string;
  /** `listType` and `mapType` of server-side apply; absent: lists are atomic, objects granular. */
  readonly topology?: "map" | "set" | "atomic" | "granular";
  /** `listMapKeys`, for topology `map`. */
  readonly listMapKeys?: readonly string[];
  /** The list's items belong to one writer as a whole, though the list itself does not. */
  readonly atomicItems?: boolean;
  /** Type of the object, of the list's items or of the map's values; absent where that holds nothing to merge. */
  readonly type?: MergeType;
}

export interface MergeType {
  /** A map (`map[string]T`): its keys are entries, which come and go, not fields of a struct. */
  readonly isMap?: boolean;
  /** Undefined for unknown fields. Maps (`map[string]T`) answer the same for every key. */
  readonly field: (name: string) => MergeField | undefined;
}
