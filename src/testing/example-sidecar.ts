/** A kind for tests of everything around kinds: it has one of each sort of key, and does what its configuration says. */
import { z } from "zod";
import { absolutePath, duration, secret, size } from "../kernel/config-types.ts";
import { Problem } from "../kernel/problem.ts";
import { defineSidecar } from "../kernel/sidecar.ts";

const Target = z.union([
  z.strictObject({ stdout: z.strictObject({}).describe("Standard output of the container.") }),
  z.strictObject({
    http: z
      .strictObject({
        url: z.url().describe("Where records go."),
        token: secret().optional().describe("What proves who we are."),
      })
      .describe("A web server that takes records."),
  }),
  z.strictObject({
    file: z
      .strictObject({ path: absolutePath().describe("The file that grows.") })
      .describe("A file on a volume."),
  }),
]);

const Config = z.strictObject({
  say: z.string().describe("What it logs when it starts."),
  every: duration().prefault("1m").describe("How often it counts."),
  buffer: size().prefault("1Mi").describe("How much it holds."),
  mode: z.enum(["loud", "quiet"]).prefault("loud").describe("How loud it is."),
  parse: z
    .union([
      z.enum(["none", "json", "nginx"]),
      z.strictObject({ regex: z.string().describe("An expression with named groups.") }),
    ])
    .prefault("none")
    .describe("How lines are understood."),
  to: z
    .array(Target)
    .prefault([{ stdout: {} }])
    .describe("Where records go, all of them to each."),
  fail: z.string().optional().describe("Fails to start with these words."),
});

/** Counts, and says in `status` what it was told. */
export const exampleSidecar = defineSidecar({
  kind: "example",
  summary: "Counts for tests.",
  gates: "traffic",
  config: Config,
  metrics: (meter) => ({
    ticks: meter.counter("example_ticks_total", "How often it has counted.", ["mode"]),
    up: meter.gauge("example_start_timestamp_seconds", "When it started (Unix time)."),
  }),
  async start(config, { host, metrics, signal, once }) {
    await Promise.resolve();
    if (config.fail !== undefined) {
      throw new Problem({
        code: "E_EXAMPLE",
        message: `Cannot start the example: ${config.fail}`,
        fix: "Take `fail` out of its configuration",
      });
    }
    host.log.info("example starts", { say: config.say });
    host.report({ state: "ready" });
    metrics.up.set(host.now() / 1000);
    const letters = new Map([
      [
        "1",
        {
          id: "1",
          at: "2026-01-01T00:00:00Z",
          sink: "http",
          reason: "HTTP 400: no\u001B[31m time",
          origin: "/a@0",
          record: "{}",
        },
      ],
      [
        "2",
        {
          id: "2",
          at: "2026-01-01T00:00:01Z",
          sink: "http",
          reason: "HTTP 413",
          origin: "/a@9",
          record: "{}",
        },
      ],
    ]);
    async function count(): Promise<void> {
      metrics.ticks.add(1, { mode: config.mode });
      if (once) return;
      while (await host.sleep(config.every, signal)) metrics.ticks.add(1, { mode: config.mode });
    }
    return {
      done: count(),
      undelivered: () => ({ records: 0, bytes: 0, keptBytes: 0 }),
      status: () => ({ say: config.say }),
      deadLetters: {
        list: () => Promise.resolve([...letters.values()]),
        replay(ids) {
          const wanted = ids === "all" ? [...letters.keys()] : ids;
          return Promise.resolve(wanted.filter((id) => letters.delete(id)).length);
        },
      },
    };
  },
});
