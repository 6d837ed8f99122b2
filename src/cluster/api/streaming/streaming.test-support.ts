/** A node whose containers are this machine's own processes, and clients that speak the wire protocols by hand. */
import { connect as connectTcp } from "node:net";
import type { TLSSocket } from "node:tls";
import { StatusError } from "../../../k8s/status-error.ts";
import type { ExecProcess, ExecSpec } from "../../sandbox/process-io.ts";
import type { KubeletPort } from "../../kubelet/port.ts";
import { idleKubelet, type TestApi } from "../api.test-support.ts";

/** Every container runs; exec starts a program here. */
export function processKubelet(overrides: Partial<KubeletPort> = {}): KubeletPort {
  return {
    ...idleKubelet,
    isRunning: () => true,
    exec: (_at, spec) => Promise.resolve(startProcess(spec)),
    attach: (_at, spec) => Promise.resolve(startProcess({ argv: ["cat"], tty: false, ...spec })),
    connect: (_pod, port) =>
      new Promise((resolve, reject) => {
        const socket = connectTcp({ port, host: "127.0.0.1", allowHalfOpen: true });
        socket.once("connect", () => resolve(socket));
        socket.once("error", reject);
      }),
    ...overrides,
  };
}

export function startProcess({ argv, stdin, tty, size }: ExecSpec): ExecProcess {
  return tty ? terminalProcess(argv, size) : pipedProcess(argv, stdin);
}

function pipedProcess(argv: readonly string[], stdin: boolean): ExecProcess {
  let child: Bun.Subprocess<"pipe" | "ignore", "pipe", "pipe">;
  try {
    child = Bun.spawn([...argv], { stdio: [stdin ? "pipe" : "ignore", "pipe", "pipe"] });
  } catch (error) {
    throw new StatusError("InternalError", `Internal error occurred: ${String(error)}`);
  }
  const input = child.stdin;
  const stdout = child.stdout.getReader();
  const stderr = child.stderr.getReader();
  return {
    ...(input === undefined
      ? {}
      : {
          stdin: {
            async write(chunk) {
              try {
                await input.write(chunk);
                await input.flush();
              } catch {
                return; // It has ended.
              }
            },
            end: () => void input.end(),
          },
        }),
    stdout: chunksOf(stdout),
    stderr: chunksOf(stderr),
    resize: () => undefined,
    detach() {
      void input?.end();
      void stdout.cancel();
      void stderr.cancel();
    },
    exited: child.exited.then((exitCode) => ({ exitCode })),
    kill: (signal) => child.kill(signal),
  };
}

async function* chunksOf(reader: {
  read(): Promise<{ done: boolean; value?: Uint8Array | undefined }>;
}): AsyncGenerator<Uint8Array> {
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    if (value !== undefined) yield value;
  }
}

function terminalProcess(argv: readonly string[], size = { width: 80, height: 24 }): ExecProcess {
  const queue: Uint8Array[] = [];
  let wake = () => undefined as void;
  let isOver = false;
  const child = Bun.spawn([...argv], {
    terminal: {
      cols: size.width,
      rows: size.height,
      data(_terminal, bytes) {
        queue.push(bytes);
        wake();
      },
    },
  });
  const { terminal } = child;
  const exited = child.exited.then((exitCode) => {
    isOver = true;
    wake();
    return { exitCode };
  });
  async function* output(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const chunk = queue.shift();
      if (chunk !== undefined) yield chunk;
      else if (isOver) return;
      else await new Promise<void>((resolve) => (wake = resolve));
    }
  }
  return {
    stdin: {
      write: async (chunk) => void terminal?.write(chunk),
      end: () => void terminal?.write("\u0004"),
    },
    stdout: output(),
    resize({ width, height }) {
      terminal?.resize(width, height);
    },
    detach() {
      terminal?.close();
    },
    exited,
    kill: (signal) => child.kill(signal),
  };
}

/** A pod that is assigned to the node and runs. */
export function createPod(api: TestApi, name = "p", containers: readonly string[] = ["main"]): void {
  api.store.create("pods", {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "default" },
    spec: {
      nodeName: "node",
      containers: containers.map((one) => ({ name: one, image: "x" })),
    },
    status: {
      phase: "Running",
      containerStatuses: containers.map((one) => ({ name: one, ready: true, state: { running: {} } })),
    },
  });
}

/** Sends a request by hand and resolves with the head of the answer and a reader of what follows. */
export async function upgrade(
  api: TestApi,
  path: string,
  headers: Readonly<Record<string, string>>,
  method = "GET",
): Promise<{ readonly head: string; readonly socket: TLSSocket; readonly rest: ByteReader }> {
  const socket = await api.connect();
  const lines = Object.entries({
    Host: "127.0.0.1",
    Authorization: `Bearer ${api.pki.token}`,
    Connection: "Upgrade",
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
  const rest = new ByteReader(socket);
  const head = await rest.until("\r\n\r\n");
  return { head, socket, rest };
}

/** Reads a socket piece by piece. */
export class ByteReader {
  #bytes = Buffer.alloc(0);
  #isOver = false;
  #wake = () => undefined as void;

  constructor(socket: TLSSocket) {
    socket.on("data", (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#wake();
    });
    const end = () => {
      this.#isOver = true;
      this.#wake();
    };
    socket.on("end", end);
    socket.on("close", end);
    socket.on("error", end);
  }

  /** Everything until the other side closes. */
  async all(): Promise<Buffer> {
    while (!this.#isOver) await this.#more();
    return this.#bytes;
  }

  async until(mark: string): Promise<string> {
    for (;;) {
      const at = this.#bytes.indexOf(mark);
      if (at >= 0) return (await this.take(at + mark.length)).toString();
      if (this.#isOver) throw new Error(`closed before ${JSON.stringify(mark)}: ${this.#bytes.toString()}`);
      await this.#more();
    }
  }

  async take(count: number): Promise<Buffer> {
    while (this.#bytes.length < count) {
      if (this.#isOver) throw new Error(`closed after ${this.#bytes.length} of ${count} bytes`);
      await this.#more();
    }
    const taken = this.#bytes.subarray(0, count);
    this.#bytes = this.#bytes.subarray(count);
    return taken;
  }

  #more(): Promise<void> {
    return new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** A WebSocket by hand: one that need not read, answer pings or keep to the protocol. */
export class WireWebSocket {
  readonly socket: TLSSocket;
  readonly rest: ByteReader;

  constructor({ socket, rest }: { readonly socket: TLSSocket; readonly rest: ByteReader }) {
    this.socket = socket;
    this.rest = rest;
  }

  /** A masked binary message on a channel; false when the socket's buffer is full. */
  send(channel: number, bytes: Uint8Array | string = ""): boolean {
    const payload = Buffer.concat([Uint8Array.of(channel), Buffer.from(bytes)]);
    const head =
      payload.length < 126
        ? Buffer.from([0x82, 0x80 | payload.length])
        : Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
    if (payload.length >= 126) head.writeUInt32BE(payload.length, 6);
    return this.socket.write(Buffer.concat([head, Buffer.alloc(4), payload]));
  }

  async next(): Promise<{ readonly opcode: number; readonly payload: Buffer }> {
    const [first = 0, second = 0] = await this.rest.take(2);
    const short = second & 0x7f;
    let length = short;
    if (short === 126) length = (await this.rest.take(2)).readUInt16BE();
    if (short === 127) length = Number((await this.rest.take(8)).readBigUInt64BE());
    return { opcode: first & 0x0f, payload: await this.rest.take(length) };
  }

  /** Reads to the close: the text of every channel, and the code of the close. */
  async finish(): Promise<{ readonly channels: Record<number, string>; readonly closeCode: number }> {
    const channels: Record<number, string> = {};
    for (;;) {
      const { opcode, payload } = await this.next();
      if (opcode === 8) {
        this.socket.end();
        return { channels, closeCode: payload.readUInt16BE() };
      }
      if (opcode !== 2) continue;
      const channel = payload[0] ?? -1;
      channels[channel] = (channels[channel] ?? "") + payload.subarray(1).toString();
    }
  }
}

export const WEB_SOCKET_HEADERS = {
  Upgrade: "websocket",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
} as const;

/** Fails unless the server upgrades. */
export async function openWebSocket(
  api: TestApi,
  path: string,
  protocol = "v5.channel.k8s.io",
): Promise<WireWebSocket> {
  const { head, ...opened } = await upgrade(api, path, {
    ...WEB_SOCKET_HEADERS,
    "Sec-WebSocket-Protocol": protocol,
  });
  if (!head.startsWith("HTTP/1.1 101 ")) throw new Error(head + (await opened.rest.all()).toString());
  return new WireWebSocket(opened);
}

/** SYN_STREAM frames with headers in stored deflate blocks: what a client may send, written the shortest way. */
export function openStreams(...types: readonly string[]): Buffer {
  return Buffer.concat(
    types.map((type, index) => synStream(index * 2 + 1, { streamtype: type }, index === 0)),
  );
}

export function synStream(id: number, headers: Readonly<Record<string, string>>, isFirst: boolean): Buffer {
  const texts = Object.entries(headers).flat();
  const block = Buffer.concat([
    uint32(texts.length / 2),
    ...texts.map((text) => Buffer.concat([uint32(text.length), Buffer.from(text)])),
  ]);
  const length = Buffer.alloc(4);
  length.writeUInt16LE(block.length);
  length.writeUInt16LE(~block.length & 0xffff, 2);
  const packed = Buffer.concat([Buffer.from(isFirst ? [0x78, 1, 0] : [0]), length, block]);
  const body = Buffer.concat([uint32(id), uint32(0), Buffer.alloc(2), packed]);
  return Buffer.concat([Buffer.from([0x80, 3, 0, 1]), uint32(body.length), body]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

/** A SPDY client by hand. */
export class WireSpdy {
  readonly socket: TLSSocket;
  readonly rest: ByteReader;
  readonly #texts = new Map<number, string>();
  readonly #ended = new Set<number>();
  readonly #reset = new Set<number>();
  #lastId = -1;

  constructor({ head, socket, rest }: Awaited<ReturnType<typeof upgrade>>) {
    if (!head.startsWith("HTTP/1.1 101 ")) throw new Error(head);
    this.socket = socket;
    this.rest = rest;
  }

  /** The new stream's id. */
  open(headers: Readonly<Record<string, string>>): number {
    const isFirst = this.#lastId < 0;
    this.#lastId += 2;
    this.socket.write(synStream(this.#lastId, headers, isFirst));
    return this.#lastId;
  }

  /** What has come on a stream, once it has ended. */
  async readToEnd(id: number): Promise<string> {
    while (!this.#ended.has(id) && !this.#reset.has(id)) await this.#readFrame();
    return this.#texts.get(id) ?? "";
  }

  async readSome(id: number): Promise<string> {
    while ((this.#texts.get(id) ?? "") === "") await this.#readFrame();
    return this.#texts.get(id) ?? "";
  }

  /** Reads until the stream is over; true when it was reset. */
  async isReset(id: number): Promise<boolean> {
    while (!this.#ended.has(id) && !this.#reset.has(id)) await this.#readFrame();
    return this.#reset.has(id);
  }

  async #readFrame(): Promise<void> {
    const head = await this.rest.take(8);
    const body = await this.rest.take(head.readUIntBE(5, 3));
    if (head.readUInt8(0) < 0x80) {
      const id = head.readUInt32BE(0);
      this.#texts.set(id, (this.#texts.get(id) ?? "") + body.toString());
      if (head.readUInt8(4) === 1) this.#ended.add(id);
    } else if (head.readUInt16BE(2) === 3) this.#reset.add(body.readUInt32BE(0));
  }
}
