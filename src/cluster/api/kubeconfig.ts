/** Writes the file with which kubectl, helm and client libraries find and trust the cluster. */
import { writeFileAtomic } from "../../lib/atomic-file.ts";

export interface KubeconfigContent {
  /** Cluster name; the context is called `pillion-NAME`. */
  readonly cluster: string;
  /** For example `https://127.0.0.1:34567`. */
  readonly server: string;
  /** PEM. */
  readonly authority: string;
  readonly token: string;
}

/** The kubeconfig as JSON, which is YAML: no quoting rules to get wrong. */
export function formatKubeconfig({ cluster, server, authority, token }: KubeconfigContent): string {
  const name = `pillion-${cluster}`;
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name,
        cluster: { server, "certificate-authority-data": Buffer.from(authority).toString("base64") },
      },
    ],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace: "default" } }],
    "current-context": name,
    preferences: {},
  };
  return `${JSON.stringify(config, undefined, 2)}\n`;
}

/** Replaces the file atomically, mode 0600: it holds the administrator's token. */
export function writeKubeconfig(path: string, content: KubeconfigContent): void {
  writeFileAtomic(path, formatKubeconfig(content), 0o600);
}
