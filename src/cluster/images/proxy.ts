/** Reads the customary proxy variables, when somebody hands them in: HTTP_PROXY, HTTPS_PROXY, NO_PROXY. */

export type ProxyVariables = Readonly<Record<string, string | undefined>>;

/** The proxy for a URL, as curl and Go's net/http choose it; never one for this machine itself. */
export function proxyFrom(variables: ProxyVariables): (url: URL) => string | undefined {
  const read = (name: string): string => variables[name.toLowerCase()] ?? variables[name.toUpperCase()] ?? "";
  const exceptions = read("no_proxy")
    .split(/[\s,]+/)
    .filter((entry) => entry !== "");
  return (url) => {
    const proxy = read(url.protocol === "https:" ? "https_proxy" : "http_proxy");
    if (proxy === "" || isLoopback(url.hostname) || exceptions.some((entry) => covers(entry, url)))
      return undefined;
    return proxy.includes("://") ? proxy : `http://${proxy}`;
  };
}

/** `localhost` and addresses that mean this machine. */
export function isLoopback(hostname: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(hostname);
}

/** `*`, `example.com` and `.example.com` (both with all names below), a port where the entry has one. */
function covers(entry: string, { hostname, port, protocol }: URL): boolean {
  if (entry === "*") return true;
  const [, name = "", wantedPort] = /^(.*?)(?::(\d+))?$/.exec(entry.toLowerCase()) ?? [];
  const actualPort = port === "" ? (protocol === "https:" ? "443" : "80") : port;
  if (wantedPort !== undefined && wantedPort !== actualPort) return false;
  const domain = name.replace(/^\*?\.?/, "");
  return hostname === domain || hostname.endsWith(`.${domain}`);
}
