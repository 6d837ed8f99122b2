/** Makes one connection of two: both ways at the pace of the slower side, and the end of each side for itself. */
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

/** Both allow half-open connections, and nothing has been read from either. What one of them loses, the other loses, too. */
export function joinSockets(socket: Socket, target: Duplex): void {
  // A client that resets is no news.
  socket.on("error", () => socket.destroy());
  target.on("error", () => hangUp(socket));
  // After its end has been passed on, what was said before may still be on its way.
  target.once("close", () => {
    if (!target.readableEnded) hangUp(socket);
  });
  socket.once("close", () => target.destroy());
  if (socket.destroyed) {
    target.destroy();
    return;
  }
  // `pipe` passes on the end of one side and leaves the other open.
  socket.pipe(target);
  target.pipe(socket);
}

/** A reset instead of an orderly end, so that nobody takes half an answer for a whole one. */
export function hangUp(socket: Socket): void {
  if (!socket.destroyed) socket.resetAndDestroy();
}
