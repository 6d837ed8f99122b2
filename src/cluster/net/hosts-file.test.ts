import { expect, test } from "bun:test";
import { hostNetworkHostsFile, podHostsFile } from "./hosts-file.ts";

const HEAD = `# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
`;

test("a pod finds itself by its name [N5]", () => {
  const names = { hostname: "web", domain: "", kernelHostname: "web" };
  expect(podHostsFile(["10.244.0.7"], names)).toBe(`${HEAD}10.244.0.7\tweb\n`);
});

test("a subdomain and aliases get their own lines [N4, N5]", () => {
  const names = { hostname: "web", domain: "sub.ns.svc.cluster.local", kernelHostname: "web" };
  const aliases = [{ ip: "1.2.3.4", hostnames: ["a.example", "b.example"] }, { ip: "5.6.7.8" }];
  expect(podHostsFile(["10.244.0.7", "fd00::7"], names, aliases)).toBe(
    `${HEAD}10.244.0.7\tweb.sub.ns.svc.cluster.local\tweb
fd00::7\tweb.sub.ns.svc.cluster.local\tweb

# Entries added by HostAliases.
1.2.3.4\ta.example\tb.example
5.6.7.8\t
`,
  );
});

test("a hostNetwork pod has the node's file with the aliases behind it [N5]", () => {
  expect(hostNetworkHostsFile("127.0.0.1 localhost\n", [{ ip: "1.2.3.4", hostnames: ["a"] }])).toBe(
    "# Kubernetes-managed hosts file (host network).\n127.0.0.1 localhost\n\n# Entries added by HostAliases.\n1.2.3.4\ta\n",
  );
});
