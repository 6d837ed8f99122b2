/*
 * A thread that sleeps until a descriptor can be read, and then says which: processes that are not our children and pipes that
 * must not be read before the time are nothing that JavaScript could wait for.
 *
 * Compiled inside the engine; there are no headers, only what every libc exports.
 */

#if defined(__x86_64__)
#define NR_RT_SIGPROCMASK 14
/* struct epoll_event is packed on this processor only. */
#define EVENT_BYTES 12
#define TOKEN_AT 4
#elif defined(__aarch64__)
#define NR_RT_SIGPROCMASK 135
#define EVENT_BYTES 16
#define TOKEN_AT 8
#else
#error "unknown processor"
#endif

#define EVENTS 64
#define EINTR 4
/* A descriptor that is ready all the time is named a thousand times in a second, not a million. */
#define PAUSE_US 1000

extern long syscall(long, long, long, long, long, long, long);
extern int *__errno_location(void);
extern int pthread_create(unsigned long *, void *, void *(*)(void *), void *);
extern int pthread_detach(unsigned long);
extern int epoll_wait(int, void *, int, int);
extern long write(int, const void *, unsigned long);
extern int close(int);
extern int usleep(unsigned);

/* Writes tokens of 8 bytes; token 0 ends the thread. */
static void *wait_for_events(void *pointer) {
  char events[EVENTS * EVENT_BYTES];
  int epoll = (int)((long)pointer >> 32);
  int out = (int)((long)pointer & 0x7fffffff);
  for (;;) {
    int count = epoll_wait(epoll, events, EVENTS, -1);
    int i;
    if (count < 0 && *__errno_location() != EINTR) break;
    for (i = 0; i < count; i++) {
      char *token = events + i * EVENT_BYTES + TOKEN_AT;
      if (*(int *)token == 0) goto end;
      if (write(out, token, 8) != 8) goto end;
    }
    usleep(PAUSE_US);
  }
end:
  close(out);
  close(epoll);
  return 0;
}

/* 0 or an errno. The thread owns both descriptors, and takes no signals. */
int start(int epoll, int out) {
  unsigned long thread;
  long all = -1;
  long mask = 0;
  int error;
  syscall(NR_RT_SIGPROCMASK, 2, (long)&all, (long)&mask, 8, 0, 0);
  error = pthread_create(&thread, 0, wait_for_events, (void *)(((long)epoll << 32) | out));
  syscall(NR_RT_SIGPROCMASK, 2, (long)&mask, 0, 8, 0, 0);
  if (error == 0) pthread_detach(thread);
  return error;
}
