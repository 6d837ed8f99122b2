import { describe, expect, test } from "bun:test";
import { createFramers } from "./framer.ts";
import type { Multiline } from "./multiline.ts";

const LIMITS = { timeout: 1_000, maxLines: 1_000, maxBytes: 2 ** 20 };

/** The events of a text, as it is cut by the joiner. */
function eventsOf(by: Multiline["by"], text: string, limits: Partial<typeof LIMITS> = {}) {
  const framer = createFramers({ cri: false, multiline: { by, ...LIMITS, ...limits }, maxLine: 10_000 })();
  const origin = { path: "/app.log", key: "a" };
  const chunk = { origin, start: 0, bytes: Buffer.from(text), isCut: false, isLast: true };
  const { texts, cuts } = framer.push(chunk);
  return { texts: [...texts], cuts: [...(cuts ?? [])] };
}

const JAVA = `Exception in thread "main" java.lang.IllegalStateException: Cannot start
	at org.example.App.start(App.java:31) ~[app.jar:?]
	at java.base/java.lang.Thread.run(Thread.java:1583)
	Suppressed: java.io.IOException: close
		at org.example.Pool.close(Pool.java:9)
		... 2 more
Caused by: org.example.ConfigException: no port
	at org.example.Config.<init>(Config.java:12)
	... 12 common frames omitted`;
const KOTLIN = `kotlinx.coroutines.JobCancellationException: Parent job is Cancelling; job=x
	at kotlinx.coroutines.JobSupport.cancel(JobSupport.kt:1)
	(Coroutine boundary)
	at org.example.MainKt$main$1.invokeSuspend(Main.kt:7)`;
const NODE = `Error: connect ECONNREFUSED 127.0.0.1:5432
    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1611:16)
    at async main (/app/index.js:5:3) {
  errno: -111,
  code: 'ECONNREFUSED',
  [cause]: Error: inner
      at f (/app/b.js:1:1) {
    code: 'X'
  }
}`;

const PYTHON = `Traceback (most recent call last):
  File "/app/main.py", line 3, in load
    return data["a"]
           ~~~~^^^^^
KeyError: 'a'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/app/main.py", line 9, in <module>
    load()
  [Previous line repeated 994 more times]
app.errors.LoadError: cannot load`;
const PYTHON_CAUSE = PYTHON.replace(
  "During handling of the above exception, another exception occurred:",
  "The above exception was the direct cause of the following exception:",
);
const PYTHON_GROUP = `  + Exception Group Traceback (most recent call last):
  |   File "/app/g.py", line 2, in <module>
  | ExceptionGroup: two (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | ValueError: 1
    +---------------- 2 ----------------
    | TypeError: 2
    +------------------------------------`;
const PYTHON_SYNTAX = `  File "/app/x.py", line 1
    foo(
       ^
SyntaxError: '(' was never closed`;
const PYTHON_HINT = `Traceback (most recent call last):
  File "/app/db.py", line 1, in <module>
psycopg2.OperationalError: could not connect to server: Connection refused
	Is the server running on host "db"?`;

const GO = `panic: runtime error: invalid memory address or nil pointer dereference [recovered]
	panic: again
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x49a5a0]

goroutine 1 [running]:
main.(*Server).handle({0x1, 0x2}, 0xc000012345)
	/app/main.go:15 +0x1d
panic({0x49a5a0?, 0x4d9f10?})
	/usr/local/go/src/runtime/panic.go:785 +0x132
main.main()
	/app/main.go:5 +0x20

goroutine 6 [chan receive, 2 minutes]:
main.worker[...](...)
	/app/main.go:9
created by main.main in goroutine 1
	/app/main.go:4 +0x1f
exit status 2`;
const GO_SERVING = `2026/11/21 09:48:00 http: panic serving 127.0.0.1:51000: boom
goroutine 19 [running]:
net/http.(*conn).serve.func1()
	/usr/local/go/src/net/http/server.go:1868 +0xb9`;
const GO_FATAL = `runtime: goroutine stack exceeds 1000000000-byte limit
runtime: sp=0xc0200e0390 stack=[0xc0200e0000, 0xc0400e0000]
fatal error: stack overflow

runtime stack:
runtime.throw({0x474b23?, 0x0?})
	/usr/local/go/src/runtime/panic.go:1077 +0x5c

goroutine 1 [running]:
main.f(0x1)
	/app/main.go:3 +0x3a
...100 frames elided...
rax    0x0
r15    0xc000`;

describe("a trace is one event between ordinary lines:", () => {
  test.each<[string, Multiline["by"], string]>([
    ["Java", { trace: "java" }, JAVA],
    ["Kotlin", { trace: "java" }, KOTLIN],
    ["Node.js", { trace: "java" }, NODE],
    ["Python", { trace: "python" }, PYTHON],
    ["Python with a cause", { trace: "python" }, PYTHON_CAUSE],
    ["a Python exception group", { trace: "python" }, PYTHON_GROUP],
    ["a Python syntax error", { trace: "python" }, PYTHON_SYNTAX],
    ["Python with an indented hint", { trace: "python" }, PYTHON_HINT],
    ["Go", { trace: "go" }, GO],
    ["Go's HTTP server", { trace: "go" }, GO_SERVING],
    ["Go's fatal error", { trace: "go" }, GO_FATAL],
  ])("%s", (_name, by, trace) => {
    const text = `INFO begin\n${trace}\nINFO between\n${trace}\n\n${trace}`;
    expect(eventsOf(by, text).texts).toEqual(["INFO begin", trace, "INFO between", trace, trace]);
  });

  test.each(["java", "python", "go"] as const)("%s leaves ordinary lines alone", (trace) => {
    const lines = [
      "2026-11-21 09:48:00 INFO started at port 80",
      "at noon",
      "Cause unknown",
      '{"level":"info"}',
      "<13>x",
      "goroutines: 5",
      "panic mode is off",
      "Traceback",
      "}",
    ];
    expect(eventsOf({ trace }, lines.join("\n")).texts).toEqual(lines);
  });
});

describe("patterns of users", () => {
  const log = "2026-01-01 one\n\n  more\n\n\n2026-01-02 two\n";

  test("for the first line take what follows, empty lines within too", () => {
    expect(eventsOf({ start: "^\\d{4}-" }, log).texts).toEqual([
      "2026-01-01 one\n\n  more",
      "2026-01-02 two",
    ]);
  });

  test("for the first line keep what stands before the first one", () => {
    expect(eventsOf({ start: "^\\d{4}-" }, "rest\nof it\n2026- x\n").texts).toEqual([
      "rest\nof it",
      "2026- x",
    ]);
  });

  test("for lines that go on take only these", () => {
    expect(eventsOf({ continue: "^\\s" }, "a\n b\nc\n").texts).toEqual(["a\n b", "c"]);
  });
});

describe("limits", () => {
  test("of lines cut an event into marked parts", () => {
    const text = "E: x\n\tat a\n\tat b\n\tat c\n\tat d\nnext\n";
    const parts = ["E: x\n\tat a", "\tat b\n\tat c", "\tat d", "next"];
    expect(eventsOf({ trace: "java" }, text, { maxLines: 2 })).toEqual({ texts: parts, cuts: [0, 1, 2] });
  });

  test("of bytes likewise, in bytes of the file", () => {
    const text = "é\n\tat é\n\tat a\nnext\n";
    const parts = ["é\n\tat é", "\tat a", "next"];
    expect(eventsOf({ trace: "java" }, text, { maxBytes: 9 })).toEqual({ texts: parts, cuts: [0, 1] });
    expect(eventsOf({ trace: "java" }, text, { maxBytes: 15 }).cuts).toEqual([]);
  });

  test("an event that just fits is whole", () => {
    expect(eventsOf({ trace: "java" }, "E\n\tat a\nnext\n", { maxLines: 2 }).cuts).toEqual([]);
  });

  test("hold against a line made to be slow", () => {
    const evil = [
      "\t".repeat(200_000),
      `goroutine 1 ${"[".repeat(200_000)}`,
      `File "${'", line '.repeat(30_000)}`,
    ];
    for (const trace of ["java", "python", "go"] as const) {
      const from = performance.now();
      expect(eventsOf({ trace }, `panic: x\n${evil.join("\n")}\n`).texts.join("\n")).toBe(
        `panic: x\n${evil.join("\n")}`,
      );
      expect(performance.now() - from).toBeLessThan(1_000);
    }
  });
});
