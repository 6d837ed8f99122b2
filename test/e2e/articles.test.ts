/** Pods as articles about sidecars print them run unchanged, their images through the image map. */
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PillionHome } from "../../src/testing/pillion.ts";
import { openKubectl } from "../conformance/kubectl-session.ts";

const TEST_MS = 60_000;

/** One container appends the date to a file, the other streams that file. */
const DATE_LOG = `apiVersion: v1
kind: Pod
metadata:
  name: sidecar
spec:
  volumes:
  - name: shared-logs
    emptyDir: {}
  containers:
  - name: main-container
    image: alpine
    command: ["/bin/sh"]
    args: ["-c", "while true; do date >> /var/log/app.log; sleep 5;done"]
    volumeMounts:
    - name: shared-logs
      mountPath: /var/log
  - name: sidecar-container
    image: busybox
    args:
     - /bin/sh
     - -c
     - tail -fn+1 /var/log/app.log
    volumeMounts:
    - name: shared-logs
      mountPath: /var/log
`;

/** nginx with its log on a shared volume, a sidecar that prints the file, and a Service of type NodePort. */
const WEB_PAGE = `apiVersion: v1
kind: Pod
metadata:
  name: aayu-verse
  labels:
    app: webpage
spec:
  containers:
  - name: main-cont
    image: pratikshahp/aayuverse
    volumeMounts:
    - name: volume
      mountPath: /var/log/nginx
  - name: sidecar-cont
    image: busybox
    command: ["sh","-c","i=1; while true; do echo $i': read log from main-container!!!'; i=$((i+1)); cat /var/log/nginx/access.log; sleep 10; done"]
    volumeMounts:
    - name: volume
      mountPath: /var/log/nginx
  volumes:
  - name: volume
    emptyDir: {}
---
apiVersion: v1
kind: Service
metadata:
  name: svc-aayuverse
spec:
  type: NodePort
  ports:
  - port: 80
    targetPort: 80
    nodePort: 31001
  selector:
    app: webpage
`;

const IMAGES = `images:
  alpine: host
  busybox: host
  pratikshahp/aayuverse:
    host:
      command: [nginx, -g, daemon off;]
      copy: { ./nginx.conf: /etc/nginx/nginx.conf }
`;

/** Runs as any user: nothing below /var/lib, no other user for the workers. */
const NGINX = `user root;
pid /tmp/nginx.pid;
events {}
http {
  client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
  server { listen 80; return 200 "a web page"; }
}
`;

function homeWith(manifest: string): PillionHome & { readonly manifests: string } {
  const home = new PillionHome();
  const manifests = join(home.path, "manifests");
  mkdirSync(join(manifests, ".pillion"), { recursive: true });
  writeFileSync(join(manifests, "nginx.conf"), NGINX);
  writeFileSync(join(manifests, "side-car.yaml"), manifest);
  writeFileSync(join(manifests, ".pillion/images.yaml"), IMAGES);
  return Object.assign(home, { manifests });
}

test(
  "the pod that logs the date: kubectl shows it, its sidecar streams the log, and it can be deleted",
  async () => {
    await using home = homeWith(DATE_LOG);
    await home.mustRun(["up", "-d", "-f", home.manifests]);
    const kubectl = await openKubectl(home, { version: "35", namespace: "default" });
    expect(await kubectl.must(["get", "pod", "sidecar"])).toMatch(/sidecar +2\/2 +Running/);
    expect(await kubectl.must(["describe", "pod", "sidecar"])).toContain("tail -fn+1 /var/log/app.log");
    expect(await kubectl.must(["logs", "sidecar"])).toBe("");
    const follow = kubectl.start(["logs", "-f", "sidecar", "-c", "sidecar-container"]);
    expect(await follow.line(/\d\d:\d\d:\d\d/)).toMatch(/20\d\d/);
    follow.kill("SIGTERM");
    await kubectl.must(["delete", "pod", "sidecar", "--grace-period=1"]);
  },
  TEST_MS,
);

test.skipIf(Bun.which("nginx", { PATH: `${process.env["PATH"]}:/usr/sbin` }) === null)(
  "the pod with nginx and its Service: the sidecar reads the log, and the node port of the article leads to the page",
  async () => {
    await using home = homeWith(WEB_PAGE);
    await home.mustRun(["up", "-d", "--images", join(home.manifests, ".pillion/images.yaml")]);
    const kubectl = await openKubectl(home, { version: "35", namespace: "default" });
    const created = await kubectl.run(["create", "-f", join(home.manifests, "side-car.yaml")]);
    expect(created).toMatchObject({
      stdout: "pod/aayu-verse created\nservice/svc-aayuverse created\n",
      stderr: "",
    });
    await kubectl.must(["wait", "--for=condition=Ready", "pod/aayu-verse", "--timeout=30s"]);
    const all = await kubectl.must(["get", "all"]);
    expect(all).toMatch(/pod\/aayu-verse +2\/2 +Running/);
    expect(all).toMatch(/service\/svc-aayuverse +NodePort .* 80:31001\/TCP/);
    expect(await kubectl.must(["logs", "aayu-verse", "-c", "sidecar-cont"])).toContain(
      "1: read log from main-container!!!\n",
    );
    const nodes = await kubectl.must(["get", "nodes", "-o", "wide"]);
    const internalIp = /(?:\d+\.){3}\d+/.exec(nodes)?.[0];
    expect(await (await fetch(`http://${internalIp}:31001`)).text()).toBe("a web page");
    await kubectl.must(["delete", "pod", "aayu-verse", "--now"]);
  },
  TEST_MS,
);
