/** The program as it is, with the kind of tests: for tests that run real processes. */
import { runMain } from "../bin/run-main.ts";
import { sidecarCommands } from "../bin/sidecar-commands.ts";
import { exampleSidecar } from "./example-sidecar.ts";

await runMain(() => sidecarCommands({ example: () => Promise.resolve(exampleSidecar) }));
