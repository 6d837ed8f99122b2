/** The one failure of turning a container's specification into something that can start. */

/** Shown as waiting reason `CreateContainerConfigError`; tried again when an object it names changes. */
export class ContainerConfigError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "ContainerConfigError";
  }
}
