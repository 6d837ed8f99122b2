/** The whole quality gate, `bun run ok`: static checks first, then `npm test`, whose closing line stays the last. */
import { join } from "node:path";

const CHECKS: readonly (readonly [title: string, ...argv: string[]])[] = [
  ["format", "bun", "fmt", "--check", "--no-script"],
  ["lint and borders", "oxlint", "--type-aware"],
  ["types", "tsc", "--noEmit"],
  ["unused code", "knip"],
  ["generated files", "bun", "tools/generate.ts", "--check"],
];

const root = join(import.meta.dirname, "..");
const env = { ...process.env, PATH: `${join(root, "node_modules/.bin")}:${process.env["PATH"]}` };

function run(
  argv: readonly string[],
  stdio: "inherit" | "pipe",
): { readonly code: number; readonly text: string } {
  const child = Bun.spawnSync([...argv], { cwd: root, env, stdout: stdio, stderr: stdio });
  return {
    code: child.exitCode,
    text: [child.stdout, child.stderr].map((output) => output?.toString() ?? "").join(""),
  };
}

let failed = 0;
for (const [title, ...argv] of CHECKS) {
  const startedAt = performance.now();
  const { code, text } = run(argv, "pipe");
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(`${code === 0 ? "ok  " : "FAIL"}  ${title} (${seconds} s)`);
  if (code === 0) continue;
  failed++;
  console.log(text);
}
if (failed > 0) {
  console.log(`\n0 passed, ${failed} failed`);
  process.exit(1);
}
process.exit(run(["npm", "test"], "inherit").code);
