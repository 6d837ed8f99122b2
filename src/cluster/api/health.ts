/** What the API answers to everybody: that it lives, and which Kubernetes it speaks. */
import type { Answer } from "./exchange.ts";
import { objectAnswer, textAnswer } from "./exchange.ts";

/** Kubernetes whose API is served; clients compare versions with it (`gitVersion` must be semver). */
const VERSION = {
  major: "1",
  minor: "36",
  emulationMajor: "1",
  emulationMinor: "36",
  minCompatibilityMajor: "1",
  minCompatibilityMinor: "35",
  gitVersion: "v1.36.2+pillion",
  gitCommit: "",
  gitTreeState: "clean",
  buildDate: "1970-01-01T00:00:00Z",
  goVersion: "",
  compiler: "bun",
  platform: `linux/${process.arch === "arm64" ? "arm64" : "amd64"}`,
} as const;

const HEALTH: ReadonlySet<string> = new Set(["healthz", "livez", "readyz"]);

/** Answers without a token, as the real server's defaults allow (`system:public-info-viewer`); undefined for other paths. */
export function publicAnswer(method: string, segments: readonly string[]): Answer | undefined {
  const [first, second] = segments;
  if (method !== "GET" || first === undefined || second !== undefined) return undefined;
  if (HEALTH.has(first)) return textAnswer("ok");
  return first === "version" ? objectAnswer(VERSION) : undefined;
}
