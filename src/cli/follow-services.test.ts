import { expect, test } from "bun:test";
import type { KubeObject } from "../k8s/object.ts";
import { ServiceView } from "./follow-services.ts";
import type { ObjectChange } from "./list-then-watch.ts";

function service(nodePort: number, namespace = "default"): KubeObject {
  const spec = { type: "NodePort", ports: [{ port: 80, nodePort }] };
  return { apiVersion: "v1", kind: "Service", metadata: { namespace, name: "web", uid: "s" }, spec };
}

function slice(uid: string, ready: readonly boolean[] | null, namespace = "default"): KubeObject {
  const labels = { "kubernetes.io/service-name": "web" };
  const endpoints = ready?.map((each) => ({ addresses: ["10.0.0.1"], conditions: { ready: each } })) ?? null;
  const metadata = { namespace, name: uid, uid, labels };
  return { apiVersion: "discovery.k8s.io/v1", kind: "EndpointSlice", metadata, endpoints };
}

function changed(object: KubeObject, type: ObjectChange["type"] = "MODIFIED"): ObjectChange {
  return { type, object };
}

function viewed(): { readonly view: ServiceView; readonly lines: string[] } {
  const lines: string[] = [];
  return { view: new ServiceView((line) => lines.push(line)), lines };
}

test("a Service is shown once a pod is behind it, and only once, whichever is seen first", () => {
  for (const first of ["service", "slice"]) {
    const { view, lines } = viewed();
    if (first === "service") view.noteService(changed(service(31_001)));
    view.noteSlice(changed(slice("a", null)));
    view.noteSlice(changed(slice("a", [false])));
    expect(lines).toEqual([]);
    view.noteSlice(changed(slice("a", [false, true])));
    if (first === "slice") view.noteService(changed(service(31_001)));
    view.noteSlice(changed(slice("a", [])));
    view.noteSlice(changed(slice("b", [true])));
    expect(lines).toEqual(["service/web: http://127.0.0.1:31001"]);
  }
});

test("a Service is shown again at another address, and after it was away", () => {
  const { view, lines } = viewed();
  view.noteSlice(changed(slice("a", [true], "shop")));
  view.noteService(changed(service(31_001, "shop")));
  view.noteService(changed(service(31_002, "shop")));
  view.noteService(changed(service(31_002, "shop"), "DELETED"));
  view.noteService(changed(service(31_002, "shop"), "ADDED"));
  expect(lines).toEqual([
    "service/shop/web: http://127.0.0.1:31001",
    "service/shop/web: http://127.0.0.1:31002",
    "service/shop/web: http://127.0.0.1:31002",
  ]);
});

test("a slice that has gone makes nothing reachable", () => {
  const { view, lines } = viewed();
  view.noteSlice(changed(slice("a", [true])));
  view.noteSlice(changed(slice("a", [true]), "DELETED"));
  view.noteService(changed(service(31_001)));
  expect(lines).toEqual([]);
});
