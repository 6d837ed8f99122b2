import { expect, test } from "bun:test";
import { type AddressInfo, connect, createServer } from "node:net";
import { findSendQueue, readSendQueue } from "./tcp-send-queue.ts";

const TABLE = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:B3E7 0100007F:DEB8 01 00000000:00017400 00:00000000 00000000     0        0 4208395 1
   1: 0100007F:DEB8 0100007F:B3E7 01 003C0886:00000000 04:00000005 00000000     0        0 4208394 2
   2: 0100007F:0050 0100007F:B3E7 08 00000000:00000001 00:00000000 00000000     0        0 4208394 2
   3: 00000000000000000000000001000000:C350 00000000000000000000000001000000:0202 01 0000000A:00000000 00:00000000`;

test("findSendQueue() tells the two ends of a connection apart, and closing from open", () => {
  const queue = (localPort: number, remotePort: number) => findSendQueue(TABLE, { localPort, remotePort });
  expect([
    queue(0xdeb8, 0xb3e7),
    queue(0xb3e7, 0xdeb8),
    queue(80, 0xb3e7),
    queue(50_000, 514),
    queue(1, 2),
  ]).toEqual([
    { bytes: 0x3c0886, isEstablished: true },
    { bytes: 0, isEstablished: true },
    { bytes: 0, isEstablished: false },
    { bytes: 10, isEstablished: true },
    undefined,
  ]);
});

test.each(["127.0.0.1", "::1"])(
  "readSendQueue() sees what a deaf peer at %s has not taken",
  async (address) => {
    const { promise: accepted, resolve } = Promise.withResolvers<void>();
    const server = createServer((peer) => {
      peer.on("error", () => undefined).pause();
      resolve();
    });
    await new Promise<void>((listening) => server.listen(0, address, listening));
    const socket = connect((server.address() as AddressInfo).port, address);
    await Promise.all([accepted, new Promise<void>((connected) => socket.once("connect", connected))]);
    const ports = { localPort: socket.localPort ?? 0, remotePort: socket.remotePort ?? 0 };
    expect(await readSendQueue(ports)).toEqual({ bytes: 0, isEstablished: true });
    socket.write(Buffer.alloc(32 * 1_024 * 1_024));
    // The kernel takes what fits at once; the rest waits in our own process.
    let queue = await readSendQueue(ports);
    while (queue?.bytes === 0) queue = await readSendQueue(ports);
    expect(queue?.isEstablished).toBe(true);
    socket.destroy();
    server.close();
  },
);
