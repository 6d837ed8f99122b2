/** Control groups in memory that keep the kernel's rules, so that both versions can be tested on any machine. */
import type { CgroupFiles } from "./cgroup-files.ts";

/** Files that a controller adds to a group, with what they hold at first. */
const V2_FILES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  memory: {
    "memory.max": "max",
    "memory.swap.max": "max",
    "memory.oom.group": "0",
    "memory.current": "0",
    "memory.stat": "anon 0\nfile 0\ninactive_file 0\n",
    "memory.events": "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n",
  },
  cpu: { "cpu.weight": "100", "cpu.max": "max 100000" },
  pids: { "pids.max": "max", "pids.current": "0" },
};
const V2_ALWAYS = {
  "cgroup.procs": "",
  "cgroup.subtree_control": "",
  "cgroup.kill": "",
  "cpu.stat": "usage_usec 0\nuser_usec 0\nsystem_usec 0\n",
};
export const V1_FILES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  memory: {
    "memory.limit_in_bytes": "9223372036854771712",
    "memory.usage_in_bytes": "0",
    "memory.stat": "total_inactive_file 0\n",
    "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n",
  },
  cpu: { "cpu.shares": "1024", "cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "-1" },
  cpuacct: { "cpuacct.usage": "0" },
  pids: { "pids.max": "max" },
  freezer: { "freezer.state": "THAWED" },
};

interface Group {
  readonly files: Map<string, string>;
  readonly processes: Set<number>;
  readonly control: Set<string>;
}

function kernelError(code: string): Error {
  return Object.assign(new Error(`${code}: refused by the model`), { code });
}

export class ModelCgroups implements CgroupFiles {
  readonly groups = new Map<string, Group>();
  readonly delegated = new Set<string>();
  readonly readOnly = new Set<string>();
  /** Writes in their order: `FILE=VALUE`. */
  readonly writes: string[] = [];
  /** Folder of version 2; the others are hierarchies of version 1. */
  readonly #unified: string | undefined;
  readonly #isMachineRoot: boolean;

  constructor({ unified, isMachineRoot = true }: { unified?: string; isMachineRoot?: boolean } = {}) {
    this.#unified = unified;
    this.#isMachineRoot = isMachineRoot;
  }

  /** A group that is there from the start. */
  add(folder: string, files: Readonly<Record<string, string>>, processes: readonly number[] = []): this {
    this.groups.set(folder, {
      files: new Map(Object.entries(files)),
      processes: new Set(processes),
      control: new Set((files["cgroup.subtree_control"] ?? "").split(" ").filter(Boolean)),
    });
    return this;
  }

  set(path: string, text: string): void {
    const { group, file } = this.#at(path);
    group?.files.set(file, text);
  }

  read(path: string): string | undefined {
    const { group, file } = this.#at(path);
    if (file === "cgroup.procs" && group !== undefined)
      return [...group.processes].map((pid) => `${pid}\n`).join("");
    return group?.files.get(file);
  }

  write(path: string, text: string): void {
    const { folder, group, file } = this.#at(path);
    if (group === undefined || (file !== "cgroup.procs" && !group.files.has(file)))
      throw kernelError("ENOENT");
    if (!this.isWritable(path)) throw kernelError("EACCES");
    this.writes.push(`${path}=${text}`);
    if (file === "cgroup.procs") this.#move(folder, Number(text));
    else if (file === "cgroup.subtree_control") this.#share(folder, text);
    else if (file === "cgroup.kill") group.processes.clear();
    else group.files.set(file, text);
  }

  isWritable(path: string): boolean {
    return ![...this.readOnly].some((one) => path === one || path.startsWith(`${one}/`));
  }

  isDelegated(folder: string): boolean {
    return this.delegated.has(folder);
  }

  makeFolder(path: string): void {
    if (this.groups.has(path)) return;
    const parent = path.slice(0, path.lastIndexOf("/"));
    if (!this.isWritable(parent)) throw kernelError("EACCES");
    const above = this.groups.get(parent);
    if (above === undefined) throw kernelError("ENOENT");
    if (this.#isUnified(path)) {
      const files = [...above.control].map((name) => V2_FILES[name] ?? {});
      this.add(
        path,
        Object.assign(
          { "cgroup.type": "domain", "cgroup.controllers": [...above.control].join(" ") },
          V2_ALWAYS,
          ...files,
        ),
      );
    } else {
      this.add(path, Object.fromEntries(above.files));
    }
  }

  removeFolder(path: string): boolean {
    const group = this.groups.get(path);
    if (group === undefined) return true;
    if (group.processes.size > 0 || this.folders(path).length > 0) return false;
    return this.groups.delete(path);
  }

  folders(path: string): readonly string[] {
    const prefix = `${path}/`;
    return [...this.groups.keys()]
      .filter((folder) => folder.startsWith(prefix) && !folder.slice(prefix.length).includes("/"))
      .map((folder) => folder.slice(prefix.length));
  }

  #at(path: string) {
    const slash = path.lastIndexOf("/");
    const folder = path.slice(0, slash);
    return { folder, group: this.groups.get(folder), file: path.slice(slash + 1) };
  }

  #isUnified(folder: string): boolean {
    return (
      this.#unified !== undefined && (folder === this.#unified || folder.startsWith(`${this.#unified}/`))
    );
  }

  #hierarchy(folder: string): string | undefined {
    return [...this.groups.keys()].find((root) => folder === root || folder.startsWith(`${root}/`));
  }

  /** A group of version 2 that shares out controllers holds no processes, the root of the machine excepted. */
  #move(folder: string, pid: number): void {
    const group = this.groups.get(folder);
    const isRoot = folder === this.#unified && this.#isMachineRoot;
    if (this.#isUnified(folder) && !isRoot && (group?.control.size ?? 0) > 0) throw kernelError("EBUSY");
    for (const [at, { processes }] of this.groups)
      if (this.#hierarchy(at) === this.#hierarchy(folder)) processes.delete(pid);
    group?.processes.add(pid);
  }

  #share(folder: string, text: string): void {
    const group = this.groups.get(folder);
    if (group === undefined) throw kernelError("ENOENT");
    const isRoot = folder === this.#unified && this.#isMachineRoot;
    for (const word of text.split(" ")) {
      const name = word.slice(1);
      if (word.startsWith("+")) {
        if (!(group.files.get("cgroup.controllers") ?? "").split(" ").includes(name))
          throw kernelError("ENOENT");
        if (group.processes.size > 0 && !isRoot) throw kernelError("EBUSY");
        group.control.add(name);
      } else {
        const below = this.folders(folder).map((child) => this.groups.get(`${folder}/${child}`));
        if (below.some((child) => child?.control.has(name))) throw kernelError("EBUSY");
        group.control.delete(name);
      }
    }
    group.files.set("cgroup.subtree_control", [...group.control].join(" "));
  }
}
