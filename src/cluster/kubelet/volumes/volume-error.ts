/** Why a volume cannot be set up now; it is tried again. */

/** The message follows `MountVolume.SetUp failed for volume "NAME" : ` in a `FailedMount` event. */
export class VolumeError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "VolumeError";
  }
}
