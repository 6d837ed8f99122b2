/**
 * Follows the ConfigMaps of a namespace with an informer of an unmodified @kubernetes/client-node, as its documentation has
 * it: started again after an error. Prints a line per event, and what it knows on SIGUSR1. Arguments: kubeconfig, namespace.
 * Started by client-node.test.ts.
 */
import { CoreV1Api, KubeConfig, makeInformer } from "@kubernetes/client-node";

const [kubeconfig, namespace] = process.argv.slice(2);
const RESTART_MS = 100;

const config = new KubeConfig();
config.loadFromFile(kubeconfig);
const core = config.makeApiClient(CoreV1Api);
const list = () => core.listNamespacedConfigMap({ namespace });
const informer = makeInformer(config, `/api/v1/namespaces/${namespace}/configmaps`, list);

function say(event, { metadata, data = {} }) {
  console.log(`${event} ${metadata.name} ${data.value ?? ""}`.trimEnd());
}

for (const event of ["add", "update", "delete"]) informer.on(event, (object) => say(event, object));
informer.on("error", (error) => {
  console.log(`error ${error.statusCode ?? error.code ?? error.name}`);
  setTimeout(() => informer.start(), RESTART_MS);
});
process.on("SIGUSR1", () => {
  const known = informer.list().map(({ metadata, data = {} }) => `${metadata.name}=${data.value ?? ""}`);
  console.log(`known ${known.toSorted().join(" ")}`);
});
await informer.start();
