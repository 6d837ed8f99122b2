/**
 * What shipping 2 million nginx lines costs: read, parse, JSON, HTTP with acknowledgement and checkpoints, beside rsyslog doing
 * the same work in the same run. Run: `bun bench/logs.ts [LINES]` (rsyslog and rsyslog-elasticsearch from Debian, else no
 * comparison). Prints a table and removes what it made.
 */
import {
  createWriteStream,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cpuMs, rssMiB } from "./engine-process.ts";

const LINES = Number(process.argv[2] ?? 2_000_000);
const MIB = 2 ** 20;
const GIVE_UP_MS = 300_000;
const main = join(import.meta.dirname, "../src/bin/main.ts");
const folder = mkdtempSync(join(tmpdir(), "pillion-bench-"));
const log = join(folder, "access.log");

interface Figures {
  readonly name: string;
  readonly mibPerCpuSecond: number;
  readonly mibPerSecond: number;
  readonly peakMiB: number;
}

/** Lines as a busy site has them: 172 bytes on average. */
async function writeLog(): Promise<void> {
  const out = createWriteStream(log);
  const agents = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101",
    "curl/8.14.1",
    "kube-probe/1.36 (pod)",
  ];
  const paths = [
    "/",
    "/assets/app.4f3a9c.js",
    "/api/v1/orders/81237/items?expand=product",
    "/healthz",
    "/img/logo.png",
  ];
  for (let from = 0; from < LINES; from += 10_000) {
    const lines: string[] = [];
    for (let i = from; i < Math.min(LINES, from + 10_000); i++) {
      const time = new Date(Date.UTC(2026, 10, 21) + i * 3).toISOString();
      const stamp = `21/Nov/2026:${time.slice(11, 19)} +0000`;
      const client = `10.${i % 7}.${i % 251}.${i % 13}`;
      const request = `${i % 9 === 0 ? "POST" : "GET"} ${paths[i % paths.length]} HTTP/1.1`;
      const referer = i % 3 === 0 ? "https://shop.example.org/catalogue/page/12" : "-";
      const status = i % 50 === 0 ? 502 : 200;
      lines.push(
        `${client} - - [${stamp}] "${request}" ${status} ${i % 40_000} "${referer}" "${agents[i % 3]}"`,
      );
    }
    if (!out.write(`${lines.join("\n")}\n`)) await once(out, "drain");
  }
  out.end();
  await once(out, "close");
}

interface Receiver {
  readonly port: number;
  count(): Promise<number>;
  close(): Promise<void>;
}

async function startReceiver(): Promise<Receiver> {
  const child = Bun.spawn([process.execPath, join(import.meta.dirname, "log-receiver.ts")], {
    stdout: "pipe",
  });
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  const port = Number(new TextDecoder().decode(value));
  return {
    port,
    async count() {
      const answer = (await (await fetch(`http://127.0.0.1:${port}/count`)).json()) as { records: number };
      return answer.records;
    },
    async close() {
      child.kill();
      await child.exited;
    },
  };
}

/** Runs a shipper until the receiver has every line, and ends it. */
async function measure(
  name: string,
  receiver: Receiver,
  start: () => Bun.Subprocess<"ignore", "ignore", "inherit">,
): Promise<Figures> {
  const startedAt = performance.now();
  const child = start();
  let peakMiB = 0;
  let count = 0;
  try {
    while (count < LINES) {
      await Bun.sleep(20);
      peakMiB = Math.max(peakMiB, rssMiB(child.pid));
      count = await receiver.count();
      if (performance.now() - startedAt > GIVE_UP_MS)
        throw new Error(`${name} delivered ${count} of ${LINES} lines`);
    }
    const seconds = (performance.now() - startedAt) / 1_000;
    const mib = statSync(log).size / MIB;
    const cpuSeconds = cpuMs(child.pid) / 1_000;
    return { name, mibPerCpuSecond: mib / cpuSeconds, mibPerSecond: mib / seconds, peakMiB };
  } finally {
    child.kill();
    await child.exited;
  }
}

async function pillion(compress: string): Promise<Figures> {
  const receiver = await startReceiver();
  const own = mkdtempSync(join(folder, "pillion-"));
  const config = join(own, "pillion.yaml");
  writeFileSync(
    config,
    `state: ${own}/state
admin: { port: 0, socket: ${own}/control.sock }
sidecars:
  bench:
    kind: logs
    files: [${log}]
    parse: nginx
    metadata: { pod: false }
    to: [{ http: { url: "http://127.0.0.1:${receiver.port}/", compress: ${compress} } }]
`,
  );
  try {
    return await measure(`Pillion, ${compress === "none" ? "uncompressed" : compress}`, receiver, () =>
      Bun.spawn([process.execPath, main, "run", "-c", config], {
        stdin: "ignore",
        stdout: "ignore",
        stderr: "inherit",
        env: { ...process.env, BUN_RUNTIME_TRANSPILER_CACHE_PATH: "0" },
      }),
    );
  } finally {
    await receiver.close();
  }
}

const RULES = `version=2
rule=:%client:word% %ident:word% %user:word% [%time:char-to:]%] "%method:word% %path:word% %protocol:char-to:"%" %status:number% %bytes:number% "%referer:char-to:"%" "%agent:char-to:"%"
`;

async function rsyslog(): Promise<Figures> {
  const receiver = await startReceiver();
  const own = mkdtempSync(join(folder, "rsyslog-"));
  writeFileSync(join(own, "nginx.rb"), RULES);
  const config = join(own, "rsyslog.conf");
  writeFileSync(
    config,
    `global(workDirectory="${own}" maxMessageSize="64k")
module(load="imfile")
module(load="mmnormalize")
module(load="omelasticsearch")
template(name="record" type="list") { property(name="$!all-json") }
ruleset(name="ship") {
  action(type="mmnormalize" ruleBase="${own}/nginx.rb" useRawMsg="off")
  action(type="omelasticsearch" server="127.0.0.1" serverport="${receiver.port}" bulkmode="on" maxbytes="1m" template="record"
    searchIndex="logs" queue.type="LinkedList" queue.dequeueBatchSize="4096" queue.size="50000" action.resumeRetryCount="-1")
}
input(type="imfile" file="${log}" tag="nginx" ruleset="ship" persistStateInterval="4096" readMode="0")
`,
  );
  try {
    return await measure("rsyslog imfile → mmnormalize → _bulk", receiver, () =>
      Bun.spawn(["rsyslogd", "-n", "-f", config, "-i", join(own, "pid")], {
        stdin: "ignore",
        stdout: "ignore",
        stderr: "inherit",
      }),
    );
  } finally {
    await receiver.close();
  }
}

/** What a sidecar costs that has nothing to do, and how soon it is ready. */
async function idle(): Promise<{ readonly readyMs: number; readonly rssMiB: number }> {
  const own = mkdtempSync(join(folder, "idle-"));
  const config = join(own, "pillion.yaml");
  const quiet = join(own, "quiet.log");
  writeFileSync(quiet, "");
  writeFileSync(
    config,
    `state: ${own}/state
admin: { port: 0, socket: ${own}/control.sock }
sidecars: { idle: { kind: logs, files: [${quiet}], to: [{ stdout: {} }] } }
`,
  );
  const program = existsSync(process.argv[3] ?? "") ? (process.argv[3] ?? main) : main;
  const startedAt = performance.now();
  const child = Bun.spawn([process.execPath, program, "run", "-c", config], {
    stdin: "ignore",
    stdout: "ignore",
    stderr: "inherit",
  });
  const socket = join(own, "control.sock");
  let readyMs = 0;
  while (readyMs === 0) {
    const answer = await fetch("http://pillion/status", { unix: socket }).catch(() => undefined);
    if (answer?.ok) readyMs = performance.now() - startedAt;
    else await Bun.sleep(1);
  }
  await Bun.sleep(5_000);
  const rss = rssMiB(child.pid);
  child.kill();
  await child.exited;
  return { readyMs, rssMiB: rss };
}

try {
  await writeLog();
  console.log(
    `${LINES} lines, ${(statSync(log).size / MIB).toFixed(0)} MiB, ${readFileSync(log).length / LINES} bytes each`,
  );
  const table: Figures[] = [];
  for (const compress of ["none", "gzip", "zstd"]) table.push(await pillion(compress));
  if (Bun.which("rsyslogd", { PATH: `${process.env["PATH"]}:/usr/sbin` }) !== null)
    table.push(await rsyslog());
  console.table(
    table.map(({ name, mibPerCpuSecond, mibPerSecond, peakMiB }) => ({
      name,
      "MiB per CPU-second": mibPerCpuSecond.toFixed(1),
      "MiB/s": mibPerSecond.toFixed(1),
      "peak RSS, MiB": peakMiB.toFixed(0),
    })),
  );
  console.log(await idle());
} finally {
  rmSync(folder, { recursive: true, force: true });
}
