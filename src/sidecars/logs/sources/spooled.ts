/** Contract between the sources that cannot be read twice and the reader of files: what they received lies in files of ours. */

export interface Spooled {
  /** Pattern of the segments' paths; they are numbered, and their names sort in the order they were written. */
  readonly pattern: string;
  /** What records say of where they come from: the FIFO's path, or `syslog`. */
  readonly origin: string;
  /**
   * Whether nothing will be added to the segment any more: it ends behind a line, as a rule, and is to be removed once
   * everything in it is delivered. The space is then free again; nobody has to be told.
   */
  isClosed(path: string): boolean;
}
