import { expect, test } from "bun:test";
import type { Service } from "../../generated/kubernetes.ts";
import { serviceEnvironment } from "./service-env.ts";

const api: Service = {
  metadata: { namespace: "default", name: "kubernetes" },
  spec: { clusterIP: "10.96.0.1", ports: [{ name: "https", port: 443, protocol: "TCP" }] },
};
const API_ENV = {
  KUBERNETES_SERVICE_HOST: "10.96.0.1",
  KUBERNETES_SERVICE_PORT: "443",
  KUBERNETES_SERVICE_PORT_HTTPS: "443",
  KUBERNETES_PORT: "tcp://10.96.0.1:443",
  KUBERNETES_PORT_443_TCP: "tcp://10.96.0.1:443",
  KUBERNETES_PORT_443_TCP_PROTO: "tcp",
  KUBERNETES_PORT_443_TCP_PORT: "443",
  KUBERNETES_PORT_443_TCP_ADDR: "10.96.0.1",
};
const own: Service = {
  metadata: { namespace: "shop", name: "my-db" },
  spec: {
    clusterIP: "fd00::1",
    ports: [
      { port: 53, protocol: "UDP" },
      { name: "web-ui", port: 80 },
    ],
  },
};

const env = (services: Service[], namespace: string, enableServiceLinks: boolean) =>
  Object.fromEntries(serviceEnvironment(services, { namespace, enableServiceLinks }));

test("the API's Service is told to every pod, even without service links [E11]", () => {
  for (const links of [true, false]) expect(env([api, own], "other", links)).toEqual(API_ENV);
});

test("Services of the pod's namespace are told when it wants links; the first port is the default [E10]", () => {
  expect(env([own], "shop", true)).toEqual({
    MY_DB_SERVICE_HOST: "fd00::1",
    MY_DB_SERVICE_PORT: "53",
    MY_DB_SERVICE_PORT_WEB_UI: "80",
    MY_DB_PORT: "udp://[fd00::1]:53",
    MY_DB_PORT_53_UDP: "udp://[fd00::1]:53",
    MY_DB_PORT_53_UDP_PROTO: "udp",
    MY_DB_PORT_53_UDP_PORT: "53",
    MY_DB_PORT_53_UDP_ADDR: "fd00::1",
    MY_DB_PORT_80_TCP: "tcp://[fd00::1]:80",
    MY_DB_PORT_80_TCP_PROTO: "tcp",
    MY_DB_PORT_80_TCP_PORT: "80",
    MY_DB_PORT_80_TCP_ADDR: "fd00::1",
  });
  expect(env([own], "shop", false)).toEqual({});
  expect(env([own], "default", true)).toEqual({});
});

test("Services without an address of their own are left out [E10]", () => {
  const headless: Service = { ...own, spec: { ...own.spec, clusterIP: "None" } };
  expect(env([headless, { ...own, spec: {} }], "shop", true)).toEqual({});
});
