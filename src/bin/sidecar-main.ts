#!/usr/local/bin/bun --config=/usr/local/lib/pillion/bunfig.toml
/** The entry of Pillion's own image, bundled into one file (`bundleProgram`). */
import { runMain } from "./run-main.ts";
import { sidecarCommands } from "./sidecar-commands.ts";

/** Most of what a start runs, it runs once: compiling it takes 3 ms and 4 MB. `runSidecarProcess` sets 1 when it is over. */
const START_JIT_SCALE = 10;

Bun.unsafe.setJITPolicy(START_JIT_SCALE);
// Bytecode has no `await` at the top of a module.
void runMain(() => sidecarCommands());
