/** Which mutating webhooks are asked a second time, because others have changed the object after them (KEP-1872). */

export class Reinvocation {
  /** Reinvocable, and nothing has changed since they were asked. */
  readonly #content = new Set<string>();
  readonly #due = new Set<string>();

  /** After a webhook has answered. */
  answered(
    { uid, isReinvocable }: { readonly uid: string; readonly isReinvocable: boolean },
    hasChanged: boolean,
  ): void {
    if (hasChanged) this.changed();
    if (isReinvocable) this.#content.add(uid);
  }

  /** The object is not what it was for those that have been asked. */
  changed(): void {
    for (const uid of this.#content) this.#due.add(uid);
    this.#content.clear();
  }

  isDue(uid: string): boolean {
    return this.#due.has(uid);
  }
}
