/** The types of objects that have been decoded but not validated: every field has its type, none is sure to be there. */

/** `T` with every field optional, all the way down; maps stay as they are. */
export type Unchecked<T> = T extends readonly (infer Item)[]
  ? readonly Unchecked<Item>[]
  : T extends object
    ? string extends keyof T
      ? Readonly<T>
      : { readonly [Key in keyof T]?: Unchecked<T[Key]> }
    : T;
