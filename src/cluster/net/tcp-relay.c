/*
 * Passes TCP connections on to one of several endpoints. A thread of its own does all of it, from its place in the node's
 * network namespace, so that neither the engine nor the traffic waits for the other.
 *
 * Compiled inside the engine; there are no headers, only what every libc exports. What starts with `relay_`, `route_` or
 * `listener_` is called by JavaScript. Everything is done under one lock, which is held for one event at most and never over
 * a call that blocks. Events name a slot and its generation instead of an address: one of what has ended meanwhile is nobody's.
 *
 * A connection is two sockets, no timer and, while a side is slower than the other, at most BUFFER bytes for each side.
 */

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

/* --- Routes --- */

static void release_route(struct route *route) {
  if (--route->users > 0) return;
  free(route->endpoints);
  free(route->clients);
  free(route);
}

static int has_endpoint(struct route *route, struct endpoint endpoint) {
  unsigned i;
  for (i = 0; i < route->count; i++)
    if (is_same(route->endpoints[i], endpoint)) return 1;
  return 0;
}

static struct client *set_of(struct route *route, unsigned ip) {
  /* Addresses of neighbours differ in their last byte only, which is the highest here. */
  unsigned hash = (ip ^ (ip >> 15)) * 2654435761u;
  return route->clients + (hash >> 22) % SETS * WAYS;
}

static int was_tried(struct connection *c, struct endpoint endpoint) {
  int i;
  for (i = 0; i < c->dials; i++)
    if (is_same(c->tried[i], endpoint)) return 1;
  return 0;
}

/* The one that the client had before, or the next; 0 when there is none that was not tried. */
static int pick(struct relay *relay, struct connection *c, struct endpoint *found) {
  struct route *route = c->route;
  unsigned turn;
  int way;
  if (route->clients != 0) {
    struct client *set = set_of(route, c->ip);
    for (way = 0; way < WAYS; way++) {
      if (set[way].ip != c->ip || set[way].until <= relay->now) continue;
      *found = set[way].endpoint;
      if (has_endpoint(route, *found) && !was_tried(c, *found)) return 1;
    }
  }
  for (turn = 0; turn < route->count; turn++) {
    *found = route->endpoints[route->next++ % route->count];
    if (!was_tried(c, *found)) return 1;
  }
  return 0;
}

/* Its connection was made. In a full set, who came longest ago is forgotten. */
static void remember(struct relay *relay, struct connection *c) {
  struct route *route = c->route;
  struct client *set;
  struct client *place;
  int way;
  if (route->affinity_ms == 0) return;
  if (route->clients == 0) route->clients = calloc(SETS * WAYS, sizeof *route->clients);
  if (route->clients == 0) return;
  set = set_of(route, c->ip);
  place = set;
  for (way = 0; way < WAYS; way++) {
    if (set[way].ip == c->ip) {
      place = &set[way];
      break;
    }
    if (set[way].until < place->until) place = &set[way];
  }
  place->ip = c->ip;
  place->endpoint = c->tried[c->dials - 1];
  place->until = relay->now + route->affinity_ms;
}

/* --- Connections --- */

static void forget_listener(struct listener *listener) {
  if (listener->fd < 0 && listener->connections == 0 && !listener->is_held) free(listener);
}

static void stop_dialing(struct relay *relay, struct connection *c) {
  if (!c->is_dialing) return;
  c->is_dialing = 0;
  if (c->previous != 0) c->previous->next = c->next;
  else relay->dialing = c->next;
  if (c->next != 0) c->next->previous = c->previous;
  release_route(c->route);
}

/* `c` is gone after this. */
static void end_connection(struct relay *relay, struct connection *c, int is_orderly) {
  int which;
  stop_dialing(relay, c);
  for (which = 0; which < 2; which++) {
    struct side *side = &c->sides[which];
    free(side->pending);
    if (side->fd < 0) continue;
    if (is_orderly) close(side->fd);
    else reset(side->fd);
  }
  give_slot(relay, c->slot);
  c->listener->connections--;
  forget_listener(c->listener);
  free(c);
}

static void hang_up(struct relay *relay, struct connection *c) {
  end_connection(relay, c, 0);
}

/* A side is read while what came from it before has been sent. */
static int wanted(struct connection *c, int which) {
  struct side *side = &c->sides[which];
  int reads = !side->has_ended && c->sides[!which].pending == 0;
  return (reads ? EPOLLIN : 0) | (side->pending != 0 ? EPOLLOUT : 0);
}

/* 0: the connection is gone. */
static int settle(struct relay *relay, struct connection *c) {
  int which;
  if (c->sides[CLIENT].has_ended && c->sides[ENDPOINT].has_ended) {
    end_connection(relay, c, 1);
    return 0;
  }
  for (which = 0; which < 2; which++)
    if (set_interest(relay, c, which, wanted(c, which)) < 0) {
      hang_up(relay, c);
      return 0;
    }
  return 1;
}

/* How much of it went out; -1: the connection is lost. */
static long send_some(int fd, const char *bytes, long length) {
  long sent = send(fd, bytes, length, MSG_NOSIGNAL);
  if (sent >= 0) return sent;
  return *__errno_location() == EAGAIN || *__errno_location() == EINTR ? 0 : -1;
}

/* Keeps what the slower side has no room for. 0 without memory. */
static int keep(struct side *to, const char *bytes, long length) {
  to->pending = malloc(length);
  if (to->pending == 0) return 0;
  memcpy(to->pending, bytes, length);
  to->pending_at = 0;
  to->pending_end = (int)length;
  return 1;
}

static void pass_on(struct relay *relay, struct connection *c, int which) {
  struct side *from = &c->sides[which];
  struct side *to = &c->sides[!which];
  long got = recv(from->fd, relay->buffer, BUFFER, 0);
  long sent;
  if (got < 0) {
    if (*__errno_location() != EAGAIN && *__errno_location() != EINTR) hang_up(relay, c);
    return;
  }
  if (got == 0) {
    from->has_ended = 1;
    shutdown(to->fd, SHUT_WR);
    settle(relay, c);
    return;
  }
  sent = send_some(to->fd, relay->buffer, got);
  if (sent == got) return;
  if (sent < 0 || !keep(to, relay->buffer + sent, got - sent)) hang_up(relay, c);
  else settle(relay, c);
}

/* 0: the connection is gone. */
static int send_pending(struct relay *relay, struct connection *c, int which) {
  struct side *to = &c->sides[which];
  long sent = send_some(to->fd, to->pending + to->pending_at, to->pending_end - to->pending_at);
  if (sent < 0) {
    hang_up(relay, c);
    return 0;
  }
  to->pending_at += (int)sent;
  if (to->pending_at < to->pending_end) return 1;
  free(to->pending);
  to->pending = 0;
  return settle(relay, c);
}

static void begin_passing(struct relay *relay, struct connection *c) {
  remember(relay, c);
  stop_dialing(relay, c);
  settle(relay, c);
}

/* --- Dials --- */

static int open_dial(struct endpoint endpoint, int *error) {
  struct address address = address_of(endpoint);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_FLAGS, 0);
  *error = fd < 0 ? *__errno_location() : 0;
  if (fd < 0) return fd;
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEP_ALIVE_SECONDS);
  set_option(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEP_ALIVE_SECONDS / 6);
  set_option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
  if (connect(fd, &address, sizeof address) < 0) *error = *__errno_location();
  return fd;
}

/* Asked again, `connect` tells how it went. 0: it is there. */
static int state_of_dial(int fd, struct endpoint endpoint) {
  struct address address = address_of(endpoint);
  int error = connect(fd, &address, sizeof address) < 0 ? *__errno_location() : 0;
  return error == EISCONN ? 0 : error;
}

static int is_pending(int error) {
  return error == EINPROGRESS || error == EALREADY || error == EINTR;
}

/* The next endpoint that answers; nearly all of them do at once. Hangs up when there is none. */
static void dial(struct relay *relay, struct connection *c) {
  struct side *to = &c->sides[ENDPOINT];
  struct endpoint endpoint;
  int error;
  while (c->dials < MOST_DIALS && pick(relay, c, &endpoint)) {
    c->tried[c->dials++] = endpoint;
    to->fd = open_dial(endpoint, &error);
    if (to->fd < 0) {
      relay->is_starved = 1;
      break;
    }
    if (is_pending(error)) error = state_of_dial(to->fd, endpoint);
    if (error == 0) {
      begin_passing(relay, c);
      return;
    }
    if (is_pending(error)) {
      c->deadline = relay->now + DIAL_MS;
      if (c->deadline < relay->next_expiry) relay->next_expiry = c->deadline;
      /* Of the client it is told when it is gone for good. */
      if (set_interest(relay, c, ENDPOINT, EPOLLOUT) == 0 && set_interest(relay, c, CLIENT, 0) == 0) return;
      break;
    }
    close(to->fd);
    to->fd = -1;
  }
  hang_up(relay, c);
}

static void dial_another(struct relay *relay, struct connection *c) {
  struct side *to = &c->sides[ENDPOINT];
  /* Closed, it leaves the epoll. */
  if (to->fd >= 0) close(to->fd);
  to->fd = -1;
  to->interest = AWAY;
  dial(relay, c);
}

static void look_at_dial(struct relay *relay, struct connection *c) {
  struct endpoint endpoint = c->tried[c->dials - 1];
  int error = state_of_dial(c->sides[ENDPOINT].fd, endpoint);
  if (is_pending(error)) return;
  if (error == 0 && has_endpoint(c->route, endpoint)) begin_passing(relay, c);
  else dial_another(relay, c);
}

/* Dials that took too long, or whose endpoint has gone. */
static void end_late_dials(struct relay *relay) {
  struct connection *c = relay->dialing;
  struct connection *next;
  long soonest = relay->now + DIAL_MS;
  if (relay->now < relay->next_expiry) return;
  relay->next_expiry = soonest;
  for (; c != 0; c = next) {
    next = c->next;
    if (c->deadline <= relay->now) dial_another(relay, c);
    else if (c->deadline < relay->next_expiry) relay->next_expiry = c->deadline;
  }
}

/* --- Events --- */

static void begin_connection(struct relay *relay, struct listener *listener, int fd, unsigned ip) {
  struct connection *c = calloc(1, sizeof *c);
  int slot = c == 0 || listener->connections >= relay->most_connections ? -1 : take_slot(relay);
  if (slot < 0) {
    free(c);
    reset(fd);
    return;
  }
  relay->slots[slot].connection = c;
  listener->connections++;
  listener->route->users++;
  c->slot = slot;
  c->listener = listener;
  c->route = listener->route;
  c->ip = ip;
  c->sides[CLIENT].fd = fd;
  c->sides[CLIENT].interest = AWAY;
  c->sides[ENDPOINT].fd = -1;
  c->sides[ENDPOINT].interest = AWAY;
  c->is_dialing = 1;
  c->next = relay->dialing;
  if (c->next != 0) c->next->previous = c;
  relay->dialing = c;
  dial(relay, c);
}

static void accept_some(struct relay *relay, struct listener *listener) {
  struct address from;
  unsigned length;
  int count;
  int fd;
  int error;
  for (count = 0; count < MOST_ACCEPTS && !relay->is_starved; count++) {
    length = sizeof from;
    fd = accept4(listener->fd, &from, &length, SOCK_FLAGS);
    if (fd >= 0) {
      begin_connection(relay, listener, fd, from.ip);
      continue;
    }
    error = *__errno_location();
    if (error == ECONNABORTED || error == EINTR) continue;
    if (error == EAGAIN) return;
    relay->is_starved = 1;
  }
  if (relay->is_starved) control(relay, CTL_MOD, listener->fd, 0, listener->slot, 0);
}

static void accept_again(struct relay *relay) {
  int i;
  relay->is_starved = 0;
  for (i = 0; i < relay->slot_count; i++) {
    struct listener *listener = relay->slots[i].listener;
    if (listener != 0) control(relay, CTL_MOD, listener->fd, EPOLLIN, i, 0);
  }
}

static void on_connection(struct relay *relay, struct connection *c, int which, int events) {
  struct side *side = &c->sides[which];
  if (c->is_dialing) {
    if (which == ENDPOINT) look_at_dial(relay, c);
    else hang_up(relay, c);
    return;
  }
  if ((events & EPOLLOUT) && side->pending != 0 && !send_pending(relay, c, which)) return;
  if (!(events & (EPOLLIN | EPOLLERR | EPOLLHUP))) return;
  if (wanted(c, which) & EPOLLIN) pass_on(relay, c, which);
  else if (events & EPOLLERR) hang_up(relay, c);
  /* Both its ways have ended, and what came last waits for the other side: until then there is nothing to be told. */
  else if (events & EPOLLHUP) set_interest(relay, c, which, AWAY);
}

static void on_event(struct relay *relay, char *event) {
  unsigned data[2];
  long count;
  int index;
  struct slot *slot;
  memcpy(data, event + DATA_AT, sizeof data);
  if (data[0] == 0xfffffffe) {
    read(relay->wake, &count, sizeof count);
    return;
  }
  index = (int)(data[0] / 2);
  if (index >= relay->slot_count) return;
  slot = &relay->slots[index];
  if (slot->generation != data[1]) return;
  if (slot->listener != 0) accept_some(relay, slot->listener);
  else if (slot->connection != 0) on_connection(relay, slot->connection, (int)(data[0] & 1), *(int *)event);
}

/* In milliseconds, or -1: until something happens. */
static int patience(struct relay *relay) {
  long left = -1;
  if (relay->dialing != 0) left = relay->next_expiry > relay->now ? relay->next_expiry - relay->now : 0;
  if (relay->is_starved && (left < 0 || left > STARVED_MS)) left = STARVED_MS;
  return (int)left;
}

/* Fills in what happened. The number of events, or -1. */
static int wait_for_events(struct relay *relay, char *events, int wait_ms) {
  long since = now_ns();
  int count = 0;
  long waited = 0;
  while (relay->is_busy && count == 0 && waited < AWAKE_NS) {
    count = epoll_wait(relay->epoll, events, EVENTS, 0);
    waited = now_ns() - since;
  }
  if (count == 0) {
    count = epoll_wait(relay->epoll, events, EVENTS, wait_ms);
    waited = now_ns() - since;
  }
  relay->is_busy = relay->stays_awake && count > 0 && waited < AWAKE_NS;
  relay->now = (since + waited) / 1000000;
  return count;
}

static void *serve(void *pointer) {
  struct relay *relay = pointer;
  char events[EVENTS * EVENT_BYTES];
  long told = relay->netns >= 0 && setns(relay->netns, CLONE_NEWNET) < 0 ? *__errno_location() + 1 : 1;
  int count;
  int i;
  int wait_ms = -1;
  long tried_at = 0;
  write(relay->wake, &told, sizeof told);
  if (told != 1) return 0;
  for (;;) {
    count = wait_for_events(relay, events, wait_ms);
    for (i = 0; i < count; i++) {
      lock_politely(relay);
      on_event(relay, events + i * EVENT_BYTES);
      unlock(relay);
    }
    lock_politely(relay);
    if (relay->is_stopping) break;
    if (relay->dialing != 0) end_late_dials(relay);
    if (relay->is_starved && relay->now - tried_at >= STARVED_MS) {
      tried_at = relay->now;
      accept_again(relay);
    }
    wait_ms = patience(relay);
    unlock(relay);
  }
  unlock(relay);
  return 0;
}

static void wake(struct relay *relay) {
  long one = 1;
  write(relay->wake, &one, sizeof one);
}

/* --- For JavaScript --- */

/* The thread's own connections are made in `netns`, which stays the caller's; -1: in that of the caller. The relay, or -errno. */
long relay_start(int netns, int stays_awake, int most_connections) {
  struct relay *relay = calloc(1, sizeof *relay);
  long all = -1;
  long mask = 0;
  long told = 0;
  int error = ENOMEM;
  if (relay == 0) return -ENOMEM;
  relay->netns = netns;
  relay->stays_awake = stays_awake;
  relay->most_connections = most_connections;
  relay->epoll = epoll_create1(EPOLL_CLOEXEC);
  relay->wake = eventfd(0, EFD_CLOEXEC);
  if (relay->epoll < 0 || relay->wake < 0) error = *__errno_location();
  else {
    /* The thread takes no signals. */
    syscall(NR_RT_SIGPROCMASK, 2, (long)&all, (long)&mask, 8, 0, 0);
    error = pthread_create(&relay->thread, 0, serve, relay);
    syscall(NR_RT_SIGPROCMASK, 2, (long)&mask, 0, 8, 0, 0);
  }
  if (error == 0) {
    while (read(relay->wake, &told, sizeof told) < 0 && *__errno_location() == EINTR) continue;
    error = (int)(told - 1);
    if (error != 0) pthread_join(relay->thread, 0);
    /* Only now: the thread would have read its own answer. */
    else if (control(relay, CTL_ADD, relay->wake, EPOLLIN, -1, 0) == 0) return (long)relay;
  }
  if (relay->epoll >= 0) close(relay->epoll);
  if (relay->wake >= 0) close(relay->wake);
  free(relay);
  return -error;
}

/* Ends the thread and all connections. Listeners and routes have been released before. */
void relay_stop(struct relay *relay) {
  int i;
  lock(relay);
  relay->is_stopping = 1;
  unlock(relay);
  wake(relay);
  pthread_join(relay->thread, 0);
  for (i = 0; i < relay->slot_count; i++)
    if (relay->slots[i].connection != 0) hang_up(relay, relay->slots[i].connection);
  close(relay->epoll);
  close(relay->wake);
  free(relay->slots);
  free(relay);
}

/* 0 without memory. */
struct route *route_open(void) {
  struct route *route = calloc(1, sizeof *route);
  if (route != 0) route->users = 1;
  return route;
}

void route_close(struct relay *relay, struct route *route) {
  lock(relay);
  release_route(route);
  unlock(relay);
}

/* From now on nobody else gets a new connection, dials that have begun included. 0 or -errno. */
int route_set(struct relay *relay, struct route *route, struct endpoint *endpoints, int count, long affinity_ms) {
  struct endpoint *copy = calloc(count + 1, sizeof *copy);
  struct connection *c;
  int is_due = 0;
  if (copy == 0) return -ENOMEM;
  memcpy(copy, endpoints, count * sizeof *copy);
  lock(relay);
  free(route->endpoints);
  route->endpoints = copy;
  route->count = (unsigned)count;
  if (affinity_ms != route->affinity_ms) {
    free(route->clients);
    route->clients = 0;
    route->affinity_ms = affinity_ms;
  }
  for (c = relay->dialing; c != 0; c = c->next) {
    if (c->route != route || c->dials == 0 || has_endpoint(route, c->tried[c->dials - 1])) continue;
    c->deadline = 0;
    relay->next_expiry = 0;
    is_due = 1;
  }
  unlock(relay);
  if (is_due) wake(relay);
  return 0;
}

/* A listening descriptor in the network namespace of the caller, or -errno. */
int listen_here(struct endpoint *at) {
  struct address address = address_of(*at);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_FLAGS, 0);
  int error;
  if (fd < 0) return -*__errno_location();
  set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  if (bind(fd, &address, sizeof address) == 0 && listen(fd, BACKLOG) == 0) return fd;
  error = *__errno_location();
  close(fd);
  return -error;
}

/* The port of a listener, in host order. */
int port_of(struct listener *listener) {
  struct address address;
  unsigned length = sizeof address;
  if (listener->fd < 0 || getsockname(listener->fd, &address, &length) < 0) return 0;
  return (address.port & 0xff) << 8 | address.port >> 8;
}

/* Takes over a descriptor that listens and does not block. The listener, or -errno, when the descriptor stays the caller's. */
long listener_open(struct relay *relay, struct route *route, int fd) {
  struct listener *listener = calloc(1, sizeof *listener);
  int error = ENOMEM;
  if (listener == 0) return -ENOMEM;
  /* What it accepts has it as well. */
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  lock(relay);
  listener->fd = fd;
  listener->route = route;
  listener->is_held = 1;
  listener->slot = take_slot(relay);
  if (listener->slot >= 0) {
    relay->slots[listener->slot].listener = listener;
    error = control(relay, CTL_ADD, fd, EPOLLIN, listener->slot, 0) < 0 ? *__errno_location() : 0;
    if (error == 0) route->users++;
    else give_slot(relay, listener->slot);
  }
  unlock(relay);
  if (error == 0) return (long)listener;
  free(listener);
  return -error;
}

static void close_listener(struct relay *relay, struct listener *listener) {
  if (listener->fd < 0) return;
  close(listener->fd);
  listener->fd = -1;
  give_slot(relay, listener->slot);
  release_route(listener->route);
}

/* Nobody new comes in; connections go on. */
void listener_close(struct relay *relay, struct listener *listener) {
  lock(relay);
  close_listener(relay, listener);
  unlock(relay);
}

int listener_connections(struct relay *relay, struct listener *listener) {
  int connections;
  lock(relay);
  connections = listener->connections;
  unlock(relay);
  return connections;
}

/* Closes it, and is not asked about it any more. Its connections end as well, or go on unseen. */
void listener_release(struct relay *relay, struct listener *listener, int ends_connections) {
  int i;
  lock(relay);
  close_listener(relay, listener);
  for (i = 0; ends_connections && i < relay->slot_count; i++) {
    struct connection *c = relay->slots[i].connection;
    if (c != 0 && c->listener == listener) hang_up(relay, c);
  }
  listener->is_held = 0;
  forget_listener(listener);
  unlock(relay);
}
