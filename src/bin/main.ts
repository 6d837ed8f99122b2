/** The entry of the whole program. */
import { runMain } from "./run-main.ts";
import { sidecarCommands } from "./sidecar-commands.ts";

// A probe's `pillion ready` comes every few seconds: it does not load what the local cluster needs.
const inPod = sidecarCommands();
const isForPod = inPod.some(({ name }) => name.split(" ", 1)[0] === process.argv[2]);
const createCommands = isForPod ? () => inPod : (await import("./commands.ts")).createCommands;
await runMain(createCommands);
