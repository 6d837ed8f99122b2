/** Connections into pods, made by an engine inside its namespaces; prints what came of them as JSON. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { BUN_INSIDE, containerSpec, podSpec } from "./open-sandbox.test-support.ts";
import { openSandbox } from "./open-sandbox.ts";
import type { Address, PodSandbox, Sandbox } from "./sandbox.ts";

/** Echo that answers only after the client's end, on all addresses; a flood; one that listens on loopback only. */
const SERVER = `
  const net = require("node:net");
  const serve = (port, host, onSocket) =>
    new Promise((done) => net.createServer({ allowHalfOpen: true }, onSocket).listen(port, host, done));
  await serve(7, "0.0.0.0", (socket) => {
    let got = "";
    socket.on("data", (data) => (got += data)).on("end", () => socket.end("you said " + got));
  });
  let sent = 0;
  await serve(19, "0.0.0.0", (socket) => {
    const block = Buffer.alloc(65536);
    const pump = () => { while (sent < 64e6) { sent += block.length; if (!socket.write(block)) return socket.once("drain", pump); } socket.end(); };
    pump();
  });
  await serve(20, "0.0.0.0", (socket) => socket.end(String(sent)));
  await serve(99, "127.0.0.1", (socket) => socket.end("loopback"));
  console.log("listening");`;

/** Runs as the program of a process inside `namespaceCommand`. */
export async function connections(folder: string): Promise<void> {
  const sandbox = await openSandbox({ stateDir: folder });
  const pod = await sandbox.createPod(podSpec("server"));
  await pod.startContainer(containerSpec(folder, "server", [BUN_INSIDE, "-e", SERVER]));
  await lineIn(join(folder, "server.log"), "listening");
  const never = new AbortController().signal;
  const from = (place: Sandbox | PodSandbox, to: Address) => answer(() => place.connect(to, never));
  const fdsBefore = openFiles();
  const found = {
    halfClose: await halfClose(await sandbox.connect({ ip: pod.ip, port: 7 }, never)),
    refused: await from(sandbox, { ip: pod.ip, port: 81 }),
    unreachable: await from(sandbox, { ip: "192.0.2.1", port: 80 }),
    ownLoopback: await from(pod, { ip: "127.0.0.1", port: 99 }),
    loopbackFromNode: await from(sandbox, { ip: "127.0.0.1", port: 99 }),
    podToItself: await from(pod, { ip: pod.ip, port: 20 }),
    aborted: await aborted(sandbox),
    abortedBefore: await answer(() =>
      sandbox.connect({ ip: pod.ip, port: 7 }, AbortSignal.abort(new Error("no"))),
    ),
    backPressure: await backPressure(sandbox, pod.ip),
    networksOfThreads: networksOfThreads().size,
    microseconds: await timed(sandbox, pod.ip),
    leakedFiles: openFiles() - fdsBefore,
    destroyed: await destroyed(pod),
  };
  await sandbox.close();
  // The thread has been told to end, and does so in its own time; the test's time limit is the limit.
  while (networksOfThreads().size > 1) await Bun.sleep(2);
  console.log(JSON.stringify({ ...found, networksAfterClose: networksOfThreads().size }));
}

async function answer(connect: () => Promise<Duplex>): Promise<string> {
  try {
    return await text(await connect());
  } catch (error) {
    return String(error instanceof Error && "code" in error ? error.code : error);
  }
}

/** The client ends its side first; the answer still comes. */
async function halfClose(socket: Duplex): Promise<string> {
  socket.end("hello");
  return text(socket);
}

/** Nobody has this address: the handshake never ends. */
async function aborted(sandbox: Sandbox): Promise<string> {
  const controller = new AbortController();
  const pending = answer(() => sandbox.connect({ ip: "10.244.200.200", port: 80 }, controller.signal));
  setTimeout(() => controller.abort(new Error("given up")), 50);
  return pending;
}

/** A flood that nobody reads stops; once read, it is complete. */
async function backPressure(sandbox: Sandbox, ip: string) {
  const never = new AbortController().signal;
  const flood = await sandbox.connect({ ip, port: 19 }, never);
  const asked = async () => Number(await answer(() => sandbox.connect({ ip, port: 20 }, never)));
  let before = -1;
  // Until two questions in a row have the same answer.
  let sent = await asked();
  while (sent !== before) {
    await Bun.sleep(20);
    before = sent;
    sent = await asked();
  }
  let bytes = 0;
  for await (const chunk of flood) bytes += (chunk as Uint8Array).length;
  flood.end();
  return { isHeldBack: sent < 32e6, bytes: bytes >= 64e6 };
}

async function timed(sandbox: Sandbox, ip: string): Promise<number> {
  const never = new AbortController().signal;
  const rounds = 200;
  const cpu = process.cpuUsage();
  for (let round = 0; round < rounds; round++) {
    const socket = await sandbox.connect({ ip, port: 20 }, never);
    socket.destroy();
  }
  const { user, system } = process.cpuUsage(cpu);
  return Math.round((user + system) / rounds);
}

/** A connection over the pod's end, and a connection after it. */
async function destroyed(pod: PodSandbox) {
  const never = new AbortController().signal;
  const open = await pod.connect({ ip: "127.0.0.1", port: 7 }, never);
  const ended = new Promise<void>((resolve) => {
    open
      .on("error", () => undefined)
      .on("end", resolve)
      .on("close", resolve)
      .resume();
  });
  await pod.destroy();
  await ended;
  open.destroy();
  return { ended: true, later: await answer(() => pod.connect({ ip: "127.0.0.1", port: 7 }, never)) };
}

/** The machine's, and the node's: a thread that stayed in a pod's would keep it alive. */
function networksOfThreads(): Set<string> {
  const networks = readdirSync("/proc/self/task").flatMap((thread) => {
    try {
      return [readlinkSync(`/proc/self/task/${thread}/ns/net`)];
    } catch {
      return []; // It has ended just now.
    }
  });
  return new Set(networks);
}

function openFiles(): number {
  return readdirSync("/proc/self/fd").length;
}

async function lineIn(log: string, line: string): Promise<void> {
  while (!existsSync(log) || !readFileSync(log, "utf8").includes(line)) await Bun.sleep(2);
}

if (import.meta.main) await connections(process.argv[2] ?? "");
