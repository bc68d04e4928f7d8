/* The client and the subscriber against real sockets, with doors that stay silent, die and answer
 * late. */
#include "common/io/bus.h"
#include "common/io/client.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHARD 110105u

static char dir[64], door_endpoint[128], pub_endpoint[128];
static void *zmq, *door, *publisher;
static struct pd_client *client;
static char answers[1024]; /* "ack 7\n", "refusal 6\n", "down\n" */

static void *bound(int type, const char *endpoint) {
  void *socket = NULL;
  cr_assert_eq(pd_bus_socket(&socket, zmq, type, NULL), PD_OK);
  cr_assert_eq(pd_bus_bind(socket, endpoint), PD_OK);
  return socket;
}

static void set_up(void) {
  snprintf(dir, sizeof dir, "/tmp/pd-client-XXXXXX");
  cr_assert_not_null(mkdtemp(dir));
  snprintf(door_endpoint, sizeof door_endpoint, "ipc://%s/door", dir);
  snprintf(pub_endpoint, sizeof pub_endpoint, "ipc://%s/pub", dir);
  zmq = zmq_ctx_new();
  answers[0] = '\0';
}

static void tear_down(void) {
  pd_client_close(client);
  if (door != NULL) zmq_close(door);
  if (publisher != NULL) zmq_close(publisher);
  zmq_ctx_term(zmq);
  char command[96];
  snprintf(command, sizeof command, "rm -rf %s", dir);
  cr_assert_eq(system(command), 0);
}

TestSuite(client, .init = set_up, .fini = tear_down, .timeout = 60);

static void on_answer(void *context, enum pd_err err, const struct pd_reply *reply) {
  size_t used = strlen(answers);
  (void)context;
  if (err != PD_OK) {
    snprintf(answers + used, sizeof answers - used, "down\n");
  } else if (reply->result_case == PD_REPLY_ACK) {
    snprintf(answers + used, sizeof answers - used, "ack %llu\n",
             (unsigned long long)reply->ack->id);
  } else {
    snprintf(answers + used, sizeof answers - used, "refusal %d\n", (int)reply->refusal->code);
  }
}

static void given_client(uint32_t window, uint32_t give_up_ms) {
  struct pd_client_options options = {
      .endpoint = door_endpoint, .shard = SHARD, .window = window, .give_up_ms = give_up_ms};
  cr_assert_eq(pd_client_open(&client, zmq, &options), PD_OK);
}

static enum pd_err say_cancel(uint64_t order, char *key) {
  struct pd_command command = PD_COMMAND_INIT;
  struct pd_cancel_order body = PD_CANCEL_ORDER_INIT;
  body.order = order;
  command.key = key;
  command.body_case = PD_COMMAND_CANCEL_ORDER;
  command.cancel_order = &body;
  return pd_client_send(client, &command, on_answer, NULL);
}

/* A command as the door has it: who sent it, and what. */
struct heard {
  struct pd_bus_message message;
  struct pd_command *command;
};

/* Turn the client until the door hears something. */
static struct heard hear(int wait_ms) {
  struct heard heard = {0};
  pd_bus_message_init(&heard.message);
  for (int i = 0; i < wait_ms && heard.command == NULL; i++) {
    pd_client_turn(client, 1);
    if (pd_bus_receive(door, &heard.message) != PD_OK) continue;
    zmq_msg_t *frame = &heard.message.frames[heard.message.count - 1];
    heard.command = paidan__v1__command__unpack(NULL, zmq_msg_size(frame), zmq_msg_data(frame));
  }
  return heard;
}

static void reply_with(struct heard *heard, struct pd_reply *reply) {
  uint8_t bytes[512];
  reply->request = heard->command->request;
  size_t size = paidan__v1__reply__pack(reply, bytes);
  struct pd_frame frames[2] = {
      {zmq_msg_data(&heard->message.frames[0]), zmq_msg_size(&heard->message.frames[0])},
      {bytes, size}};
  cr_assert_eq(pd_bus_send(door, frames, 2), PD_OK);
}

static void forget(struct heard *heard) {
  paidan__v1__command__free_unpacked(heard->command, NULL);
  pd_bus_message_close(&heard->message);
}

static void answer_ack(struct heard *heard) {
  struct pd_reply reply = PD_REPLY_INIT;
  struct pd_ack ack = PD_ACK_INIT;
  ack.id = heard->command->cancel_order->order;
  reply.result_case = PD_REPLY_ACK;
  reply.ack = &ack;
  reply_with(heard, &reply);
}

static void answer_refusal(struct heard *heard, enum pd_code code) {
  struct pd_reply reply = PD_REPLY_INIT;
  struct pd_refusal refusal = PD_REFUSAL_INIT;
  refusal.code = code;
  reply.result_case = PD_REPLY_REFUSAL;
  reply.refusal = &refusal;
  reply_with(heard, &reply);
}

static void turn_until(const char *expected, int wait_ms) {
  for (int i = 0; i < wait_ms && strcmp(answers, expected) != 0; i++) pd_client_turn(client, 1);
  cr_assert_str_eq(answers, expected);
}

Test(client, matches_replies_to_commands_in_any_order) {
  door = bound(ZMQ_ROUTER, door_endpoint);
  given_client(4, 5000);
  cr_assert_eq(say_cancel(1, "a"), PD_OK);
  cr_assert_eq(say_cancel(2, "b"), PD_OK);
  struct heard first = hear(2000), second = hear(2000);
  cr_assert_eq(first.command->shard, SHARD);
  answer_ack(&second);
  turn_until("ack 2\n", 2000);
  answer_refusal(&first, PD_CODE_STATE);
  turn_until("ack 2\nrefusal 6\n", 2000);
  cr_assert_eq(pd_client_pending(client), 0u);
  forget(&first);
  forget(&second);
}

Test(client, takes_no_more_than_the_window) {
  door = bound(ZMQ_ROUTER, door_endpoint);
  given_client(2, 5000);
  cr_assert_eq(say_cancel(1, "a"), PD_OK);
  cr_assert_eq(say_cancel(2, "b"), PD_OK);
  cr_assert_eq(pd_client_room(client), 0u);
  cr_assert_eq(say_cancel(3, "c"), PD_EAGAIN);
  struct heard first = hear(2000);
  answer_ack(&first);
  turn_until("ack 1\n", 2000);
  cr_assert_eq(say_cancel(3, "c"), PD_OK);
  forget(&first);
}

Test(client, sends_the_same_key_again_when_the_door_comes_back) {
  given_client(2, 20000);
  cr_assert_eq(say_cancel(1, "the-key"), PD_OK); /* nobody is there yet */
  for (int i = 0; i < 20; i++) pd_client_turn(client, 5);
  door = bound(ZMQ_ROUTER, door_endpoint);
  struct heard lost = hear(3000);
  cr_assert_not_null(lost.command);
  zmq_close(door); /* dies without an answer */
  for (int i = 0; i < 20; i++) pd_client_turn(client, 5);
  door = bound(ZMQ_ROUTER, door_endpoint);
  struct heard again = hear(6000);
  cr_assert_not_null(again.command);
  cr_assert_str_eq(again.command->key, "the-key");
  answer_ack(&again);
  turn_until("ack 1\n", 2000);
  forget(&lost);
  forget(&again);
}

Test(client, sends_again_when_told_to_retry_and_passes_over_late_answers) {
  door = bound(ZMQ_ROUTER, door_endpoint);
  given_client(2, 5000);
  cr_assert_eq(say_cancel(1, "a"), PD_OK);
  struct heard first = hear(2000);
  answer_refusal(&first, PD_CODE_RETRY);
  struct heard again = hear(2000);
  cr_assert_not_null(again.command);
  answer_ack(&again);
  turn_until("ack 1\n", 2000);
  answer_ack(&first); /* its number is done with */
  for (int i = 0; i < 20; i++) pd_client_turn(client, 2);
  cr_assert_str_eq(answers, "ack 1\n");
  forget(&first);
  forget(&again);
}

Test(client, gives_up_after_its_time) {
  door = bound(ZMQ_ROUTER, door_endpoint);
  given_client(2, 200);
  cr_assert_eq(say_cancel(1, "a"), PD_OK);
  turn_until("down\n", 3000);
}

Test(client, refuses_a_command_that_no_door_takes) {
  static char note[70000];
  door = bound(ZMQ_ROUTER, door_endpoint);
  given_client(2, 200);
  struct pd_command command = PD_COMMAND_INIT;
  struct pd_place_order body = PD_PLACE_ORDER_INIT;
  memset(note, 'x', sizeof note - 1);
  body.note = note;
  command.body_case = PD_COMMAND_PLACE_ORDER;
  command.place_order = &body;
  cr_assert_eq(pd_client_send(client, &command, on_answer, NULL), PD_EBOUNDS);
  cr_assert_eq(pd_client_pending(client), 0u);
}

Test(client, may_be_turned_by_a_loop) {
  uv_loop_t loop;
  cr_assert_eq(uv_loop_init(&loop), 0);
  door = bound(ZMQ_ROUTER, door_endpoint);
  given_client(2, 5000);
  cr_assert_eq(pd_client_attach(client, &loop), PD_OK);
  cr_assert_eq(say_cancel(1, "a"), PD_OK);
  struct heard first = hear(2000);
  answer_ack(&first);
  for (int i = 0; i < 2000 && answers[0] == '\0'; i++) uv_run(&loop, UV_RUN_ONCE);
  cr_assert_str_eq(answers, "ack 1\n");
  forget(&first);
  pd_client_close(client);
  client = NULL;
  while (uv_run(&loop, UV_RUN_DEFAULT) != 0) continue;
  cr_assert_eq(uv_loop_close(&loop), 0);
}

/* ---- the subscriber ---- */

static void on_event(void *context, const struct pd_event *event, const uint8_t *bytes,
                     size_t size) {
  size_t used = strlen(answers);
  (void)context, (void)bytes, (void)size;
  snprintf(answers + used, sizeof answers - used, "%llu ", (unsigned long long)event->seq);
}

static void on_gap(void *context, enum pd_log log, uint64_t from, uint64_t to) {
  size_t used = strlen(answers);
  (void)context, (void)log;
  snprintf(answers + used, sizeof answers - used, "gap %llu-%llu ", (unsigned long long)from,
           (unsigned long long)to);
}

static void publish(uint64_t first, uint64_t last) {
  static uint8_t memory[4096];
  struct pd_packer packer;
  struct pd_packed packed;
  pd_packer_init(&packer, memory, sizeof memory);
  for (uint64_t seq = first; seq <= last; seq++) {
    struct pd_event event = PD_EVENT_INIT;
    struct pd_order_staffed body = PD_ORDER_STAFFED_INIT;
    body.order = seq;
    event.log = PD_LOG_MATCHING;
    event.seq = seq;
    event.shard = SHARD;
    event.body_case = PD_EVENT_ORDER_STAFFED;
    event.order_staffed = &body;
    pd_pack_event(&packer, &event);
  }
  struct pd_entry_head head = {
      .shard = SHARD, .log = PD_LOG_MATCHING, .epoch = 1, .first_seq = first, .last_seq = last};
  pd_pack_end(&packer, &head, &packed);
  const char *topic = "@110105/matching";
  struct pd_frame frames[3] = {
      {topic, strlen(topic)}, {packed.bytes, packed.size}, {packed.hash.bytes, PD_HASH_BYTES}};
  cr_assert_eq(pd_bus_send(publisher, frames, 3), PD_OK);
}

static void publish_tip(uint64_t last) {
  uint8_t bytes[64];
  struct pd_tip tip = PD_TIP_INIT;
  tip.shard = SHARD;
  tip.log = PD_LOG_MATCHING;
  tip.last_seq = last;
  const char *topic = "@110105/matching/tip";
  struct pd_frame frames[2] = {{topic, strlen(topic)}, {bytes, paidan__v1__tip__pack(&tip, bytes)}};
  cr_assert_eq(pd_bus_send(publisher, frames, 2), PD_OK);
}

Test(client, subscriber_hands_on_events_in_order_and_names_gaps) {
  struct pd_subscriber *subscriber = NULL;
  struct pd_subscriber_calls calls = {.event = on_event, .gap = on_gap};
  publisher = bound(ZMQ_PUB, pub_endpoint);
  cr_assert_eq(pd_subscriber_open(&subscriber, zmq, SHARD, &calls), PD_OK);
  cr_assert_eq(pd_subscriber_connect(subscriber, pub_endpoint), PD_OK);
  pd_subscriber_expect(subscriber, PD_LOG_MATCHING, 3);
  usleep(300000); /* a subscription has no acknowledgement */
  publish(1, 4);  /* 1 and 2 are passed over */
  publish(3, 5);  /* a repeat, and one more */
  publish(8, 8);  /* 6 and 7 were lost */
  publish_tip(8);
  publish_tip(10); /* 9 and 10 were lost at the end */
  publish(9, 11);
  for (int i = 0; i < 100; i++) pd_subscriber_turn(subscriber, 5);
  cr_assert_str_eq(answers, "3 4 5 gap 6-7 8 gap 9-10 11 ");
  pd_subscriber_close(subscriber);
}
