import { describe, expect, test } from "bun:test";
import { ManualClock } from "../../testing/manual-clock.ts";
import { EndpointPicker, keyOf } from "./endpoint-picker.ts";

const A = { ip: "10.244.0.2", port: 80 };
const B = { ip: "10.244.0.3", port: 80 };
const C = { ip: "10.244.0.4", port: 80 };

function picker(affinitySeconds?: number) {
  const clock = new ManualClock();
  const made = new EndpointPicker(clock);
  const choice = affinitySeconds === undefined ? {} : { affinitySeconds };
  made.update({ endpoints: [A, B, C], ...choice });
  const connect = (client: string) => {
    const endpoint = made.pick(client);
    if (endpoint !== undefined) made.remember(client, endpoint);
    return endpoint;
  };
  return { clock, made, choice, connect };
}

describe("EndpointPicker", () => {
  test("goes round, whoever asks", () => {
    const { connect } = picker();
    expect(["1", "1", "2", "1"].map(connect)).toEqual([A, B, C, A]);
  });

  test("keeps a client with its endpoint until the time-out after its last connection", () => {
    const { clock, connect } = picker(10);
    expect([connect("1"), connect("2"), connect("1")]).toEqual([A, B, A]);
    clock.advance(9999);
    expect(connect("1")).toEqual(A);
    clock.advance(9999);
    expect(connect("1")).toEqual(A);
    clock.advance(10_000);
    expect(connect("1")).toEqual(C);
  });

  test("forgets affinity for an endpoint that has gone, and one that did not answer", () => {
    const { made, choice, connect } = picker(10);
    expect(connect("1")).toEqual(A);
    expect(made.pick("1", new Set([keyOf(A)]))).toEqual(B);
    made.update({ endpoints: [B, C], ...choice });
    expect(made.has(A)).toBe(false);
    const moved = connect("1");
    expect(moved).not.toEqual(A);
    made.update({ endpoints: [A, B, C], ...choice });
    expect(connect("1")).toEqual(moved);
  });

  test("tries each endpoint once, and none when there is none", () => {
    const { made } = picker();
    const tried = new Set<string>();
    for (let endpoint = made.pick("1", tried); endpoint !== undefined; endpoint = made.pick("1", tried))
      tried.add(keyOf(endpoint));
    expect(tried.size).toBe(3);
    made.update({ endpoints: [] });
    expect(made.pick("1")).toBeUndefined();
  });

  test("forgets the client that came longest ago when there are too many", () => {
    const { connect } = picker(10);
    const first = connect("first");
    for (let client = 0; client < 10_002; client++) connect(String(client));
    expect([first, connect("first")]).toEqual([A, B]);
  });
});
