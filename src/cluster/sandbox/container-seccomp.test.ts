/** Asked from inside: what a container with `seccompProfile: RuntimeDefault` cannot do, and that ordinary programs do not notice. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { canRunContainers, openWorld, type TestSpec, type TestWorld } from "./container.test-support.ts";
import { CHECKED_CALLS, REFUSED_CALLS } from "./seccomp/refused-calls.ts";

const processor = process.arch === "arm64" ? "arm64" : "x64";
const CLONE_NEWUSER = 0x1000_0000;
const number = (name: string) => REFUSED_CALLS[name]?.[processor] ?? -1;
const ptrace = processor === "x64" ? 101 : 117;
const umask = processor === "x64" ? 95 : 166;
const nginx = Bun.which("nginx");

describe.if(canRunContainers() && Bun.which("perl") !== null)("a container with RuntimeDefault", () => {
  let world: TestWorld;
  beforeAll(() => {
    world = openWorld();
  });
  afterAll(() => world.close());

  const confined = { seccomp: "RuntimeDefault" } as const;
  /** Errno of a system call, 0 when it worked. */
  async function call(args: readonly number[], spec: TestSpec): Promise<number> {
    const { stdout, stderr } = await world.sh(
      `exec perl -e 'my $r = syscall(${args.join(", ")}); print(($r == -1 ? $! + 0 : 0) . "\\n")'`,
      spec,
    );
    expect(stderr).toEqual([]);
    return Number(stdout[0]);
  }

  const CALLS: readonly (readonly [string, readonly number[], number])[] = [
    ["unshare(CLONE_NEWUSER)", [number("unshare"), CLONE_NEWUSER], 1],
    ["keyctl(KEYCTL_GET_KEYRING_ID)", [number("keyctl"), 0, -3, 0], 1],
    ["mount()", [number("mount"), 0, 0, 0, 0, 0], 1],
    ["io_uring_setup()", [number("io_uring_setup"), 1, 0], 1],
    ["userfaultfd()", [number("userfaultfd"), 0], 1],
    ["socket(AF_VSOCK)", [CHECKED_CALLS.socket[processor], 40, 1, 0], 1],
    ["personality(ADDR_NO_RANDOMIZE)", [CHECKED_CALLS.personality[processor], 0x4_0000], 1],
    ["clone3()", [CHECKED_CALLS.clone3[processor], 0, 0], 38],
    ["a call that no kernel has", [599], 38],
    ["personality(what is it?)", [CHECKED_CALLS.personality[processor], 0xffff_ffff], 0],
    ["ptrace(PTRACE_TRACEME)", [ptrace, 0, 0, 0, 0], 0],
    ["umask()", [umask, 0], 0],
  ];
  test.each(CALLS)("%s ends with errno %p %d [X10]", async (_, args, errno) => {
    expect(await call(args, confined)).toBe(errno);
  });

  test("without a profile the same calls are the kernel's to judge [X10]", async () => {
    expect(await call([number("keyctl"), 0, -3, 0], {})).toBe(0);
    expect(await call([CHECKED_CALLS.personality[processor], 0x4_0000], {})).toBe(0);
    expect(
      await call([CHECKED_CALLS.personality[processor], 0x4_0000], { ...confined, privileged: true }),
    ).toBe(0);
  });

  test("without a profile, too, the control groups of this machine stay out of reach", async () => {
    expect(await call([number("unshare"), CLONE_NEWUSER | 0x0200_0000], {})).toBe(1);
    expect(await call([number("unshare"), 0x0002_0000], {})).toBe(1); // EPERM of the kernel: no CAP_SYS_ADMIN.
    expect(await call([number("unshare"), CLONE_NEWUSER], {})).toBe(0);
  });

  test.each<[string, TestSpec]>([
    ["root", confined],
    ["another user", { ...confined, user: { user: "101", supplementalGroups: [] } }],
    ["no_new_privs", { ...confined, noNewPrivileges: true, capabilities: { add: [], drop: ["ALL"] } }],
  ])("the filter is there for %s, and stays with what is executed [X8, X10]", async (name, spec) => {
    if (name === "another user" && !world.ids.isUid(101)) return;
    const { stdout } = await world.sh("grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status", spec);
    expect(stdout).toEqual([`NoNewPrivs:\t${name === "no_new_privs" ? 1 : 0}`, "Seccomp:\t2"]);
  });

  test("an exec is under the same filter [X10]", async () => {
    const { container } = await world.start({ ...confined, argv: ["sleep", "1000"] });
    const process = await container.exec({
      argv: ["sh", "-c", "grep ^Seccomp: /proc/self/status; unshare -U true || echo refused"],
      stdin: false,
      tty: false,
    });
    let text = "";
    for await (const chunk of process.stdout ?? []) text += Buffer.from(chunk).toString();
    container.kill(9);
    await container.exited;
    expect(text).toBe("Seccomp:\t2\nrefused\n");
  });

  test("shells, pipes, threads and a JavaScript runtime work", async () => {
    const bun = { source: process.execPath, target: "/opt/bun", kind: "bind", readOnly: true } as const;
    const script = `bash -c 'echo a | cat; (echo b)& wait; echo <(true) > /dev/null'
      perl -e 'my $pid = fork; if (!$pid) { exit 3 } waitpid $pid, 0; print $? >> 8, "\\n"'
      BUN_JSC_useJIT=1 /opt/bun -e 'const w = new Worker("data:text/javascript,postMessage(4)"); w.onmessage = ({ data }) => { console.log(data); process.exit() }'`;
    const { stdout } = await world.sh(script, { ...confined, mounts: [bun] });
    expect(stdout).toEqual(["a", "b", "3", "4"]);
  });

  test.skipIf(nginx === null)("nginx serves with workers of their own", async () => {
    const bun = { source: process.execPath, target: "/opt/bun", kind: "bind", readOnly: true } as const;
    const config =
      "user root; error_log /tmp/e; pid /tmp/pid; events {} http { access_log off; client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; " +
      'fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s; server { listen unix:/tmp/sock; return 200 "served\\n"; } }';
    const script = `echo '${config}' > /tmp/conf; nginx -c /tmp/conf || cat /tmp/e
      /opt/bun -e 'process.stdout.write(await (await fetch("http://x/", { unix: "/tmp/sock" })).text())'; nginx -c /tmp/conf -s quit`;
    const { stdout } = await world.sh(script, { ...confined, mounts: [bun], rootfs: world.host });
    expect(stdout).toEqual(["served"]);
  });
});
