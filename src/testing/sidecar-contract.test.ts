import { describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { sidecars } from "../../generated/sidecars.ts";
import type { Sidecar } from "../kernel/sidecar.ts";
import { exampleSidecar } from "./example-sidecar.ts";
import {
  type ContractFixture,
  declarationFaults,
  lifeFaults,
  loadFaults,
  metricFaults,
} from "./sidecar-contract.ts";

const root = join(import.meta.dirname, "../..");
const LIFE_MS = 60_000;

describe.each(Object.keys(sidecars))("sidecar %s", (kind) => {
  const folder = join(root, "src/sidecars", kind);
  const load = async (): Promise<Sidecar> => {
    const loadKind = sidecars[kind];
    if (loadKind === undefined) throw new RangeError(`there is no kind "${kind}"`);
    return await loadKind();
  };

  test("declares itself as every kind does", async () => {
    expect(declarationFaults(await load(), kind)).toEqual([]);
  });

  test("names its metrics by the rule", async () => {
    expect(metricFaults(await load())).toEqual([]);
  });

  test("does nothing when its module is loaded", async () => {
    expect(await loadFaults(join(folder, "sidecar.ts"))).toEqual([]);
  });

  test(
    "starts, stops and starts again, gives up a start, and leaves nothing behind",
    async () => {
      const path = join(folder, "contract.test-support.ts");
      expect({ path, exists: existsSync(path) }).toEqual({ path, exists: true });
      const { fixture } = (await import(path)) as { readonly fixture: ContractFixture };
      expect(await lifeFaults(await load(), fixture)).toEqual([]);
    },
    LIFE_MS,
  );
});

const fixture: ContractFixture = { prepare: () => ({ config: { say: "hello" } }) };

/** The example, with another way to start. */
function startingLike(start: Sidecar["start"]): Sidecar {
  return { ...exampleSidecar, start };
}

const never = new Promise<never>(() => undefined);

describe("the contract suite", () => {
  test("finds no fault in a kind that keeps the contract", async () => {
    expect(declarationFaults(exampleSidecar, "example")).toEqual([]);
    expect(metricFaults(exampleSidecar)).toEqual([]);
    expect(await lifeFaults(exampleSidecar, fixture)).toEqual([]);
  });

  test("finds declarations that are not as they should be", () => {
    const config = z.strictObject({
      gates: z.string().describe("Taken."),
      list: z.array(z.strictObject({ inner: z.string() })).describe("no sentence"),
      open: z.looseObject({}).describe("Open."),
    });
    expect(declarationFaults({ ...exampleSidecar, kind: "Bad_Kind", summary: "bad", config }, "bad")).toEqual(
      [
        'its kind is "Bad_Kind", its folder "bad"',
        'its kind "Bad_Kind" is not kebab-case',
        "its summary is no sentence",
        'the key "gates" belongs to the runtime',
        '"open" takes keys that nobody knows',
        'the description of "list" is no sentence: no sentence',
        '"list[].inner" has no description',
      ],
    );
  });

  test("finds metrics that are not named by the rule", () => {
    const metrics: Sidecar["metrics"] = (meter) => {
      meter.counter("example_ticks", "Ticks.");
      meter.gauge("example_size_total", "Size.");
      meter.gauge("other__Size", "Size.", ["sidecar", "Label"]);
      meter.counter("example_batch_batch_size_total", "no sentence");
    };
    expect(metricFaults({ ...exampleSidecar, metrics })).toEqual([
      'the counter "example_ticks" and "_total" do not agree',
      'the gauge "example_size_total" and "_total" do not agree',
      'the metric "other__Size" is not lower case with single underscores',
      'the metric "other__Size" does not begin with "example_"',
      'the label "sidecar" of "other__Size" may not be called so',
      'the label "Label" of "other__Size" may not be called so',
      'the metric "example_batch_batch_size_total" stutters',
      'the help of "example_batch_batch_size_total" is no sentence',
    ]);
  });

  test("finds timers, sockets and watches that are left behind", async () => {
    const left: (() => void)[] = [];
    const leaky = startingLike((_, { host, signal }) => {
      const timer = setInterval(() => undefined, 1_000);
      const server = Bun.serve({ port: 0, fetch: () => new Response() });
      host.watchFolder("/tmp", () => undefined);
      left.push(
        () => clearInterval(timer),
        () => void server.stop(true),
      );
      const done = new Promise<void>((resolve) => {
        if (signal.aborted) resolve();
        signal.addEventListener("abort", () => resolve());
      });
      return Promise.resolve({ done });
    });
    const faults = (await lifeFaults(leaky, fixture)).join("\n");
    for (const end of left) end();
    expect(faults).toContain("a timer is left: setInterval 1000 ms");
    expect(faults).toMatch(/it leaves open: \d+ socket:/);
    expect(faults).toContain("1 watches of folders are left after reload");
  });

  test(
    "finds sidecars that do not end",
    async () => {
      const endless = startingLike(() => Promise.resolve({ done: never }));
      expect((await lifeFaults(endless, fixture)).join("\n")).toContain(
        "done does not resolve within 2000 ms after stop",
      );
      const startless = startingLike(() => never);
      expect((await lifeFaults(startless, fixture)).join("\n")).toContain("start() does not resolve");
    },
    LIFE_MS,
  );

  test("finds modules that act when they are loaded", async () => {
    const folder = mkdtempSync(join(tmpdir(), "pillion-modules-"));
    const faultsOf = async (name: string, text: string) => {
      writeFileSync(join(folder, name), text);
      return (await loadFaults(join(folder, name))).join("\n");
    };
    try {
      expect({
        quiet: await faultsOf("quiet.ts", "export default 1;"),
        prints: await faultsOf("prints.ts", 'console.log("hello");'),
        writes: await faultsOf("writes.ts", 'await Bun.write("x", "y");'),
        listens: await faultsOf("listens.ts", 'process.on("SIGUSR2", () => undefined);'),
        throws: (await faultsOf("throws.ts", 'throw new Error("no");')).slice(0, 27),
      }).toEqual({
        quiet: "",
        prints: expect.stringContaining("loading its module prints: hello"),
        writes: "loading its module writes files: x",
        listens: "loading its module listens to signals or events of the process",
        throws: "its module cannot be loaded",
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
