/*
 * Runs a list of system calls in a vforked child or in a thread, and single ones in the engine.
 *
 * Compiled inside the engine when it starts; there are no headers, only what every libc exports. System call numbers
 * and constants come from TypeScript, except the few this file needs for itself.
 *
 * The child shares the engine's memory until execve or exit: it may not allocate, take locks, or call libc functions
 * that do more than one system call. setuid() and friends are raw calls for that reason: libc's own would signal every
 * thread of the engine.
 */

#if defined(__x86_64__)
#define NR_READ 0
#define NR_WRITE 1
#define NR_OPEN_AT 257
#define NR_CLOSE 3
#define NR_PPOLL 271
#define NR_RT_SIGACTION 13
#define NR_RT_SIGPROCMASK 14
#define NR_SENDTO 44
#define NR_RECVFROM 45
#define NR_PRCTL 157
#define NR_EXIT_GROUP 231
#elif defined(__aarch64__)
#define NR_READ 63
#define NR_WRITE 64
#define NR_OPEN_AT 56
#define NR_CLOSE 57
#define NR_PPOLL 73
#define NR_RT_SIGACTION 134
#define NR_RT_SIGPROCMASK 135
#define NR_SENDTO 206
#define NR_RECVFROM 207
#define NR_PRCTL 167
#define NR_EXIT_GROUP 94
#else
#error "unknown processor"
#endif

#define NR_PIDFD_SEND_SIGNAL 424
#define NR_PIDFD_OPEN 434

#define AT_FDCWD -100L
#define POLLIN 1
#define SIGKILL 9
#define SIGCHLD 17
#define CLONE_VM 0x100L
#define CLONE_VFORK 0x4000L
#define CLONE_PARENT 0x8000L
#define CLONE_PARENT_SETTID 0x100000L
#define PR_GET_DUMPABLE 3
#define PR_SET_DUMPABLE 4
#define EINTR 4
#define EBADF 9
#define EPROTO 71
#define ECANCELED 125

#define OP_NETLINK -1L
#define OP_FORK -2L

#define STACK_BYTES 65536
#define FIRST_FD 3

/* How often a launch is looked at. It takes 1 to 3 ms. */
#define LOOK_NANOSECONDS 10000000L

extern long syscall(long, long, long, long, long, long, long);
extern int clone(int (*)(void *), void *, int, void *, int *);
extern int *__errno_location(void);
extern int pthread_create(unsigned long *, void *, void *(*)(void *), void *);

/* Mirrored by OP_WORDS and the offsets in program.ts. */
struct op {
  long number;
  long argument[6];
  long slots;       /* bit i: argument i is the index of a slot, take what is in there */
  long save;        /* slot for the result (-errno when it fails), or -1 */
  long caught;      /* errno that `on_error` is for; 0 = every errno */
  long on_error;    /* op to go on with, or -1: stop and report */
  long on_success;  /* op to go on with */
};

/* Mirrored by JOB_WORDS in program.ts. */
struct job {
  struct op *ops;
  long count;
  long *slots;
  long at;     /* the op that runs or ran last; survives execve because the memory is the engine's */
  long error;  /* errno of the op that stopped the program */
  long next;   /* where a grandchild begins */
  long to;     /* the end of a pipe to the engine, or -1 */
  long slot_count;
  long mask;
};

static char stack[STACK_BYTES];
/* The child's stack is in use while its own child runs. */
static char inner_stack[STACK_BYTES];

/* Of the launch that goes on: its processes, 0 = there is none, and whether it was ended. The kernel writes them. */
static volatile int first_pid;
static volatile int second_pid;
static volatile int was_ended;
/* Leads to the thread that watches launches. */
static long watcher = -1;
static long max_looks;

static long raw(long number, long a, long b, long c, long d, long e, long f) {
  long result = syscall(number, a, b, c, d, e, f);
  return result == -1 ? -(long)*__errno_location() : result;
}

/* Sends one rtnetlink request and waits for its acknowledgement: struct nlmsghdr is length, type/flags, sequence. */
static long netlink(long fd, unsigned int *request, long length) {
  unsigned int answer[2048];
  long result;
  for (;;) {
    result = raw(NR_SENDTO, fd, (long)request, length, 0, 0, 0);
    if (result != -EINTR) break;
  }
  if (result < 0) return result;
  for (;;) {
    result = raw(NR_RECVFROM, fd, (long)answer, sizeof answer, 0, 0, 0);
    if (result == -EINTR) continue;
    if (result < 0) return result;
    if (result < 20) return -EPROTO;
    if (answer[2] != request[2]) continue; /* a late answer to an older request */
    if ((answer[1] & 0xffff) == 2) return (long)(int)answer[4]; /* NLMSG_ERROR: 0 or -errno */
    return 0; /* the request asked for data, not for an acknowledgement */
  }
}

/* A child for whose execve or end this waits; with CLONE_VM it shares this memory until then. The pid, or -errno. */
static long clone_on(char *lowest, int (*start)(void *), long flags, struct job *job) {
  void *top = (void *)(((long)lowest + STACK_BYTES) & ~15L);
  int *known = (int *)(lowest == stack ? &first_pid : &second_pid);
  long pid = clone(start, top, (int)(flags | CLONE_VFORK | CLONE_PARENT_SETTID | SIGCHLD), job, known);
  return pid < 0 ? -(long)*__errno_location() : pid;
}

static long perform(struct op *op, long *slots) {
  long a[6];
  long i;
  for (i = 0; i < 6; i++) a[i] = (op->slots >> i) & 1 ? slots[op->argument[i]] : op->argument[i];
  if (op->number == OP_NETLINK) return netlink(a[0], (unsigned int *)a[1], a[2]);
  return raw(op->number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static int grandchild(void *pointer);
static int copied_grandchild(void *pointer);

/* Runs the ops from `i` on; stops at one that fails, and leaves its errno in the job. */
static void run(struct job *job, long i) {
  while (i < job->count) {
    struct op *op = job->ops + i;
    long result;
    job->at = i;
    if (op->number == OP_FORK) {
      job->next = op->on_success;
      result = op->argument[0] != 0 ? clone_on(inner_stack, copied_grandchild, CLONE_PARENT, job)
                                    : clone_on(inner_stack, grandchild, CLONE_PARENT | CLONE_VM, job);
    } else {
      result = perform(op, job->slots);
    }
    if (op->save >= 0) job->slots[op->save] = result;
    /* The rest was the grandchild's, which has called execve or ended. */
    if (op->number == OP_FORK && result > 0) return;
    if (result >= 0 || result < -4095) {
      i = op->on_success;
    } else if (op->on_error >= 0 && (op->caught == 0 || op->caught == -result)) {
      i = op->on_error;
    } else {
      job->error = -result;
      return;
    }
  }
  job->at = job->count;
}

static int grandchild(void *pointer) {
  struct job *job = pointer;
  run(job, job->next);
  raw(NR_EXIT_GROUP, job->error == 0 ? 0 : 125, 0, 0, 0, 0, 0);
  return 0;
}

/* One that has a copy of this memory sends what the ops have found. */
static int copied_grandchild(void *pointer) {
  struct job *job = pointer;
  long to = job->to;
  run(job, job->next);
  if (job->error == 0) raw(NR_EXIT_GROUP, 0, 0, 0, 0, 0, 0);
  /* Mirrored by `closeFiles` of program.ts, which moves the pipe. */
  if (raw(NR_WRITE, to, (long)&job->at, 2 * sizeof job->at, 0, 0, 0) == -EBADF) {
    to = FIRST_FD;
    raw(NR_WRITE, to, (long)&job->at, 2 * sizeof job->at, 0, 0, 0);
  }
  raw(NR_WRITE, to, (long)job->slots, job->slot_count * sizeof job->at, 0, 0, 0);
  raw(NR_EXIT_GROUP, 125, 0, 0, 0, 0, 0);
  return 0;
}

/* Nothing comes from one that calls execve, or that shares this memory. */
static void hear(struct job *job, long from) {
  long i = -2;
  long value;
  long result;
  for (;;) {
    result = raw(NR_READ, from, (long)&value, sizeof value, 0, 0, 0);
    if (result == -EINTR) continue;
    if (result != sizeof value) return;
    if (i == -2) job->at = value;
    else if (i == -1) job->error = value;
    /* Where it has nothing, others may have. */
    else if (i < job->slot_count && value != 0) job->slots[i] = value;
    i++;
  }
}

static int child(void *pointer) {
  struct job *job = pointer;
  long defaults[4] = {0, 0, 0, 0};
  long none = 0;
  long i;
  for (i = 1; i <= 64; i++) raw(NR_RT_SIGACTION, i, (long)defaults, 0, 8, 0, 0);
  raw(NR_RT_SIGPROCMASK, 2, (long)&none, 0, 8, 0, 0);
  run(job, 0);
  raw(NR_EXIT_GROUP, job->error == 0 ? 0 : 125, 0, 0, 0, 0, 0);
  return 0;
}

/* Once before a launch and once after it. */
static void tell_watcher(void) {
  char byte = 0;
  if (watcher >= 0) raw(NR_WRITE, watcher, (long)&byte, 1, 0, 0, 0);
}

/* Whether a process stands still because somebody stopped or traces it: the letter behind its name in /proc/PID/stat. */
static int stands_still(long pid) {
  char path[32];
  char text[512];
  char *at = path + sizeof path;
  long file;
  long length;
  *--at = 0;
  for (length = 4; length >= 0; length--) *--at = "/stat"[length];
  for (; pid > 0; pid /= 10) *--at = (char)('0' + pid % 10);
  for (length = 5; length >= 0; length--) *--at = "/proc/"[length];
  file = raw(NR_OPEN_AT, AT_FDCWD, (long)at, 0, 0, 0, 0);
  if (file < 0) return 0;
  length = raw(NR_READ, file, (long)text, sizeof text, 0, 0, 0);
  raw(NR_CLOSE, file, 0, 0, 0, 0, 0);
  while (length > 0 && text[length - 1] != ')') length--;
  return length > 0 && (text[length + 1] == 'T' || text[length + 1] == 't');
}

/*
 * Ends the newer process of the launch, which lets all others go on, when it stands still or has had its time. Held first, so
 * that the pid cannot have become another's when it is killed.
 */
static void end_launch(int has_time) {
  long pid = second_pid > 0 ? second_pid : first_pid;
  long held = pid > 0 ? raw(NR_PIDFD_OPEN, pid, 0, 0, 0, 0, 0) : -1;
  if (held < 0) return;
  if (!has_time || stands_still(pid)) {
    was_ended = 1;
    raw(NR_PIDFD_SEND_SIGNAL, held, SIGKILL, 0, 0, 0, 0);
  }
  raw(NR_CLOSE, held, 0, 0, 0, 0, 0);
}

/*
 * A thread that sees launches begin and end. A process that runs for a container is, before its execve, within reach of the
 * container's own: they can stop it, or make it wait for a file (a lease on it, 45 s), and with it the engine.
 */
static void *watch(void *from) {
  char byte;
  while (raw(NR_READ, (long)from, (long)&byte, 1, 0, 0, 0) == 1) {
    long looks = 0;
    for (;;) {
      long time[2] = {0, LOOK_NANOSECONDS};
      struct { int fd; short events; short found; } input = {(int)(long)from, POLLIN, 0};
      if (raw(NR_PPOLL, (long)&input, 1, (long)time, 0, 0, 0) != 0) break;
      end_launch(++looks < max_looks);
    }
    if (raw(NR_READ, (long)from, (long)&byte, 1, 0, 0, 0) != 1) break;
  }
  return 0;
}

/*
 * Starts the program; returns when it has called execve or ended. The pid, or -errno of clone.
 *
 * The kernel lets us go on a moment before execve gives up our memory. Whoever may trace the process could trace us in
 * that moment, were our memory dumpable again: the end of the pipe `from`, whose other end the process holds until execve
 * is done, says when that is over. -1 where there is none.
 */
long launch(struct job *job, long flags, long from) {
  long all = -1;
  long dumpable;
  long pid;
  raw(NR_RT_SIGPROCMASK, 2, (long)&all, (long)&job->mask, 8, 0, 0);
  first_pid = second_pid = was_ended = 0;
  tell_watcher();
  dumpable = raw(NR_PRCTL, PR_GET_DUMPABLE, 0, 0, 0, 0, 0);
  pid = clone_on(stack, child, flags | CLONE_VM, job);
  if (job->to >= 0) {
    raw(NR_CLOSE, job->to, 0, 0, 0, 0, 0);
    hear(job, from);
  }
  tell_watcher();
  if (was_ended && job->error == 0) job->error = ECANCELED;
  /* A setuid in the child made the shared memory undumpable: rootless, the engine could no longer read /proc/self. */
  if (dumpable == 1) raw(NR_PRCTL, PR_SET_DUMPABLE, 1, 0, 0, 0, 0);
  raw(NR_RT_SIGPROCMASK, 2, (long)&job->mask, 0, 8, 0, 0);
  return pid;
}

/* Reads or writes one word of a pipe: 0, or -errno; -EPROTO when the other end is closed. */
static long word(long number, int fd, struct job **value) {
  long result;
  do result = raw(number, fd, (long)value, sizeof *value, 0, 0, 0);
  while (result == -EINTR);
  if (result < 0) return result;
  return result == sizeof *value ? 0 : -EPROTO;
}

/* A thread runs jobs whose addresses it reads, and writes each back when it is done. Ends when the pipe is closed. */
static void *serve(void *pipes) {
  int from = (int)((long)pipes >> 32);
  int to = (int)(long)pipes;
  struct job *job;
  while (word(NR_READ, from, &job) == 0) {
    run(job, 0);
    if (word(NR_WRITE, to, &job) != 0) break;
  }
  return 0;
}

/* A thread that no signal interrupts. 0 or -errno. */
static long new_thread(void *(*start)(void *), void *argument) {
  unsigned long thread;
  long all = -1;
  long mask;
  long result;
  raw(NR_RT_SIGPROCMASK, 2, (long)&all, (long)&mask, 8, 0, 0);
  result = pthread_create(&thread, 0, start, argument);
  raw(NR_RT_SIGPROCMASK, 2, (long)&mask, 0, 8, 0, 0);
  return -result;
}

/* Starts the thread with the ends of two pipes that are its own. 0 or -errno. */
long start_thread(long from, long to) {
  return new_thread(serve, (void *)(from << 32 | to));
}

/* From now on launches are watched, and may take so long. The ends of a pipe are given away. 0 or -errno. */
long start_watch(long from, long to, long milliseconds) {
  long result;
  max_looks = milliseconds * 1000000L / LOOK_NANOSECONDS;
  result = new_thread(watch, (void *)from);
  if (result == 0) watcher = to;
  return result;
}

/* Has the thread at the other ends of the pipes run the job, and waits for it. 0 or -errno. */
long run_in_thread(struct job *job, long to, long from) {
  long result = word(NR_WRITE, (int)to, &job);
  return result != 0 ? result : word(NR_READ, (int)from, &job);
}

/* One op in the engine itself: its result, or -errno. */
long here(struct op *op) {
  return perform(op, 0);
}
