/* libpaidan-client against an edge and doors that lose, repeat and forget what they are told to. */
#include "common/client/paidan-client.h"
#include "pd_names.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define SHARD 370302u
#define LOG_MAX 64
#define TASKS 256

/* One log, intake's: event number i + 1 is of kind kinds[i]. */
struct task {
  uint64_t seq;   /* publish this event; 0: a tip */
  uint64_t since; /* of the tip */
};

static struct {
  pthread_t thread;
  pthread_mutex_t lock;
  void *zmq, *events, *commands, *replays;
  char server_public[41], server_secret[41], client_public[41], client_secret[41];
  char endpoint[64], dir[64], cursor[128];
  uint32_t kinds[LOG_MAX];
  uint64_t last, first; /* of the log; what is before first is gone */
  uint64_t last_of_kind[128];
  struct task tasks[TASKS];
  size_t begun, planned;
  unsigned asked, silent; /* replays; that many are not answered */
  unsigned commanded;     /* commands received; with keys: */
  char keys[16][65];
  unsigned mute;          /* that many commands are not answered */
  unsigned vanish;        /* after so many commands the sockets are closed and bound anew */
  int port;
  bool stop;
} edge;

static struct paidan *paidan;
static struct paidan_events *events;

/* ---- the edge ---- */

static size_t pack_event(uint64_t seq, uint8_t *bytes) {
  struct pd_event event = PD_EVENT_INIT;
  struct pd_order_placed placed = PD_ORDER_PLACED_INIT;
  struct pd_order_closed closed = PD_ORDER_CLOSED_INIT;
  struct pd_external_noted noted = PD_EXTERNAL_NOTED_INIT;
  event.log = PD_LOG_INTAKE;
  event.seq = seq;
  event.shard = SHARD;
  event.body_case = (pd_event_kind)edge.kinds[seq - 1];
  placed.order = closed.order = seq;
  noted.type = "ext.charity.meal";
  if (event.body_case == PD_EVENT_ORDER_PLACED) event.order_placed = &placed;
  if (event.body_case == PD_EVENT_ORDER_CLOSED) event.order_closed = &closed;
  if (event.body_case == PD_EVENT_EXTERNAL_NOTED) event.external_noted = &noted;
  for (uint64_t i = 1; i < seq; i++)
    if (edge.kinds[i - 1] == edge.kinds[seq - 1]) event.prev = i;
  return protobuf_c_message_pack(&event.base, bytes);
}

static const char *name_of(uint64_t seq) {
  uint32_t kind = edge.kinds[seq - 1];
  if (kind == PD_EVENT_EXTERNAL_NOTED) return "ext.charity.meal";
  return kind == PD_EVENT_ORDER_PLACED ? "order_placed" : "order_closed";
}

static void publish(uint64_t seq) {
  char topic[64];
  uint8_t bytes[512];
  snprintf(topic, sizeof topic, "%06u/%s", SHARD, name_of(seq));
  size_t size = pack_event(seq, bytes);
  zmq_send(edge.events, topic, strlen(topic), ZMQ_SNDMORE);
  zmq_send(edge.events, bytes, size, 0);
}

static void publish_tip(uint64_t since) {
  struct pd_edge_tip tip = PD_EDGE_TIP_INIT;
  struct pd_log_tip log = PD_LOG_TIP_INIT, *logs[1] = {&log};
  struct pd_kind_tip kinds[LOG_MAX], *all[LOG_MAX];
  uint8_t bytes[1024];
  for (uint32_t kind = 0; kind < 128; kind++) {
    if (edge.last_of_kind[kind] < since) continue;
    kinds[log.n_kinds] = (struct pd_kind_tip)PD_KIND_TIP_INIT;
    kinds[log.n_kinds].kind = kind;
    kinds[log.n_kinds].last_seq = edge.last_of_kind[kind];
    all[log.n_kinds] = &kinds[log.n_kinds];
    log.n_kinds++;
  }
  log.log = PD_LOG_INTAKE;
  log.last_seq = edge.last;
  log.since = since;
  log.kinds = all;
  tip.shard = SHARD;
  tip.logs = logs;
  tip.n_logs = 1;
  size_t size = protobuf_c_message_pack(&tip.base, bytes);
  zmq_send(edge.events, "370302/tip", 10, ZMQ_SNDMORE);
  zmq_send(edge.events, bytes, size, 0);
}

static void reply(void *socket, const uint8_t *to, size_t to_size,
                  const ProtobufCMessage *message) {
  uint8_t bytes[16384];
  size_t size = protobuf_c_message_pack(message, bytes);
  zmq_send(socket, to, to_size, ZMQ_SNDMORE);
  zmq_send(socket, bytes, size, 0);
}

static bool is_wanted(const struct pd_replay_request *wanted, uint64_t seq) {
  for (size_t i = 0; i < wanted->n_kinds; i++)
    if (strncmp(name_of(seq), wanted->kinds[i], strlen(wanted->kinds[i])) == 0) return true;
  return wanted->n_kinds == 0;
}

/* At most three events at a time, so that healing takes several rounds. */
static void replay(const struct pd_edge_request *said, const uint8_t *to, size_t to_size) {
  struct pd_replay_batch batch = PD_REPLAY_BATCH_INIT;
  struct pd_edge_reply answer = PD_EDGE_REPLY_INIT;
  struct pd_event *all[3];
  uint64_t seq = said->replay->from_seq;
  if (said->replay->log != PD_LOG_INTAKE) return;
  batch.log = PD_LOG_INTAKE;
  batch.events = all;
  if (seq < edge.first) seq = batch.first_seq = edge.first;
  for (; seq <= edge.last && batch.n_events < 3; seq++) {
    uint8_t bytes[512];
    if (!is_wanted(said->replay, seq)) continue;
    size_t size = pack_event(seq, bytes);
    all[batch.n_events++] = paidan__v1__event__unpack(NULL, size, bytes);
  }
  batch.next_seq = seq;
  batch.last_seq = edge.last;
  batch.end = seq > edge.last;
  answer.request = said->request;
  answer.result_case = PD_EDGE_REPLY_BATCH;
  answer.batch = &batch;
  reply(edge.replays, to, to_size, &answer.base);
  for (size_t i = 0; i < batch.n_events; i++) paidan__v1__event__free_unpacked(all[i], NULL);
}

static void welcome(uint64_t request, const uint8_t *to, size_t to_size) {
  struct pd_edge_welcome body = PD_EDGE_WELCOME_INIT;
  struct pd_edge_reply answer = PD_EDGE_REPLY_INIT;
  char *hear[] = {"37"};
  body.name = "tester";
  body.shard = SHARD;
  body.hear = hear;
  body.n_hear = 1;
  answer.request = request;
  answer.result_case = PD_EDGE_REPLY_WELCOME;
  answer.welcome = &body;
  reply(edge.replays, to, to_size, &answer.base);
}

static void take_request(void) {
  uint8_t to[256], bytes[4096];
  int to_size = zmq_recv(edge.replays, to, sizeof to, ZMQ_DONTWAIT);
  if (to_size < 0) return;
  int size = zmq_recv(edge.replays, bytes, sizeof bytes, 0);
  struct pd_edge_request *said = paidan__v1__edge_request__unpack(NULL, (size_t)size, bytes);
  if (said->body_case == PD_EDGE_REQUEST_HELLO) welcome(said->request, to, (size_t)to_size);
  if (said->body_case == PD_EDGE_REQUEST_REPLAY && edge.asked++ >= edge.silent)
    replay(said, to, (size_t)to_size);
  paidan__v1__edge_request__free_unpacked(said, NULL);
}

static void *bound(int type, int port) {
  char endpoint[64];
  int on = 1, linger = 0;
  void *socket = zmq_socket(edge.zmq, type);
  zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &on, sizeof on);
  zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, edge.server_secret, 41);
  zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
  snprintf(endpoint, sizeof endpoint, "tcp://127.0.0.1:%d", port);
  if (zmq_bind(socket, endpoint) == 0) return socket;
  zmq_close(socket);
  return NULL;
}

/* As when the edge is killed and started anew. */
static void come_again(void) {
  zmq_close(edge.commands);
  zmq_close(edge.replays);
  do {
    usleep(20000);
    edge.commands = bound(ZMQ_ROUTER, edge.port + 1);
  } while (edge.commands == NULL);
  do {
    usleep(20000);
    edge.replays = bound(ZMQ_ROUTER, edge.port + 2);
  } while (edge.replays == NULL);
}

static void take_command(void) {
  uint8_t to[256], bytes[4096];
  struct pd_ack ack = PD_ACK_INIT;
  struct pd_position position = PD_POSITION_INIT;
  struct pd_reply answer = PD_REPLY_INIT;
  int to_size = zmq_recv(edge.commands, to, sizeof to, ZMQ_DONTWAIT);
  if (to_size < 0) return;
  int size = zmq_recv(edge.commands, bytes, sizeof bytes, 0);
  struct pd_command *said = paidan__v1__command__unpack(NULL, (size_t)size, bytes);
  snprintf(edge.keys[edge.commanded % 16], 65, "%s", said->key);
  cr_assert_eq(said->shard, SHARD);
  position.log = PD_LOG_INTAKE;
  position.seq = 7;
  ack.position = &position;
  answer.request = said->request;
  answer.result_case = PD_REPLY_ACK;
  answer.ack = &ack;
  if (edge.commanded++ >= edge.mute) reply(edge.commands, to, (size_t)to_size, &answer.base);
  paidan__v1__command__free_unpacked(said, NULL);
  if (edge.commanded == edge.vanish) come_again();
}

static void *run_edge(void *nothing) {
  for (bool stop = false; !stop;) {
    pthread_mutex_lock(&edge.lock);
    char byte[256];
    while (zmq_recv(edge.events, byte, sizeof byte, ZMQ_DONTWAIT) >= 0) continue;
    take_request();
    take_command();
    for (; edge.begun < edge.planned; edge.begun++) {
      const struct task *task = &edge.tasks[edge.begun];
      if (task->seq != 0) publish(task->seq);
      if (task->seq == 0) publish_tip(task->since);
    }
    stop = edge.stop;
    pthread_mutex_unlock(&edge.lock);
    usleep(500);
  }
  return nothing;
}

/* Three free ports in a row. */
static void bind_edge(void) {
  for (int port = 21000 + getpid() % 20000; edge.replays == NULL; port += 3) {
    cr_assert(port < 60000);
    edge.events = bound(ZMQ_XPUB, port);
    edge.commands = edge.events == NULL ? NULL : bound(ZMQ_ROUTER, port + 1);
    edge.replays = edge.commands == NULL ? NULL : bound(ZMQ_ROUTER, port + 2);
    snprintf(edge.endpoint, sizeof edge.endpoint, "tcp://127.0.0.1:%d", port);
    edge.port = port;
    if (edge.replays == NULL && edge.events != NULL) zmq_close(edge.events);
    if (edge.replays == NULL && edge.commands != NULL) zmq_close(edge.commands);
  }
}

static struct paidan_options keyed(void) {
  struct paidan_options options = PAIDAN_OPTIONS_INIT;
  options.edge = edge.endpoint;
  options.server_key = edge.server_public;
  options.public_key = edge.client_public;
  options.secret_key = edge.client_secret;
  options.connect_ms = 3000;
  return options;
}

static void set_up(void) {
  snprintf(edge.dir, sizeof edge.dir, "/tmp/pd-outside-XXXXXX");
  cr_assert_not_null(mkdtemp(edge.dir));
  snprintf(edge.cursor, sizeof edge.cursor, "%s/cursor", edge.dir);
  edge.zmq = zmq_ctx_new();
  zmq_curve_keypair(edge.server_public, edge.server_secret);
  zmq_curve_keypair(edge.client_public, edge.client_secret);
  bind_edge();
  edge.first = 1;
  pthread_mutex_init(&edge.lock, NULL);
  pthread_create(&edge.thread, NULL, run_edge, NULL);
  struct paidan_options options = keyed();
  cr_assert_eq(paidan_open(&paidan, &options), PAIDAN_OK, "%s", paidan_why(paidan));
}

static void tear_down(void) {
  paidan_close(paidan);
  pthread_mutex_lock(&edge.lock);
  edge.stop = true;
  pthread_mutex_unlock(&edge.lock);
  pthread_join(edge.thread, NULL);
  zmq_close(edge.events);
  zmq_close(edge.commands);
  zmq_close(edge.replays);
  zmq_ctx_term(edge.zmq);
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", edge.dir);
  cr_assert_eq(system(command), 0);
}

/* ---- what a test says ---- */

/* The log grows by events of these kinds: P order_placed, C order_closed, X an outside one; a small
 * letter is lost on the way. */
static void grow(const char *letters) {
  pthread_mutex_lock(&edge.lock);
  for (const char *at = letters; *at != '\0'; at++) {
    bool lost = strchr("pcx", *at) != NULL;
    uint32_t kind = strchr("pP", *at) != NULL   ? PD_EVENT_ORDER_PLACED
                    : strchr("cC", *at) != NULL ? PD_EVENT_ORDER_CLOSED
                                                : PD_EVENT_EXTERNAL_NOTED;
    edge.kinds[edge.last++] = kind;
    edge.last_of_kind[kind] = edge.last;
    if (!lost) edge.tasks[edge.planned++] = (struct task){.seq = edge.last};
  }
  pthread_mutex_unlock(&edge.lock);
}

static void tip_since(uint64_t since) {
  pthread_mutex_lock(&edge.lock);
  edge.tasks[edge.planned++] = (struct task){.since = since};
  pthread_mutex_unlock(&edge.lock);
}

static void tip(void) { tip_since(1); }

static void again(uint64_t seq) {
  pthread_mutex_lock(&edge.lock);
  edge.tasks[edge.planned++] = (struct task){.seq = seq};
  pthread_mutex_unlock(&edge.lock);
}

static void listen_from(enum paidan_from from, const char *topic) {
  struct paidan_events_options options = PAIDAN_EVENTS_OPTIONS_INIT;
  options.from = from;
  options.cursor_file = edge.cursor;
  options.topics = &topic;
  options.topic_count = topic == NULL ? 0 : 1;
  cr_assert_eq(paidan_listen(&events, paidan, &options), PAIDAN_OK, "%s", paidan_why(paidan));
  usleep(300000); /* a subscription takes a moment */
}

/* What comes within the time, as "1 2 3 gap4-6 7". */
static const char *heard(int wait_ms) {
  static char text[1024];
  const struct paidan_event *event;
  size_t used = 0;
  text[0] = '\0';
  for (;;) {
    int code = paidan_next(events, &event, wait_ms);
    const char *space = used > 0 ? " " : "";
    if (code == PAIDAN_OK)
      used += (size_t)snprintf(text + used, sizeof text - used, "%s%d", space, (int)event->seq);
    else if (code == PAIDAN_GAP)
      used += (size_t)snprintf(text + used, sizeof text - used, "%sgap%d-%d", space,
                               (int)event->from, (int)event->to);
    else
      return text;
  }
}

TestSuite(outside, .init = set_up, .fini = tear_down, .timeout = 60);

Test(outside, everything_comes_at_once_without_a_tip) {
  tip();
  listen_from(PAIDAN_FROM_NOW, NULL);
  tip();
  cr_assert_str_eq(heard(300), "");
  grow("PCX");
  cr_assert_str_eq(heard(300), "1 2 3");
  cr_assert_eq(edge.asked, 0);
}

Test(outside, what_was_lost_is_fetched_before_what_came_after_it) {
  listen_from(PAIDAN_FROM_START, NULL);
  tip();
  grow("PPppcCP");
  tip();
  cr_assert_str_eq(heard(500), "1 2 3 4 5 6 7");
  cr_assert_geq(paidan_healed(events), 3);
}

Test(outside, what_was_lost_last_shows_in_the_tip) {
  listen_from(PAIDAN_FROM_START, NULL);
  grow("PPc");
  cr_assert_str_eq(heard(300), "1 2");
  tip();
  cr_assert_str_eq(heard(300), "3");
}

Test(outside, what_comes_twice_is_handed_out_once) {
  listen_from(PAIDAN_FROM_START, NULL);
  grow("PPP");
  again(2);
  again(3);
  again(1);
  tip();
  grow("P");
  again(4);
  tip();
  cr_assert_str_eq(heard(300), "1 2 3 4");
}

Test(outside, one_kind_is_complete_and_in_order_though_others_lie_between) {
  listen_from(PAIDAN_FROM_START, "order_placed");
  grow("PCCP");
  cr_assert_str_eq(heard(300), "1", "only the first is known to have nothing before it");
  tip();
  cr_assert_str_eq(heard(300), "4");
  cr_assert_eq(edge.asked, 0);
  grow("CpCP");
  cr_assert_str_eq(heard(500), "6 8", "8 says that 6 was before it");
  grow("CC");
  tip();
  cr_assert_str_eq(heard(300), "");
  unsigned before = edge.asked;
  grow("P");
  tip();
  cr_assert_str_eq(heard(300), "11");
  cr_assert_eq(edge.asked, before, "nothing was lost, so nothing is asked for");
}

Test(outside, outside_events_are_chosen_by_type) {
  listen_from(PAIDAN_FROM_START, "ext.charity.");
  grow("PXCxP");
  tip();
  cr_assert_str_eq(heard(500), "2 4");
}

Test(outside, an_edge_that_began_later_says_so_and_what_it_never_heard_is_fetched) {
  listen_from(PAIDAN_FROM_START, "order_placed");
  grow("Pp");
  tip_since(3); /* it was down while 2 was said: no kind is named */
  cr_assert_str_eq(heard(500), "1 2");
}

Test(outside, a_log_that_was_cut_short_is_a_gap_that_is_told) {
  grow("pppppp");
  edge.first = 4;
  listen_from(PAIDAN_FROM_START, NULL);
  tip();
  cr_assert_str_eq(heard(500), "gap1-3 4 5 6");
}

Test(outside, a_replay_that_is_not_answered_is_asked_for_again) {
  edge.silent = 1;
  listen_from(PAIDAN_FROM_START, NULL);
  grow("ppp");
  tip();
  cr_assert_str_eq(heard(2500), "1 2 3");
}

Test(outside, the_cursor_file_goes_on_where_it_was_left) {
  listen_from(PAIDAN_FROM_START, NULL);
  grow("PPP");
  cr_assert_str_eq(heard(300), "1 2 3");
  paidan_unlisten(events);
  grow("pp");
  listen_from(PAIDAN_FROM_NOW, NULL);
  tip();
  cr_assert_str_eq(heard(500), "4 5");
  struct paidan_position at[8];
  cr_assert_eq(paidan_positions(events, at, 8), 5);
  cr_assert_eq(at[0].log, 1);
  cr_assert_eq(at[0].seq, 5);
}

Test(outside, what_was_handed_out_but_not_handled_comes_again) {
  const struct paidan_event *event;
  listen_from(PAIDAN_FROM_START, NULL);
  grow("PP");
  cr_assert_eq(paidan_next(events, &event, 2000), PAIDAN_OK);
  cr_assert_eq(paidan_next(events, &event, 2000), PAIDAN_OK);
  cr_assert_eq(event->seq, 2);
  paidan_unlisten(events); /* the program ends in the middle of 2 */
  listen_from(PAIDAN_FROM_NOW, NULL);
  tip();
  cr_assert_str_eq(heard(500), "2");
}

Test(outside, a_cursor_that_makes_no_sense_is_refused) {
  static const char *const bad[] = {"", "paidan-cursor 110105\n",
                                    "paidan-cursor 370302\nkitchen 4\n",
                                    "paidan-cursor 370302\nintake four\n"};
  struct paidan_events_options options = PAIDAN_EVENTS_OPTIONS_INIT;
  options.cursor_file = edge.cursor;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    FILE *file = fopen(edge.cursor, "w");
    fputs(bad[i], file);
    fclose(file);
    cr_assert_eq(paidan_listen(&events, paidan, &options), PAIDAN_ECURSOR, "%s", bad[i]);
    cr_assert_null(events);
  }
  cr_assert_not_null(strstr(paidan_why(paidan), edge.cursor));
}

Test(outside, a_command_is_sent_again_with_the_same_key_until_it_is_answered) {
  const struct paidan_reply *reply;
  edge.mute = 1;
  Paidan__V1__Command command = PAIDAN__V1__COMMAND__INIT;
  cr_assert_eq(paidan_say(paidan, &command, &reply), PAIDAN_OK, "%s", paidan_why(paidan));
  cr_assert_eq(reply->seq, 7);
  cr_assert_eq(edge.commanded, 2);
  cr_assert_str_eq(edge.keys[0], edge.keys[1]);
  cr_assert_str_eq(edge.keys[0], reply->key);
  command.key = "mine";
  cr_assert_eq(paidan_say(paidan, &command, &reply), PAIDAN_OK);
  cr_assert_str_eq(edge.keys[2], "mine");
}

Test(outside, what_an_edge_did_not_answer_before_it_went_away_is_said_again_when_it_is_back) {
  const struct paidan_reply *reply;
  edge.mute = edge.vanish = 1;
  struct timespec began, ended;
  clock_gettime(CLOCK_MONOTONIC, &began);
  cr_assert_eq(paidan_command(paidan, NULL, 0, "once", &reply), PAIDAN_OK);
  clock_gettime(CLOCK_MONOTONIC, &ended);
  cr_assert_str_eq(edge.keys[1], "once");
  double took_s = (double)(ended.tv_sec - began.tv_sec) +
                  (double)(ended.tv_nsec - began.tv_nsec) / 1e9;
  cr_assert_lt(took_s, 1.8, "it waited %.1f s for an answer that nobody was to give", took_s);
}

static void count(void *context, const struct paidan_reply *reply) {
  *(unsigned *)context += reply->code == PAIDAN_OK ? 1 : 100;
}

Test(outside, the_window_bounds_what_is_in_flight) {
  struct paidan *other;
  unsigned done = 0;
  struct paidan_options options = keyed();
  options.window = 3;
  cr_assert_eq(paidan_open(&other, &options), PAIDAN_OK);
  for (int i = 0; i < 3; i++)
    cr_assert_eq(paidan_send(other, NULL, 0, NULL, count, &done), PAIDAN_OK);
  cr_assert_eq(paidan_send(other, NULL, 0, NULL, count, &done), PAIDAN_EFULL);
  while (paidan_turn(other, 50) > 0) continue;
  cr_assert_eq(done, 3);
  cr_assert_eq(paidan_send(other, NULL, 0, "", count, &done), PAIDAN_EINVAL);
  edge.mute = 1000;
  cr_assert_eq(paidan_send(other, NULL, 0, NULL, count, &done), PAIDAN_OK);
  paidan_close(other);
  cr_assert_eq(done, 103, "what is in flight at the end is told so");
}

Test(outside, options_that_make_no_sense_are_refused_with_a_reason) {
  struct paidan *other;
  for (int i = 0; i < 7; i++) {
    struct paidan_options options = keyed();
    if (i == 0) options.size = 8;
    if (i == 1) options.edge = "udp://127.0.0.1:1";
    if (i == 2) options.edge = "tcp://127.0.0.1:65535";
    if (i == 3) options.server_key = "short";
    if (i == 4) options.secret_key = NULL;
    if (i == 5) options.shard = 110105; /* another district's */
    if (i == 6) options.edge = NULL;    /* and no door either */
    cr_assert_eq(paidan_open(&other, &options), PAIDAN_EINVAL, "%d: %s", i, paidan_why(other));
    cr_assert_gt(strlen(paidan_why(other)), 20);
    const struct paidan_reply *reply;
    cr_assert_eq(paidan_command(other, NULL, 0, NULL, &reply), PAIDAN_EINVAL);
    paidan_close(other);
  }
  paidan_close(NULL);
}

Test(outside, a_local_door_that_is_not_there_is_told_at_the_deadline) {
  struct paidan *other;
  struct paidan_options options = PAIDAN_OPTIONS_INIT;
  options.run_dir = edge.dir;
  options.door = "resident";
  options.shard = SHARD;
  options.connect_ms = 200;
  cr_assert_eq(paidan_open(&other, &options), PAIDAN_ENOBODY);
  cr_assert_not_null(strstr(paidan_why(other), "paidan status"));
  paidan_close(other);
}
