/** A process that reads a FIFO into a spool until it is killed: `bun fifo-reader.test-support.ts FIFO FOLDER BYTES`. */
import { systemClock } from "../../../kernel/clock.ts";
import { FifoSource } from "./fifo.ts";
import { Spool } from "./spool.ts";

const [path = "", folder = "", maxBytes = ""] = process.argv.slice(2);
const spool = new Spool({ folder, name: "app", origin: path, maxBytes: Number(maxBytes) });
void new FifoSource({ path, create: false, spool, clock: systemClock });
// Timers of the clock keep no process alive.
setInterval(() => undefined, 60_000);
