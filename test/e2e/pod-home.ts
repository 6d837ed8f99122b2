/** A state folder with one small pod in it, for tests of whole clusters. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PillionHome } from "../../src/testing/pillion.ts";

/** A pod that ends at once on SIGTERM, on this machine's shell. */
export const POD = `apiVersion: v1
kind: Pod
metadata: { name: waiter }
spec:
  terminationGracePeriodSeconds: 5
  containers:
  - name: main
    image: busybox
    command: [sh, -c, "trap 'exit 0' TERM; echo started; sleep 1000 & wait"]
`;

/** A state folder with a manifest and an image map beside it. */
export function homeWithPod(manifest = POD): PillionHome & { readonly manifests: string } {
  const home = new PillionHome();
  const manifests = join(home.path, "manifests");
  mkdirSync(join(manifests, ".pillion"), { recursive: true });
  writeFileSync(join(manifests, "pod.yaml"), manifest);
  writeFileSync(join(manifests, ".pillion/images.yaml"), "images: { busybox: host }\n");
  return Object.assign(home, { manifests });
}
