#!/usr/local/bin/bun --config=/usr/local/lib/pillion/bunfig.toml
/** The entry of Pillion's own image, bundled into one file (`bundleProgram`). */
import { runMain } from "./run-main.ts";
import { sidecarCommands } from "./sidecar-commands.ts";

// Bytecode has no `await` at the top of a module.
void runMain(() => sidecarCommands());
