/** What happens to files, for whoever counts it. */
export interface FileEvents {
  /** A file was emptied, or other content came into its place. `unread`: bytes of it that are in no file any more. */
  replaced(path: string, unread: number): void;
  /** A file was renamed or removed by another program. */
  rotated(path: string): void;
  /** NULs at the beginning of a file were passed over. */
  skippedNuls(bytes: number): void;
  /** Pillion renamed a file, or gave so many bytes of it back. */
  ownRotation(path: string, bytes: number): void;
  /** Pillion removed a file. */
  removed(path: string): void;
}

export const noEvents: FileEvents = {
  replaced: () => undefined,
  rotated: () => undefined,
  skippedNuls: () => undefined,
  ownRotation: () => undefined,
  removed: () => undefined,
};
