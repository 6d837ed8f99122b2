/** A mutating webhook as people write them: runs in a pod, reads its certificate from a Secret, adds a container to every pod. */
import { readFileSync } from "node:fs";
import { createServer } from "node:https";

const tls = { key: readFileSync("/certs/tls.key"), cert: readFileSync("/certs/tls.crt") };

createServer(tls, async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const { apiVersion, kind, request: admission } = JSON.parse(Buffer.concat(chunks).toString());
  const proxy = { name: "proxy", image: "busybox", command: ["sleep", "1000"] };
  const patch = [{ op: "add", path: "/spec/containers/-", value: proxy }];
  const answer = {
    uid: admission.uid,
    allowed: true,
    patchType: "JSONPatch",
    patch: Buffer.from(JSON.stringify(patch)).toString("base64"),
    warnings: [`a proxy comes along with ${admission.kind.kind} in ${admission.namespace}`],
  };
  response.setHeader("Content-Type", "application/json");
  response.end(JSON.stringify({ apiVersion, kind, response: answer }));
}).listen(8443);
