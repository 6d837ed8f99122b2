/** The entry of the whole program. */
import { createCommands } from "./commands.ts";
import { runMain } from "./run-main.ts";

await runMain(createCommands);
