import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "bun:test";
import { Problem } from "../kernel/problem.ts";
import { readSecret } from "./read-secret.ts";

const folder = mkdtempSync(join(tmpdir(), "pillion-secret-"));
afterAll(() => rmSync(folder, { recursive: true }));

test("readSecret() takes the white space off, and reads a file anew at each use", async () => {
  const file = join(folder, "token");
  writeFileSync(file, "  first\n");
  expect(await readSecret({ file }, {})).toBe("first");
  writeFileSync(file, "second");
  expect(await readSecret({ file }, {})).toBe("second");
  expect(await readSecret({ env: "TOKEN" }, { TOKEN: " third " })).toBe("third");
});

test("readSecret() names the place of what is missing, empty or too large, never the content", async () => {
  const [empty, large] = [join(folder, "empty"), join(folder, "large")];
  writeFileSync(empty, " \n");
  writeFileSync(large, "s3cret".repeat(200_000));
  const codes = await Promise.all(
    [
      { file: join(folder, "none") },
      { file: join(large, "x") },
      { file: empty },
      { file: large },
      { file: folder },
      { env: "NONE" },
    ].map(async (source) => {
      const problem = await readSecret(source, {}).catch((error: unknown) => error);
      if (!(problem instanceof Problem)) throw new Error("no problem");
      expect(problem.message).toContain("file" in source ? source.file : source.env);
      expect(problem.message).not.toContain("s3cret");
      return problem.code;
    }),
  );
  expect(codes).toEqual([
    "E_SECRET_MISSING",
    "E_SECRET_MISSING",
    "E_SECRET_EMPTY",
    "E_SECRET_UNREADABLE",
    "E_SECRET_UNREADABLE",
    "E_SECRET_MISSING",
  ]);
});

test.skipIf(process.getuid?.() === 0)("readSecret() says which file it may not read", async () => {
  const file = join(folder, "closed");
  writeFileSync(file, "x");
  chmodSync(file, 0o000);
  const problem = await readSecret({ file }, {}).catch((error: unknown) => error);
  expect(problem).toMatchObject({ code: "E_SECRET_UNREADABLE" });
});
