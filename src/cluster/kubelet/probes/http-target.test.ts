import { describe, expect, test } from "bun:test";
import type { HTTPGetAction } from "../../../../generated/kubernetes.ts";
import { httpRequest, requestText, urlOf } from "./http-target.ts";

function request(action: Partial<HTTPGetAction>, purpose: "probe" | "lifecycle" = "probe") {
  return httpRequest({ port: 80, ...action }, { ports: [] }, { podIP: "10.244.0.5", purpose });
}

describe("httpRequest()", () => {
  test.each([
    [{}, "http://10.244.0.5:80/"],
    [{ path: "/" }, "http://10.244.0.5:80/"],
    [{ path: "healthz" }, "http://10.244.0.5:80/healthz"],
    [{ path: "/a?b=c&d" }, "http://10.244.0.5:80/a?b=c&d"],
    [{ path: "/a/../b" }, "http://10.244.0.5:80/a/../b"],
    [{ path: "/a b\r\nX: y" }, "http://10.244.0.5:80/a%20b%0D%0AX:%20y"],
    [{ path: "/ä%20" }, "http://10.244.0.5:80/%C3%A4%20"],
    [{ path: "/100%?x" }, "http://10.244.0.5:80/100%25%3Fx"],
    [{ path: "/a#b" }, "http://10.244.0.5:80/a"],
    [{ path: "http://elsewhere/a" }, "http://10.244.0.5:80/a"],
    [{ path: "//elsewhere/a" }, "http://10.244.0.5:80/a"],
    [{ scheme: "HTTPS", port: 443 }, "https://10.244.0.5:443/"],
    [{ scheme: "https", port: "8443" }, "https://10.244.0.5:8443/"],
    [{ host: "db.example" }, "http://db.example:80/"],
    [{ host: "" }, "http://10.244.0.5:80/"],
    [{ host: "fd00::1" }, "http://[fd00::1]:80/"],
  ])("%j asks for %s [PR15]", (action, url) => {
    expect(urlOf(request(action).target)).toBe(url);
  });

  test("names itself, takes any answer, and has the connection closed [PR15]", () => {
    expect(requestText(request({ path: "/live" }))).toBe(
      [
        "GET /live HTTP/1.1",
        "Host: 10.244.0.5:80",
        "User-Agent: kube-probe/1.36",
        "Accept: */*",
        "Connection: close",
        "",
        "",
      ].join("\r\n"),
    );
    expect(requestText(request({}, "lifecycle"))).toContain("\r\nUser-Agent: kube-lifecycle/1.36\r\n");
  });

  test("headers of the user's own come along; Host, User-Agent and Accept can be replaced [PR15]", () => {
    const httpHeaders = [
      { name: "host", value: "shop.example" },
      { name: "X-custom-thing", value: " two\r\nlines " },
      { name: "X-Custom-Thing", value: "again" },
      { name: "user-agent", value: "me" },
      { name: "Accept", value: "" },
      { name: "Content-Length", value: "7" },
    ];
    expect(requestText(request({ httpHeaders }))).toBe(
      [
        "GET / HTTP/1.1",
        "Host: shop.example",
        "User-Agent: me",
        "X-Custom-Thing: two  lines",
        "X-Custom-Thing: again",
        "Connection: close",
        "",
        "",
      ].join("\r\n"),
    );
    const silent = [{ name: "User-Agent", value: "" }];
    expect(requestText(request({ httpHeaders: silent }))).not.toContain("User-Agent");
  });

  test.each([
    ["web", 'strconv.Atoi: parsing "web": invalid syntax'],
    [0, "invalid port number: 0"],
    ["70000", "invalid port number: 70000"],
  ])("a port %j is refused in the kubelet's words [PR18]", (port, message) => {
    expect(() => request({ port })).toThrow(message);
  });
});
