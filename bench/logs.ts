/**
 * What shipping 2 million nginx lines costs: read, parse, JSON, HTTP with acknowledgement and checkpoints, beside rsyslog in the
 * same run; and what a log sidecar costs that has nothing to do. Pillion runs as its image has it, bundled with bytecode. Run:
 * `bun bench/logs.ts [LINES]` (rsyslog and rsyslog-elasticsearch from Debian, else no comparison). Prints tables and removes
 * what it made.
 */
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ownProgram } from "../src/bin/own-program.ts";
import { cpuMs, memoryMiB } from "./engine-process.ts";
import { writeAccessLog } from "./access-log.ts";

type Shipper = Bun.Subprocess<"ignore", "ignore", "inherit">;

interface Receiver {
  readonly pid: number;
  readonly httpPort: number;
  readonly tcpPort: number;
  count(): Promise<{ readonly records: number; readonly bytes: number }>;
  close(): Promise<void>;
}

/** One row of the table, by the names of its columns. */
type Figures = Readonly<Record<string, string>>;

const LINES = Number(process.argv[2] ?? 2_000_000);
const MIB = 2 ** 20;
const GIVE_UP_MS = 300_000;
const READY_ROUNDS = 10;
/** What only a start needs is given back by then, and what is needed now and then has come again. */
const IDLE_MS = [5_000, 40_000];
const RSYSLOGD = "/usr/sbin/rsyslogd";

const folder = mkdtempSync(join(tmpdir(), "pillion-bench-"));
const log = join(folder, "access.log");
const program = [process.execPath, join(folder, "bundle/pillion.js")];

async function startReceiver(): Promise<Receiver> {
  const child = Bun.spawn([process.execPath, join(import.meta.dirname, "log-receiver.ts")], {
    stdout: "pipe",
  });
  const { value } = await child.stdout.getReader().read();
  const [httpPort = 0, tcpPort = 0] = new TextDecoder().decode(value).split(" ").map(Number);
  return {
    pid: child.pid,
    httpPort,
    tcpPort,
    async count() {
      const answer = await fetch(`http://127.0.0.1:${httpPort}/count`);
      return (await answer.json()) as { records: number; bytes: number };
    },
    async close() {
      child.kill();
      await child.exited;
    },
  };
}

/** Runs a shipper until the receiver has every line, and ends it. */
async function measure(name: string, start: (receiver: Receiver, own: string) => Shipper): Promise<Figures> {
  const receiver = await startReceiver();
  const own = mkdtempSync(join(folder, "own-"));
  const startedAt = performance.now();
  const child = start(receiver, own);
  const passedMs = () => performance.now() - startedAt;
  try {
    let count = await receiver.count();
    while (count.records < LINES) {
      if (passedMs() > GIVE_UP_MS || child.exitCode !== null)
        throw new Error(`${name} delivered ${count.records} of ${LINES} lines`);
      await Bun.sleep(20);
      count = await receiver.count();
    }
    const seconds = passedMs() / 1_000;
    const mib = statSync(log).size / MIB;
    return {
      shipper: name,
      "MiB per CPU-second": (mib / (cpuMs(child.pid) / 1_000)).toFixed(1),
      "MiB/s": (mib / seconds).toFixed(1),
      "peak RSS, MiB": memoryMiB(child.pid, "VmHWM").toFixed(0),
      "sent, MiB": (count.bytes / MIB).toFixed(0),
      "receiver busy": `${(cpuMs(receiver.pid) / seconds / 10).toFixed(0)} %`,
    };
  } finally {
    child.kill();
    await child.exited;
    await receiver.close();
    rmSync(own, { recursive: true, force: true });
  }
}

function spawn(command: readonly string[]): Shipper {
  return Bun.spawn([...command], { stdin: "ignore", stdout: "ignore", stderr: "inherit" });
}

function pillion(compress: "none" | "gzip" | "zstd"): Promise<Figures> {
  return measure(`Pillion, ${compress === "none" ? "uncompressed" : compress}`, ({ httpPort }, own) => {
    const config = join(own, "pillion.yaml");
    writeFileSync(
      config,
      `state: ${own}/state
admin: { port: 0, socket: ${own}/control.sock }
log: { level: warn }
sidecars:
  bench:
    kind: logs
    files: [${log}]
    parse: nginx
    metadata: { pod: false }
    to: [{ http: { url: "http://127.0.0.1:${httpPort}/", compress: ${compress} } }]
`,
    );
    return spawn([...program, "run", "-c", config]);
  });
}

/** The time stays as it is: rsyslog has no way to make RFC 3339 of it. */
const RULES = `version=2
rule=:%client:word% %ident:word% %user:word% [%time:char-to:]%] "%method:word% %path:word% %protocol:char-to:"%" %status:number% %bytes:number% "%referer:char-to:"%" "%agent:char-to:"%"
`;

/** One queue and small batches: of all settings tried (one or two queues, batches of 32 to 4,096) the one that costs it least. */
function rsyslogConfig(own: string, actions: string): string {
  return `global(workDirectory="${own}" maxMessageSize="64k")
module(load="imfile")
module(load="mmnormalize")
module(load="omelasticsearch")
template(name="record" type="list") { property(name="$!all-json") }
template(name="line" type="list") { property(name="msg") constant(value="\\n") }
ruleset(name="ship" queue.type="LinkedList" queue.size="20000" queue.dequeueBatchSize="128") {
${actions}
}
input(type="imfile" file="${log}" tag="nginx" ruleset="ship" persistStateInterval="4096" readMode="0")
`;
}

function rsyslog(name: string, actionsFor: (receiver: Receiver, own: string) => string): Promise<Figures> {
  return measure(`rsyslog, ${name}`, (receiver, own) => {
    const config = join(own, "rsyslog.conf");
    writeFileSync(join(own, "nginx.rb"), RULES);
    writeFileSync(config, rsyslogConfig(own, actionsFor(receiver, own)));
    return spawn([RSYSLOGD, "-n", "-f", config, "-i", join(own, "pid")]);
  });
}

function toElasticsearch({ httpPort }: Receiver, own: string): string {
  return `  action(type="mmnormalize" ruleBase="${own}/nginx.rb" useRawMsg="off")
  action(type="omelasticsearch" server="127.0.0.1" serverport="${httpPort}" bulkmode="on" maxbytes="1m" template="record"
    searchIndex="logs" action.resumeRetryCount="-1")`;
}

function toTcp({ tcpPort }: Receiver): string {
  return `  action(type="omfwd" target="127.0.0.1" port="${tcpPort}" protocol="tcp" template="line" action.resumeRetryCount="-1")`;
}

interface Idle {
  readonly child: Shipper;
  readonly readyMs: number;
}

/** A sidecar with an empty file. Time from exec to the first 200 of `/readyz`; asking costs up to half a millisecond of it. */
async function startIdle(own: string): Promise<Idle> {
  mkdirSync(own);
  const config = join(own, "pillion.yaml");
  const port = freePort();
  writeFileSync(join(own, "quiet.log"), "");
  writeFileSync(
    config,
    `state: ${own}/state
admin: { port: ${port}, socket: ${own}/control.sock }
log: { level: warn }
sidecars: { idle: { kind: logs, files: [${own}/quiet.log], parse: nginx, to: [{ http: { url: "http://127.0.0.1:1/" } }] } }
`,
  );
  const startedAt = performance.now();
  const child = spawn([...program, "run", "-c", config]);
  while (!(await isReady(port))) {
    if (child.exitCode !== null) throw new Error("Pillion ended before it was ready");
    await Bun.sleep(0);
  }
  return { child, readyMs: performance.now() - startedAt };
}

async function isReady(port: number): Promise<boolean> {
  try {
    return (await fetch(`http://127.0.0.1:${port}/readyz`)).status === 200;
  } catch {
    return false;
  }
}

/** One that was free a moment ago. */
function freePort(): number {
  const server = Bun.serve({ port: 0, fetch: () => new Response() });
  const { port = 0 } = server;
  void server.stop(true);
  return port;
}

async function idle(): Promise<readonly Figures[]> {
  const ready: number[] = [];
  for (let round = 0; round < READY_ROUNDS; round++) {
    const { child, readyMs } = await startIdle(join(folder, `ready-${round}`));
    ready.push(readyMs);
    child.kill();
    await child.exited;
  }
  ready.sort((a, b) => a - b);
  const [least = 0, most = 0] = [ready[0], ready.at(-1)];
  const median = ready[READY_ROUNDS / 2] ?? 0;
  const rows: Figures[] = [
    { what: "ready after, ms", measured: `${median.toFixed(0)} (${least.toFixed(0)}–${most.toFixed(0)})` },
  ];
  const startedAt = performance.now();
  const { child } = await startIdle(join(folder, "idle"));
  for (const ms of IDLE_MS) {
    await Bun.sleep(ms - (performance.now() - startedAt));
    const [all, anonymous] = [memoryMiB(child.pid, "VmRSS"), memoryMiB(child.pid, "RssAnon")];
    rows.push({
      what: `RSS after ${ms / 1_000} s, MiB`,
      measured: `${all.toFixed(0)}, of which ${anonymous.toFixed(0)} anonymous`,
    });
  }
  child.kill();
  await child.exited;
  return rows;
}

try {
  mkdirSync(join(folder, "bundle"));
  await ownProgram(folder).bundle(join(folder, "bundle"));
  const size = await writeAccessLog(log, LINES);
  console.log(
    `${LINES} lines, ${(size / MIB).toFixed(0)} MiB, ${(size / LINES).toFixed(0)} bytes each; Pillion bundled as in its image`,
  );
  const table: Figures[] = [];
  for (const compress of ["none", "gzip", "zstd"] as const) table.push(await pillion(compress));
  if (await Bun.file(RSYSLOGD).exists()) {
    table.push(await rsyslog("mmnormalize → _bulk", toElasticsearch));
    table.push(await rsyslog("unparsed → TCP, no acknowledgement", toTcp));
  }
  console.table(table);
  console.table(await idle());
} finally {
  rmSync(folder, { recursive: true, force: true });
}
