/** A disk without space holds readers and says so; nothing is lost and nothing crashes. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { testFolder } from "./delivery.test-support.ts";

/** A tmpfs in a mount namespace of its own: root may make one, or whoever may make user namespaces. */
function canMount(): boolean {
  const { exitCode } = Bun.spawnSync(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/mnt"]);
  return exitCode === 0;
}

test.skipIf(!canMount())(
  "a full disk is a full buffer, and checkpoints go on in memory until there is space",
  async () => {
    using folder = testFolder();
    const script = 'mount -t tmpfs -o size=600k none "$1" && exec "$2" "$3" "$1"';
    const program = join(import.meta.dir, "full-disk.test-support.ts");
    const { stdout, stderr, exitCode } = Bun.spawnSync([
      "unshare",
      "-m",
      "sh",
      "-c",
      script,
      "sh",
      folder.path,
      process.execPath,
      program,
    ]);
    expect([stderr.toString(), exitCode]).toEqual(["", 0]);
    expect(JSON.parse(stdout.toString())).toEqual({
      outage: {
        lots: expect.any(Number),
        isHeld: true,
        codes: expect.arrayContaining(["E_BUFFER_UNWRITABLE"]),
        isDelivered: true,
        left: { records: 0, bytes: 0, keptBytes: 0 },
        after: [],
      },
      noSpace: {
        full: {
          codes: ["E_CHECKPOINTS_UNWRITABLE", "E_DEAD_LETTERS_FULL"],
          offset: 10_500,
          counts: expect.objectContaining({
            deliveredRecords: 1_000,
            deadLettered: 0,
            deadLettersDropped: 50,
          }),
        },
        after: [],
        offset: 10_510,
      },
    });
  },
);
