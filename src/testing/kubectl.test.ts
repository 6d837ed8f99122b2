import { expect, test } from "bun:test";
import { helmPath, kubectlPath } from "./kubectl.ts";

async function clientVersion(command: string[]): Promise<string> {
  const run = Bun.spawn(command, { stdout: "pipe", stderr: "inherit" });
  return await new Response(run.stdout).text();
}

test.each(["29", "31", "33", "34", "35"] as const)(
  "kubectlPath(%p) is a kubectl of that version",
  async (version) => {
    const answer = await clientVersion([await kubectlPath(version), "version", "--client", "--output=json"]);
    expect(JSON.parse(answer)).toMatchObject({ clientVersion: { major: "1", minor: version } });
  },
);

test.each(["29", "35"] as const)("helmPath(%p) is a helm", async (version) => {
  expect(await clientVersion([await helmPath(version), "version", "--short"])).toMatch(/^v[34]\./);
});
