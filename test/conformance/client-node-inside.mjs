/**
 * What a program in a pod does with an unmodified @kubernetes/client-node and no configuration: prints one line of JSON.
 * Bundled, mounted and started by inside-pods.test.ts.
 */
import { createRequire } from "node:module";

// Its HTTP client looks, while it loads, for what older versions of Node do not have, and does not need it here.
const require = createRequire(import.meta.url);
require("node:zlib").createZstdDecompress ??= () => undefined;
require("node:worker_threads").markAsUncloneable ??= () => undefined;
const { CoreV1Api, KubeConfig, Watch } = await import("@kubernetes/client-node");

const config = new KubeConfig();
config.loadFromCluster();
const namespace = config.getContextObject(config.getCurrentContext()).namespace;
const core = config.makeApiClient(CoreV1Api);
const { items, metadata } = await core.listNamespacedConfigMap({ namespace });

/** Resolves with the first event about the object of that name. */
function watched(name) {
  return new Promise((resolve, reject) => {
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    const onEvent = (type, { metadata: seen, data }) => seen.name === name && resolve([type, data]);
    void new Watch(config).watch(path, { resourceVersion: metadata.resourceVersion }, onEvent, reject);
  });
}

const event = watched("from-inside");
await core.createNamespacedConfigMap({
  namespace,
  body: { metadata: { name: "from-inside" }, data: { by: process.env.HOSTNAME } },
});
const refused = await core
  .listNamespacedSecret({ namespace })
  .catch(({ code, body }) => [code, JSON.parse(body).message]);
console.log(
  JSON.stringify({
    server: config.getCurrentCluster().server,
    namespace,
    configMaps: items.map(({ metadata: { name } }) => name),
    event: await event,
    refused,
  }),
);
process.exit(0);
