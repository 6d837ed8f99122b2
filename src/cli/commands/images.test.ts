import { expect, test } from "bun:test";
import type { Terminal } from "../command.ts";
import { runCli } from "../run-cli.ts";
import type { EngineControl } from "../engine-control.ts";
import { imageCommands } from "./images.ts";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

async function shown(result: unknown): Promise<string> {
  const home = mkdtempSync(join(tmpdir(), "images-"));
  let text = "";
  const terminal = { out: (more: string) => void (text += more), env: { PILLION_HOME: home } };
  const control = {
    async *callImages() {
      yield await Promise.resolve(JSON.stringify({ result }));
    },
  };
  const commands = imageCommands(control as unknown as EngineControl);
  expect(await runCli(["images", "ls"], commands, terminal as unknown as Terminal)).toBe(0);
  rmSync(home, { recursive: true });
  return text;
}

test("images ls names what has no name <none>, beside the digest that `images rm` takes", async () => {
  const digest = `sha256:${"0123456789ab".repeat(5)}`;
  const text = await shown({ images: [{ name: "", digest, sizeBytes: 5_000_000 }], map: [] });
  expect(text).toMatch(/\n<none> +sha256:0123456789ab +5 MiB\n$/);
});
