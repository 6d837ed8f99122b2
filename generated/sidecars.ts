// Written by tools/gen-sidecars.ts. Do not edit.

import type { Sidecar } from "../src/kernel/sidecar.ts";

export const sidecars: Readonly<Record<string, () => Promise<Sidecar>>> = {
  logs: async () => (await import("../src/sidecars/logs/sidecar.ts")).default,
};
