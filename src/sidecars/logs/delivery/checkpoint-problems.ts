/** What can be wrong with the file of checkpoints. */
import { messageOf, Problem } from "../../../kernel/problem.ts";

/** `keptAs` is where the damaged file is now. */
export function checkpointsDamaged(keptAs: string): Problem {
  return new Problem({
    code: "E_CHECKPOINTS_DAMAGED",
    message: `Cannot read all checkpoints: their file was damaged${keptAs === "" ? "" : `, it is kept as "${keptAs}"`}`,
    fix: "Check the disk. Some records are sent again; nothing is lost. The next start forgets this",
  });
}

export function checkpointsUnwritable(cause: unknown): Problem {
  return new Problem({
    code: "E_CHECKPOINTS_UNWRITABLE",
    message: `Cannot write the checkpoints: ${messageOf(cause)}; after a crash, records since then are sent again`,
    fix: "Free space on the disk of the state folder, or make the folder writable; it is tried again every second",
    cause,
  });
}
