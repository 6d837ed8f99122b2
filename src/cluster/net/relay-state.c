/* What the relay of tcp-relay.c is made of: limits, what it needs of the system, its memory, and the lock over all of it. */

#if defined(__x86_64__)
#define NR_RT_SIGPROCMASK 14
/* struct epoll_event is packed on this processor only. */
#define EVENT_BYTES 12
#define DATA_AT 4
#elif defined(__aarch64__)
#define NR_RT_SIGPROCMASK 135
#define EVENT_BYTES 16
#define DATA_AT 8
#else
#error "unknown processor"
#endif

#define EVENTS 64
#define BUFFER 65536
/* An endpoint that has not answered by then is passed over: on one machine even a busy one takes a few milliseconds. */
#define DIAL_MS 2000
/* No client waits longer than this many dials. */
#define MOST_DIALS 4
/* Who comes while a listener is busy; the kernel takes no more than net.core.somaxconn. */
#define BACKLOG 1024
/* Who wants the lock from a busy thread would otherwise hardly ever get it: the thread lets go for so many turns at most. */
#define MOST_YIELDS 100
/* Then others have their turn. */
#define MOST_ACCEPTS 32
/*
 * While one event follows another within so many nanoseconds, the thread stays awake for the next one: to be woken takes longer
 * than to answer. The first that does not come in time sends it to sleep, so that idle connections cost nothing.
 */
#define AWAKE_NS 50000L
/* Out of descriptors or memory: clients wait in the kernel's queue until there may be some. */
#define STARVED_MS 50
/* After so long a silence the kernel asks whether an endpoint is there at all, three times. */
#define KEEP_ALIVE_SECONDS 60
/* Clients that stay with their endpoint, of one route: sets of ways, as in a processor's cache. */
#define SETS 1024
#define WAYS 8

#define EINTR 4
#define EAGAIN 11
#define ENOMEM 12
#define ECONNABORTED 103
#define EISCONN 106
#define EALREADY 114
#define EINPROGRESS 115

#define AF_INET 2
#define SOCK_STREAM 1
#define SOCK_FLAGS (04000 | 02000000) /* SOCK_NONBLOCK, SOCK_CLOEXEC */
#define SOL_SOCKET 1
#define SO_REUSEADDR 2
#define SO_KEEPALIVE 9
#define SO_LINGER 13
#define IPPROTO_TCP 6
#define TCP_NODELAY 1
#define TCP_KEEPIDLE 4
#define TCP_KEEPINTVL 5
#define TCP_KEEPCNT 6
#define MSG_NOSIGNAL 0x4000
#define SHUT_WR 1
#define EFD_CLOEXEC 02000000
#define EPOLL_CLOEXEC 02000000
#define CLONE_NEWNET 0x40000000
#define CLOCK_MONOTONIC 1

#define EPOLLIN 1
#define EPOLLOUT 4
#define EPOLLERR 8
#define EPOLLHUP 16
#define CTL_ADD 1
#define CTL_DEL 2
#define CTL_MOD 3
/* The descriptor is not in the epoll. */
#define AWAY -1

#define CLIENT 0
#define ENDPOINT 1

extern long syscall(long, long, long, long, long, long, long);
extern int *__errno_location(void);
extern int pthread_create(unsigned long *, void *, void *(*)(void *), void *);
extern int pthread_join(unsigned long, void **);
extern int pthread_mutex_lock(void *);
extern int pthread_mutex_unlock(void *);
extern int sched_yield(void);
extern int clock_gettime(int, long *);
extern int setns(int, int);
extern int eventfd(unsigned, int);
extern int epoll_create1(int);
extern int epoll_ctl(int, int, int, void *);
extern int epoll_wait(int, void *, int, int);
extern int socket(int, int, int);
extern int bind(int, const void *, unsigned);
extern int listen(int, int);
extern int accept4(int, void *, unsigned *, int);
extern int connect(int, const void *, unsigned);
extern int getsockname(int, void *, unsigned *);
extern int setsockopt(int, int, int, const void *, unsigned);
extern int shutdown(int, int);
extern long recv(int, void *, unsigned long, int);
extern long send(int, const void *, unsigned long, int);
extern long read(int, void *, unsigned long);
extern long write(int, const void *, unsigned long);
extern int close(int);
extern void *malloc(unsigned long);
extern void *calloc(unsigned long, unsigned long);
extern void *realloc(void *, unsigned long);
extern void free(void *);
extern void *memcpy(void *, const void *, unsigned long);

/* Mirrored by ENDPOINT_BYTES in tcp-relay.ts; both as they are in packets. */
struct endpoint {
  unsigned ip;
  unsigned short port;
  unsigned short zero;
};

/* struct sockaddr_in */
struct address {
  unsigned short family;
  unsigned short port;
  unsigned ip;
  unsigned long zero;
};

/* One that stays with its endpoint. */
struct client {
  unsigned ip;
  struct endpoint endpoint;
  long until; /* 0: nobody */
};

/* One port of a Service. */
struct route {
  struct endpoint *endpoints;
  unsigned count;
  unsigned next;
  long affinity_ms; /* 0: clients stay with nobody */
  struct client *clients;
  int users; /* JavaScript, listeners, dials */
};

struct listener {
  int fd; /* -1: closed */
  int slot;
  struct route *route;
  int connections;
  int is_held; /* by JavaScript */
};

struct side {
  int fd;
  int interest; /* what the epoll tells of it; errors always. AWAY: nothing at all */
  int has_ended; /* its end was read, and passed on */
  char *pending; /* read from the other side and not sent to this one yet; the other is not read meanwhile */
  int pending_at;
  int pending_end;
};

struct connection {
  int slot;
  int is_dialing;
  struct listener *listener;
  struct route *route; /* while it dials */
  struct side sides[2];
  unsigned ip; /* of the client */
  int dials;
  struct endpoint tried[MOST_DIALS];
  long deadline; /* of the dial */
  struct connection *next; /* that dials */
  struct connection *previous;
};

struct slot {
  unsigned generation;
  struct listener *listener;
  struct connection *connection;
};

struct relay {
  long lock[8]; /* pthread_mutex_t has 40 or 48 bytes, and is open when they are zero */
  unsigned long thread;
  int netns;
  int epoll;
  int wake; /* eventfd: the end, and what is due */
  volatile int is_wanted; /* by JavaScript: the lock */
  int is_stopping;
  int is_starved;
  int most_connections; /* of one listener; who comes beyond this is refused */
  int stays_awake; /* the machine has a processor to spare for that */
  int is_busy; /* the last events came fast */
  long now; /* in milliseconds, when the thread last woke */
  struct connection *dialing;
  long next_expiry; /* no dial is over before */
  struct slot *slots;
  int slot_count;
  int free_hint;
  char buffer[BUFFER];
};

static long now_ns(void) {
  long time[2];
  clock_gettime(CLOCK_MONOTONIC, time);
  return time[0] * 1000000000 + time[1];
}

static void set_option(int fd, int level, int name, int value) {
  setsockopt(fd, level, name, &value, sizeof value);
}

/* A reset instead of an orderly end, so that nobody takes half an answer for a whole one. */
static void reset(int fd) {
  int linger[2] = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, linger, sizeof linger);
  close(fd);
}

static int is_same(struct endpoint a, struct endpoint b) {
  return a.ip == b.ip && a.port == b.port;
}

static struct address address_of(struct endpoint endpoint) {
  struct address address;
  address.family = AF_INET;
  address.port = endpoint.port;
  address.ip = endpoint.ip;
  address.zero = 0;
  return address;
}

/* JavaScript is one thread. */
static void lock(struct relay *relay) {
  relay->is_wanted = 1;
  pthread_mutex_lock(relay->lock);
  relay->is_wanted = 0;
}

static void unlock(struct relay *relay) {
  pthread_mutex_unlock(relay->lock);
}

static void lock_politely(struct relay *relay) {
  int yields;
  for (yields = 0; relay->is_wanted && yields < MOST_YIELDS; yields++) sched_yield();
  pthread_mutex_lock(relay->lock);
}

/* --- Slots and the epoll --- */

/* A free one, or -1 without memory. */
static int take_slot(struct relay *relay) {
  int i;
  int count;
  struct slot *slots;
  for (i = relay->free_hint; i < relay->slot_count; i++)
    if (relay->slots[i].listener == 0 && relay->slots[i].connection == 0) {
      relay->free_hint = i + 1;
      return i;
    }
  count = relay->slot_count == 0 ? 64 : relay->slot_count * 2;
  slots = realloc(relay->slots, count * sizeof *slots);
  if (slots == 0) return -1;
  relay->slots = slots;
  for (i = relay->slot_count; i < count; i++) {
    slots[i].generation = 0;
    slots[i].listener = 0;
    slots[i].connection = 0;
  }
  i = relay->slot_count;
  relay->slot_count = count;
  relay->free_hint = i + 1;
  return i;
}

static void give_slot(struct relay *relay, int index) {
  struct slot *slot = &relay->slots[index];
  slot->generation++;
  slot->listener = 0;
  slot->connection = 0;
  if (index < relay->free_hint) relay->free_hint = index;
}

static int control(struct relay *relay, int operation, int fd, int events, int index, int side) {
  char event[EVENT_BYTES];
  unsigned data[2];
  *(int *)event = events;
  data[0] = (unsigned)index * 2 + (unsigned)side;
  data[1] = index < 0 ? 0 : relay->slots[index].generation;
  memcpy(event + DATA_AT, data, sizeof data);
  return epoll_ctl(relay->epoll, operation, fd, event);
}

/* 0, or -1 without memory. */
static int set_interest(struct relay *relay, struct connection *c, int which, int interest) {
  struct side *side = &c->sides[which];
  int operation = side->interest == AWAY ? CTL_ADD : interest == AWAY ? CTL_DEL : CTL_MOD;
  if (side->interest == interest) return 0;
  side->interest = interest;
  return control(relay, operation, side->fd, interest, c->slot, which);
}
