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

#include "relay-connections.c"

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
  /* Of no interest yet: the thread would read its own answer. What follows needs no memory, and so cannot fail. */
  if (relay->epoll < 0 || relay->wake < 0 || control(relay, CTL_ADD, relay->wake, 0, -1, 0) < 0)
    error = *__errno_location();
  else {
    /* The thread takes no signals. */
    syscall(NR_RT_SIGPROCMASK, 2, (long)&all, (long)&mask, 8, 0, 0);
    error = pthread_create(&relay->thread, 0, serve, relay);
    syscall(NR_RT_SIGPROCMASK, 2, (long)&mask, 0, 8, 0, 0);
  }
  if (error == 0) {
    while (read(relay->wake, &told, sizeof told) < 0 && *__errno_location() == EINTR) continue;
    error = (int)(told - 1);
    if (error == 0) {
      control(relay, CTL_MOD, relay->wake, EPOLLIN, -1, 0);
      return (long)relay;
    }
    pthread_join(relay->thread, 0);
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
