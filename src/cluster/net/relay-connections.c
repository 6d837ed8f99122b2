/* The connections of the relay of tcp-relay.c: who gets them, their bytes, and how they begin and end. */

#include "relay-state.c"

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
  /* Out of the epoll first: a child that is being started may have it open as well, and its events would be the next one's. */
  set_interest(relay, c, ENDPOINT, AWAY);
  if (to->fd >= 0) close(to->fd);
  to->fd = -1;
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
