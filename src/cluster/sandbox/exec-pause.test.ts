import { expect, test } from "bun:test";
import { ManualClock } from "../../testing/manual-clock.ts";
import { ExecPause } from "./exec-pause.ts";

const PID = 7;

function launch(clock: ManualClock, pause: ExecPause, ms: number): void {
  const launched = pause.begin();
  clock.advance(ms);
  launched(PID);
}

test("a container whose program held up the engine waits twenty times as long for the next one", () => {
  const clock = new ManualClock();
  const pause = new ExecPause(clock);
  launch(clock, pause, 999);
  pause.refuse(PID);
  launch(clock, pause, 5_000);
  clock.advance(99_000);
  expect(() => pause.refuse(PID)).toThrow("may be tried in 1 s");
  pause.refuse(PID + 1);
  clock.advance(1_000);
  pause.refuse(PID);
});

test("the next container with that pid has no pause", () => {
  const clock = new ManualClock();
  const pause = new ExecPause(clock);
  launch(clock, pause, 5_000);
  pause.forget(PID);
  pause.refuse(PID);
});
