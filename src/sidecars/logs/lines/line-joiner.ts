/** Contract of multi-line events: which lines of one stream belong together. */

export interface LineJoiner {
  /** The line begins an event. */
  begin(line: string): void;
  /** Whether the line goes on with the event. Empty lines are not asked about: they belong to it when a later line does. */
  joins(line: string): boolean;
}
