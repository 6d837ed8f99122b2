/** What to tell people when a receiver cannot be used. Names the host, never the user, a token, a query or a record. */
import { Problem } from "../../../kernel/problem.ts";

/** Who was spoken to. */
export interface Target {
  /** The sink's name. */
  readonly sink: string;
  /** Host and port, as written in the address. */
  readonly host: string;
  /** Path of the request, without its query. */
  readonly path: string;
}

interface Words {
  readonly code: string;
  readonly what: string;
  readonly fix: string;
}

/** Trouble before an answer came, by the error's code. */
export function connectionProblem(target: Target, thrown: unknown): Problem {
  return problem(target, connectionWords(target, codeOf(thrown)));
}

export function timeoutProblem(target: Target, timeoutMs: number): Problem {
  return problem(target, {
    code: "E_SINK_TIMEOUT",
    what: `it did not answer within ${timeoutMs / 1_000} s`,
    fix: "Look whether the receiver is overloaded or a firewall swallows the packets, or give it a longer `timeout`",
  });
}

/** An answer that is no answer of such a receiver. */
export function answerProblem(target: Target, what: string): Problem {
  return problem(target, {
    code: "E_SINK_ANSWER",
    what,
    fix: "Look whether `url` names the receiver itself and not something else that listens there",
  });
}

/** An answer that is neither good nor about the records. */
export function statusProblem(target: Target, status: number): Problem {
  return problem(target, statusWords(target, status));
}

function problem({ sink, host }: Target, { code, what, fix }: Words): Problem {
  return new Problem({ code, message: `Cannot deliver to ${sink} at "${host}": ${what}`, fix });
}

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && "code" in thrown && typeof thrown.code === "string" ? thrown.code : "";
}

function connectionWords({ host }: Target, code: string): Words {
  if (code === "ENOTFOUND" || code.startsWith("EAI_") || code.startsWith("DNS")) {
    return {
      code: "E_SINK_NAME",
      what: `the name cannot be resolved (${code})`,
      fix: `Correct the host in the address ("${host}"), or the cluster's DNS`,
    };
  }
  if (code === "ECONNREFUSED") {
    return {
      code: "E_SINK_REFUSED",
      what: "nothing listens there",
      fix: "Start the receiver, or correct the host and the port in the address",
    };
  }
  if (/CERT|TLS|SSL|SELF_SIGNED|UNABLE_TO_/.test(code)) {
    return {
      code: "E_SINK_TLS",
      what: `its certificate is not accepted (${code})`,
      fix: "Name the certificate authority with `tls.ca` and the name in the certificate with `tls.serverName`",
    };
  }
  if (/HTTP|HPE_/.test(code)) {
    return {
      code: "E_SINK_ANSWER",
      what: `it does not speak HTTP (${code})`,
      fix: "Correct the address, above all its port and whether it is http:// or https://",
    };
  }
  return {
    code: "E_SINK_UNREACHABLE",
    what: code === "" ? "the connection broke" : `the connection broke (${code})`,
    fix: "Look whether the receiver runs and whether a network policy is in the way",
  };
}

function statusWords({ path }: Target, status: number): Words {
  const what = `it answered HTTP ${status}`;
  if (status >= 300 && status < 400) {
    return {
      code: "E_SINK_MOVED",
      what: `${what}, a redirect, and records are not sent to places that the configuration does not name`,
      fix: "Write the receiver's real address into `url`, above all https:// where it asks for it",
    };
  }
  if (status === 401 || status === 403 || status === 407) {
    const fix = "Correct `auth` and the secret it names, and what that user may do at the receiver";
    return { code: "E_SINK_DENIED", what, fix };
  }
  if (status === 404 || status === 405 || status === 410) {
    return {
      code: "E_SINK_PATH",
      what: `${what} for the path "${path}"`,
      fix: "Correct the path in `url`",
    };
  }
  if (status === 415) {
    const fix = "Set `compress` to `gzip` or `none`, and look whether `url` names such a receiver";
    return { code: "E_SINK_FORMAT", what: `${what}: it does not take this format or compression`, fix };
  }
  if (status === 429) {
    const fix = "Wait, or raise the receiver's limits";
    return { code: "E_SINK_BUSY", what: `${what}: it takes less than is sent`, fix };
  }
  if (status >= 500) return { code: "E_SINK_DOWN", what, fix: "Look into the receiver's own log" };
  return { code: "E_SINK_ANSWER", what, fix: "Look into the receiver's own log, and whether `url` is right" };
}
