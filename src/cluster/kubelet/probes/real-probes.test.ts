import { beforeAll, describe, expect, test } from "bun:test";
import { EngineFolder, engineWays } from "../../../testing/engine-ways.ts";
import { realProbesCommand } from "./real-probes.test-support.ts";

describe.each(engineWays)("with real processes $name", (way) => {
  let found: Record<string, unknown> = {};

  beforeAll(async () => {
    await using folder = new EngineFolder(way);
    found = await folder.result(realProbesCommand(folder.stateDir));
  }, 60_000);

  test("every kind of probe finds out how servers and programs are, and leaves nothing [PR13, PR15, PR16, PR17, PR18]", () => {
    const url = (path: string, port = 80) => `"http://POD-IP:${port}${path}"`;
    const deadline = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
    expect(found["kinds"]).toEqual({
      outcomes: {
        ok: "success",
        named: "success",
        fail: "failure: HTTP probe failed with statuscode: 500",
        moved: "success",
        loop: 'failure: Get "/loop": stopped after 10 redirects',
        away: "warning: Probe terminated redirects, Response body: away",
        huge: "success",
        reset: `failure: Get ${url("/reset")}: read tcp POD-IP:80: read: connection reset by peer`,
        hang: `failure: Get ${url("/hang")}: ${deadline}`,
        refused: `failure: Get ${url("/", 81)}: dial tcp POD-IP:81: connect: connection refused`,
        silent: `failure: Get ${url("/", 82)}: ${deadline}`,
        "not http": `failure: Get ${url("/", 9090)}: unexpected EOF`,
        https: "success",
        "https to http": 'failure: Get "https://POD-IP:80/": http: server gave HTTP response to HTTPS client',
        "http to https": expect.stringContaining(`failure: Get ${url("/", 443)}: `),
        tcp: "success",
        "tcp refused": "failure: dial tcp POD-IP:81: connect: connection refused",
        "tcp nowhere": "failure: dial tcp 10.244.200.200:80: i/o timeout",
        "grpc serving": "success",
        "grpc not serving": 'failure: service unhealthy (responded with "NOT_SERVING")',
        "grpc unknown service":
          "failure: error: health rpc probe failed: rpc error: code = NotFound desc = what is that",
        "grpc hangs": "failure: timeout: health rpc did not complete within 1s",
        "grpc without health":
          "failure: error: this server does not implement the grpc health protocol (grpc.health.v1.Health): what is that",
        "grpc refused":
          'failure: timeout: failed to connect service "POD-IP:81" within 1s: context deadline exceeded',
        "grpc silent": "failure: timeout: health rpc did not complete within 1s",
        "grpc to http": expect.stringContaining(
          "failure: error: health rpc probe failed: rpc error: code = Unavailable",
        ),
        "exec true": "success",
        "exec false": "failure: out\nerr\n",
        "exec hangs": 'failure: command timed out: "sh -c sleep 1000" timed out after 1s',
        "exec talks": "failure: 10240 characters",
        "exec nothing": expect.stringMatching(
          /^error \(unknown\): rpc error: code = Unknown desc = failed to exec in container: .*no such file or directory/,
        ),
      },
      leaked: 0,
    });
  });

  test("a startup probe gates the next container, readiness comes and goes, liveness restarts [I2, PR9, PR11, R12]", () => {
    expect(found["lives"]).toEqual({
      order: "after-side",
      last: { reason: "Completed", exitCode: 0 },
      told: expect.arrayContaining([
        "Warning Unhealthy: Readiness probe failed: ",
        "Warning Unhealthy: Liveness probe failed: ",
        "Normal Killing: Container app failed liveness probe, will be restarted",
      ]),
    });
  });

  test("hooks run, fail, hang and sleep [H2, H3, H6, T7]", () => {
    expect(found["hooks"]).toEqual({
      fine: "post\npre\nTERM\n",
      hanging: "pre\nTERM\n",
      failing: {
        state: { terminated: expect.objectContaining({ exitCode: 0 }) },
        told: ["Warning FailedPostStartHook: PostStartHook failed", "Normal Killing: FailedPostStartHook"],
      },
      hangingSeconds: 1,
      sleepingSeconds: 1,
    });
  });

  test("nothing goes wrong in the kubelet meanwhile", () => {
    expect(found["errors"]).toEqual([]);
  });
});
