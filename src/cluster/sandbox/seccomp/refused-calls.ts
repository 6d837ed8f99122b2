/**
 * System calls that `seccompProfile: RuntimeDefault` refuses, as data. What they have in common is what the documentation of the
 * container engines' default profile names: they reach beyond namespaces, load code into the kernel, or have been the way out of
 * a container before. Numbers: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h of Linux 6.17.
 */

export interface RefusedCall {
  /** −1: the processor has no such call. */
  readonly x64: number;
  readonly arm64: number;
  /** A container with one of these capabilities may make it after all. */
  readonly unless?: readonly string[];
}

const ADMIN = ["SYS_ADMIN"];
const NICE = ["SYS_NICE"];
const TIME = ["SYS_TIME"];
const MODULE = ["SYS_MODULE"];
const RAWIO = ["SYS_RAWIO"];
const PTRACE = ["SYS_PTRACE"];

function call(x64: number, arm64: number, unless?: readonly string[]): RefusedCall {
  return unless === undefined ? { x64, arm64 } : { x64, arm64, unless };
}

export const REFUSED_CALLS: Readonly<Record<string, RefusedCall>> = {
  // Mounts, names and namespaces.
  mount: call(165, 40, ADMIN),
  umount2: call(166, 39, ADMIN),
  pivot_root: call(155, 41),
  chroot: call(161, 51, ["SYS_CHROOT"]),
  open_tree: call(428, 428, ADMIN),
  move_mount: call(429, 429, ADMIN),
  fsopen: call(430, 430, ADMIN),
  fsconfig: call(431, 431, ADMIN),
  fsmount: call(432, 432, ADMIN),
  fspick: call(433, 433, ADMIN),
  mount_setattr: call(442, 442, ADMIN),
  statmount: call(457, 457, ADMIN),
  listmount: call(458, 458, ADMIN),
  open_by_handle_at: call(304, 265, ["DAC_READ_SEARCH"]),
  sethostname: call(170, 161, ADMIN),
  setdomainname: call(171, 162, ADMIN),
  setns: call(308, 268, ADMIN),
  unshare: call(272, 97, ADMIN),
  quotactl: call(179, 60, ADMIN),
  quotactl_fd: call(443, 443, ADMIN),
  swapon: call(167, 224),
  swapoff: call(168, 225),
  fanotify_init: call(300, 262, ADMIN),
  // Keys are not in any namespace.
  add_key: call(248, 217),
  request_key: call(249, 218),
  keyctl: call(250, 219),
  // The kernel itself.
  init_module: call(175, 105, MODULE),
  finit_module: call(313, 273, MODULE),
  delete_module: call(176, 106, MODULE),
  create_module: call(174, -1),
  get_kernel_syms: call(177, -1),
  query_module: call(178, -1),
  kexec_load: call(246, 104),
  kexec_file_load: call(320, 294),
  reboot: call(169, 142, ["SYS_BOOT"]),
  bpf: call(321, 280, ["SYS_ADMIN", "BPF"]),
  perf_event_open: call(298, 241, ["SYS_ADMIN", "PERFMON"]),
  syslog: call(103, 116, ["SYS_ADMIN", "SYSLOG"]),
  acct: call(163, 89, ["SYS_PACCT"]),
  lookup_dcookie: call(212, 18, ADMIN),
  userfaultfd: call(323, 282),
  io_uring_setup: call(425, 425),
  io_uring_enter: call(426, 426),
  io_uring_register: call(427, 427),
  vhangup: call(153, 58, ["SYS_TTY_CONFIG"]),
  // The machine: clock, ports, memory of other processes, memory nodes.
  settimeofday: call(164, 170, TIME),
  clock_settime: call(227, 112, TIME),
  clock_adjtime: call(305, 266, TIME),
  iopl: call(172, -1, RAWIO),
  ioperm: call(173, -1, RAWIO),
  kcmp: call(312, 272, PTRACE),
  pidfd_getfd: call(438, 438, PTRACE),
  process_madvise: call(440, 440, PTRACE),
  get_mempolicy: call(239, 236, NICE),
  set_mempolicy: call(238, 237, NICE),
  mbind: call(237, 235, NICE),
  set_mempolicy_home_node: call(450, 450, NICE),
  migrate_pages: call(256, 238),
  move_pages: call(279, 239),
  // Of old kernels, or never there.
  uselib: call(134, -1),
  ustat: call(136, -1),
  sysfs: call(139, -1),
  _sysctl: call(156, -1),
  nfsservctl: call(180, 42),
  getpmsg: call(181, -1),
  putpmsg: call(182, -1),
  afs_syscall: call(183, -1),
  tuxcall: call(184, -1),
  security: call(185, -1),
  epoll_ctl_old: call(214, -1),
  epoll_wait_old: call(215, -1),
  vserver: call(236, -1),
};

/** Calls whose arguments decide. */
export const CHECKED_CALLS = {
  clone: call(56, 220),
  clone3: call(435, 435),
  personality: call(135, 92),
  socket: call(41, 198),
} as const;

/** `removexattrat`: the kernel answers ENOSYS for calls it does not have, and so does the filter for calls it does not know. */
export const LAST_KNOWN_CALL = 466;
