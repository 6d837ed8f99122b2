/** Says that an archive, layer or image description is not what it should be; never a fault of this machine. */
export class ArchiveError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "ArchiveError";
  }
}
