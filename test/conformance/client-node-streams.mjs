/**
 * Streams with an unmodified @kubernetes/client-node on Node: prints one line of JSON. Arguments: kubeconfig, namespace, pod,
 * port that answers in capital letters. Started by kubectl-streams.test.ts.
 */
import { createRequire } from "node:module";
import { PassThrough } from "node:stream";

// Its HTTP client looks, while it loads, for what older versions of Node do not have, and does not need it here.
const require = createRequire(import.meta.url);
require("node:zlib").createZstdDecompress ??= () => undefined;
require("node:worker_threads").markAsUncloneable ??= () => undefined;
const { Attach, Exec, KubeConfig, PortForward } = await import("@kubernetes/client-node");

const [kubeconfig, namespace, pod, port] = process.argv.slice(2);
const config = new KubeConfig();
config.loadFromFile(kubeconfig);

function collect() {
  const stream = new PassThrough();
  const state = { text: "", waiting: () => {} };
  stream.on("data", (bytes) => {
    state.text += bytes.toString();
    state.waiting();
  });
  const has = (wanted) =>
    new Promise((resolve) => {
      state.waiting = () => state.text.includes(wanted) && resolve();
      state.waiting();
    });
  return { stream, state, has };
}

async function exec() {
  const [out, err] = [collect(), collect()];
  const input = new PassThrough();
  const status = new Promise((resolve, reject) => {
    new Exec(config)
      .exec(
        namespace,
        pod,
        "main",
        ["sh", "-c", "cat; echo err >&2; exit 9"],
        out.stream,
        err.stream,
        input,
        false,
        resolve,
      )
      .catch(reject);
  });
  input.end("typed");
  const { reason, details } = await status;
  return { out: out.state.text, err: err.state.text, reason, code: details.causes[0].message };
}

async function attach() {
  const out = collect();
  const socket = await new Attach(config).attach(namespace, pod, "main", out.stream, null, null, false);
  await out.has("tick");
  socket.close();
  return out.state.text.includes("tick");
}

async function forward() {
  const [out, err] = [collect(), collect()];
  const input = new PassThrough();
  const socket = await new PortForward(config).portForward(
    namespace,
    pod,
    [Number(port)],
    out.stream,
    err.stream,
    input,
  );
  input.end("through the port");
  await out.has("THROUGH THE PORT");
  socket.close();
  return out.state.text;
}

console.log(JSON.stringify({ exec: await exec(), attach: await attach(), forward: await forward() }));
process.exit(0);
