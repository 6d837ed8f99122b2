/** Compiles the C half of the relay, with the compiler inside Bun that the launcher of pods uses as well. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cc } from "bun:ffi";
import connections from "./relay-connections.c" with { type: "text" };
import state from "./relay-state.c" with { type: "text" };
import source from "./tcp-relay.c" with { type: "text" };

/** An address in memory that C gave out, which is C's to free. */
export type Handle = number;

/** What tcp-relay.c exports; there is said what each does. Results below zero are −errno. */
export interface RelayNative {
  startRelay(options: RelayStart): Handle;
  stopRelay(relay: Handle): void;
  openRoute(): Handle;
  closeRoute(relay: Handle, route: Handle): void;
  setRoute(relay: Handle, route: Handle, to: RouteTargets): number;
  listenHere(at: Uint8Array): number;
  portOf(listener: Handle): number;
  openListener(relay: Handle, route: Handle, fd: number): Handle;
  closeListener(relay: Handle, listener: Handle): void;
  connectionsOf(relay: Handle, listener: Handle): number;
  releaseListener(relay: Handle, listener: Handle, endsConnections: boolean): void;
}

export interface RelayStart {
  /** -1: that of the caller. */
  readonly netns: number;
  /** Whether there is a processor to spare for a thread that waits awake. */
  readonly staysAwake: boolean;
  /** Of one listener. */
  readonly mostConnections: number;
}

export interface RouteTargets {
  /** `struct endpoint`, one after the other; never empty memory, which has no address. */
  readonly endpoints: Uint8Array;
  readonly count: number;
  /** 0: clients stay with nobody. */
  readonly affinityMs: number;
}

/** The first includes the second, and that the third. */
const FILES = [
  ["tcp-relay.c", source],
  ["relay-connections.c", connections],
  ["relay-state.c", state],
] as const;

let compiled: RelayNative | undefined;

/** Takes some milliseconds the first time. Throws what the compiler says. */
export function relayNative(): RelayNative {
  return (compiled ??= compile());
}

function compile(): RelayNative {
  // `cc` reads a file, and in a compiled program the source is not one.
  const folder = mkdtempSync(join(tmpdir(), "pillion-relay-"));
  try {
    const file = join(folder, "tcp-relay.c");
    for (const [name, text] of FILES) writeFileSync(join(folder, name), text, { mode: 0o600 });
    const { symbols } = cc({
      source: file,
      symbols: {
        relay_start: { args: ["i32", "i32", "i32"], returns: "int64_t" },
        relay_stop: { args: ["int64_t"], returns: "void" },
        route_open: { args: [], returns: "int64_t" },
        route_close: { args: ["int64_t", "int64_t"], returns: "void" },
        route_set: { args: ["int64_t", "int64_t", "ptr", "i32", "int64_t"], returns: "i32" },
        listen_here: { args: ["ptr"], returns: "i32" },
        port_of: { args: ["int64_t"], returns: "i32" },
        listener_open: { args: ["int64_t", "int64_t", "i32"], returns: "int64_t" },
        listener_close: { args: ["int64_t", "int64_t"], returns: "void" },
        listener_connections: { args: ["int64_t", "int64_t"], returns: "i32" },
        listener_release: { args: ["int64_t", "int64_t", "i32"], returns: "void" },
      },
    });
    return {
      startRelay: ({ netns, staysAwake, mostConnections }) =>
        Number(symbols.relay_start(netns, staysAwake ? 1 : 0, mostConnections)),
      stopRelay: (relay) => symbols.relay_stop(relay),
      openRoute: () => Number(symbols.route_open()),
      closeRoute: (relay, route) => symbols.route_close(relay, route),
      setRoute: (relay, route, { endpoints, count, affinityMs }) =>
        symbols.route_set(relay, route, endpoints, count, affinityMs),
      listenHere: (at) => symbols.listen_here(at),
      portOf: (listener) => symbols.port_of(listener),
      openListener: (relay, route, fd) => Number(symbols.listener_open(relay, route, fd)),
      closeListener: (relay, listener) => symbols.listener_close(relay, listener),
      connectionsOf: (relay, listener) => symbols.listener_connections(relay, listener),
      releaseListener: (relay, listener, endsConnections) =>
        symbols.listener_release(relay, listener, endsConnections ? 1 : 0),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
