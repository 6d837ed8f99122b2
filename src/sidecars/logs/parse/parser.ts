/** Contract of every format: an event's text becomes fields. */

export interface Parsed {
  /** RFC 3339 with zone; undefined where the text says no time, or none that can be read. */
  readonly time: string | undefined;
  /** In the order in which they are delivered. Owned by the caller from now on. */
  readonly fields: Record<string, unknown>;
  /** Why the text could not be parsed: one of few constant sentences. `fields` holds `message` then. */
  readonly problem: string | undefined;
}

/** Never throws; fast and linear in the length of the text. */
export type Parser = (text: string) => Parsed;
