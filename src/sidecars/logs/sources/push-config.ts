/** What a configuration may ask of the sources that cannot be read twice: `fifo`, `syslog` and `spool`. */
import { z } from "zod";
import { absolutePath, size } from "../../../kernel/config-types.ts";

/** `sun_path` holds 107 bytes; a socket is made beside its place first, under a longer name. */
const MAX_SOCKET_PATH = 95;
const ADDRESS = /^(?<host>[^:[\]]*|\[[0-9a-fA-F:.]+\]):(?<port>\d{1,5})$/;
const MAX_PORT = 65_535;

export interface UdpAddress {
  readonly hostname: string;
  /** 0 takes any free port. */
  readonly port: number;
}

function socketPath() {
  return absolutePath().max(
    MAX_SOCKET_PATH,
    `Write a path of ${MAX_SOCKET_PATH} bytes at most: sockets have short names`,
  );
}

function udpAddress() {
  const words = 'Write an address and a port, for example ":514", "127.0.0.1:5514" or "[::1]:514"';
  return z
    .string(words)
    .refine((text) => Number(ADDRESS.exec(text)?.groups?.["port"] ?? Number.NaN) <= MAX_PORT, words)
    .transform((text): UdpAddress => {
      const { host = "", port = "" } = ADDRESS.exec(text)?.groups ?? {};
      return { hostname: host === "" ? "0.0.0.0" : host.replaceAll(/[[\]]/g, ""), port: Number(port) };
    });
}

const Fifo = z.strictObject({
  path: absolutePath().describe("Where the FIFO is, or will be."),
  create: z
    .boolean()
    .prefault(false)
    .describe("Makes the FIFO where there is none, mode 0622; otherwise it is waited for."),
});

/** For the kind's schema, which spreads it. */
export const pushKeys = {
  fifo: z
    .array(
      z
        .union([absolutePath(), Fifo])
        .transform((fifo) => (typeof fifo === "string" ? { path: fifo, create: false } : fifo)),
    )
    .superRefine((fifos, context) => {
      for (const [index, { path }] of fifos.entries()) {
        if (fifos.findIndex((other) => other.path === path) === index) continue;
        context.addIssue({
          code: "custom",
          path: [index],
          message: `Name each FIFO once: "${path}" stands above`,
        });
      }
    })
    .prefault([])
    .describe("FIFOs (named pipes) to read: paths, or `{ path, create }`. Writers may come and go."),
  syslog: z
    .strictObject({
      socket: socketPath()
        .optional()
        .describe(
          "Unix datagram socket to receive at, `/dev/log` for programs that call `syslog()`; mode 0666.",
        ),
      stream: socketPath()
        .optional()
        .describe("Unix stream socket to receive at, for programs that want a connection; mode 0666."),
      udp: udpAddress()
        .optional()
        .describe(
          'Address to receive UDP at, `":514"` for all IPv4 addresses of the pod. UDP itself may lose messages.',
        ),
    })
    .refine(({ socket, stream, udp }) => (socket ?? stream ?? udp) !== undefined, {
      message: "Say where to receive: `socket`, `stream` or `udp`",
    })
    .refine(({ socket, stream }) => socket === undefined || socket !== stream, {
      message: "Give `stream` a path of its own",
      path: ["stream"],
    })
    .optional()
    .describe(
      "Receives syslog messages (RFC 3164 and RFC 5424). Line ends inside of a message are written as `#012`.",
    ),
  spool: size()
    .refine((bytes) => bytes >= 2 ** 20, 'Write a size of at least "1Mi"')
    .prefault("64Mi")
    .describe(
      "How much of what came by each FIFO, and by syslog, may wait on disk. When it is full, writers wait; only UDP loses messages then, and they are counted.",
    ),
};

export type PushConfig = z.output<z.ZodObject<typeof pushKeys>>;
