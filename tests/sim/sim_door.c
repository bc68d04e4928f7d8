/* The doors: what services/intake/door.c does for a command, and the clients before it, who write
 * down what they sent and what they were told. */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_MAX 65536
#define RETRY_US (2 * SIM_SECOND)

static const char *door_name(enum pd_role role) {
  if (role == PD_ROLE_RESIDENT) return "resident";
  if (role == PD_ROLE_VOLUNTEER) return "volunteer";
  return role == PD_ROLE_SITE ? "site" : "ops";
}

/* ---- clients ---- */

static void arrive(struct sim *sim, const struct sim_occurrence *now) {
  if (sim_daemon_absent(sim, now)) return;
  sim_daemon_command(sim, &sim->daemons[now->who], (uint32_t)now->a);
}

static void send_one(struct sim *sim, uint32_t command, int64_t in_us) {
  sim->commands[command].sent++;
  uint32_t first = PD_LOG_INTAKE - 1, second = first + PD_LOGS - 1;
  bool both = sim->daemons[first].up && sim->daemons[second].up;
  uint32_t to =
      both ? (sim_odds(&sim->rng, 2) ? first : second) : (sim->daemons[second].up ? second : first);
  struct sim_occurrence *next = sim_later(sim, in_us + sim_between(&sim->rng, 20, 2000), arrive);
  next->who = to;
  next->life = sim->daemons[to].life;
  next->a = command;
}

/* The same again, as long as there is no answer that settles it. */
static void try_again(struct sim *sim, const struct sim_occurrence *now) {
  struct sim_command *command = &sim->commands[now->a];
  if (command->answer != SIM_OPEN) return;
  if (command->tries >= command->tries_max) {
    command->answer = SIM_GIVEN_UP;
    return;
  }
  command->tries++;
  send_one(sim, (uint32_t)now->a, 0);
  if (sim_on(sim, SIM_RETRY) && sim_odds(&sim->rng, 30)) { /* impatient: many at once */
    for (int i = 0; i < 9; i++) send_one(sim, (uint32_t)now->a, i * 300 * SIM_MS);
  }
  int64_t pause = sim->story ? 60 * SIM_SECOND : RETRY_US * command->tries;
  sim_later(sim, pause, try_again)->a = now->a;
}

static struct pd_id short_hash(const void *bytes, size_t size) {
  struct pd_id id;
  uint64_t one = sim_hash(1, bytes, size), two = sim_hash(2, bytes, size);
  memcpy(id.bytes, &one, 8);
  memcpy(id.bytes + 8, &two, 8);
  return id;
}

/* What the door hashes: key within principal, and the body without what a retry may change. */
static void hash_command(struct sim_command *command, const struct pd_command *said) {
  static uint8_t scratch[COMMAND_MAX];
  char key[160];
  int length = snprintf(key, sizeof key, "%s|%s", command->principal, said->key);
  command->key = short_hash(key, (size_t)length);
  struct pd_command body = *said;
  body.key = (char *)"";
  body.request = 0;
  body.seen = NULL;
  size_t size = protobuf_c_message_get_packed_size(&body.base);
  pd_assert(size <= sizeof scratch);
  protobuf_c_message_pack(&body.base, scratch);
  command->body = short_hash(scratch, size);
}

static struct sim_command *new_command(struct sim *sim, const struct sim_said *said) {
  sim->commands =
      sim_grow(sim->commands, sim->command_count, &sim->command_room, sizeof *sim->commands);
  struct sim_command *command = &sim->commands[sim->command_count++];
  *command = (struct sim_command){.number = sim->command_count,
                                  .role = said->role,
                                  .tries_max = said->tries > 0 ? said->tries : 10,
                                  .of = said->of,
                                  .then = said->then,
                                  .about = said->about};
  snprintf(command->principal, sizeof command->principal, "%s/uid:%u", door_name(said->role),
           said->uid);
  sim->stats.commands++;
  return command;
}

uint32_t sim_say(struct sim *sim, const struct sim_said *said, pd_command_kind kind,
                 const void *body) {
  struct sim_command *command = new_command(sim, said);
  uint32_t number = (uint32_t)command->number - 1;
  char key[40];
  snprintf(key, sizeof key, "k-%u", said->of > 0 ? said->of - 1 : number);
  struct pd_command message = PD_COMMAND_INIT;
  struct pd_id actor = said->actor;
  message.shard = SIM_SHARD;
  message.key = key;
  message.request = number;
  if (!pd_id_is_zero(&actor)) message.actor = pd_bytes(&actor);
  message.seen = said->seen;
  message.body_case = kind;
  memcpy(&message.register_site, &body, sizeof body); /* a union of pointers */
  hash_command(command, &message);
  command->kind = kind;
  command->size = protobuf_c_message_get_packed_size(&message.base);
  uint8_t *bytes = sim_keep(sim, command->size);
  protobuf_c_message_pack(&message.base, bytes);
  command->bytes = bytes;
  sim_later(sim, 0, try_again)->a = number;
  return number;
}

/* ---- the door ---- */

static bool was_seen(const struct pd_turn *turn, const struct pd_position *seen) {
  if (seen == NULL) return true;
  if (seen->log == PD_LOG_INTAKE) return seen->seq <= turn->out.last_seq;
  if ((unsigned)seen->log >= PD_LOGS) return false;
  return seen->seq < turn->inputs[seen->log].next;
}

static struct pd_sealed sealed(const struct pd_id *record) {
  static uint8_t box[41] = "24 bytes of nonce, a tag, and one byte.";
  struct pd_sealed made = PD_SEALED_INIT;
  made.record = pd_bytes(record);
  made.box = (ProtobufCBinaryData){.len = sizeof box, .data = box};
  return made;
}

static struct pd_id random_id(struct sim *sim) {
  struct pd_id id;
  uint64_t one = pd_rng_next(&sim->rng), two = pd_rng_next(&sim->rng);
  memcpy(id.bytes, &one, 8);
  memcpy(id.bytes + 8, &two, 8);
  return id;
}

static void answer(struct sim *sim, const struct sim_occurrence *now);

bool sim_door_hand(struct sim *sim, struct sim_daemon *daemon, uint32_t number) {
  static uint8_t memory[1 << 20] __attribute__((aligned(16)));
  struct sim_command *command = &sim->commands[number];
  struct pd_arena arena;
  pd_arena_init(&arena, memory, sizeof memory);
  const struct pd_command *said = (const struct pd_command *)pd_unpack_checked(
      &arena, &pd_command_descriptor, command->bytes, command->size);
  bool ready = true;
  if (said != NULL) {
    ready = was_seen(&daemon->turn, said->seen);
    struct pd_id records[3] = {random_id(sim), random_id(sim), random_id(sim)};
    struct pd_sealed boxes[3] = {sealed(&records[0]), sealed(&records[1]), sealed(&records[2])};
    struct pd_request request = {.command = said,
                                 .principal = command->principal,
                                 .role = command->role,
                                 .key = command->key,
                                 .body = command->body,
                                 .fresh = random_id(sim),
                                 .contact = &boxes[0],
                                 .place = &boxes[1],
                                 .note = &boxes[2]};
    if (ready) pd_turn_command(&daemon->turn, &request, number);
  } else {
    command->answer = SIM_REFUSED; /* malformed: the door itself says so */
    command->code = PD_CODE_MALFORMED;
  }
  pd_arena_reset(&arena);
  return ready;
}

/* ---- answers ---- */

struct told {
  uint64_t request, seq, id, formed;
  struct pd_id person;
  enum pd_code code; /* 0: granted */
  bool duplicate, stale;
};

static void deliver(struct sim *sim, struct sim_daemon *daemon, const struct told *what) {
  if (sim_on(sim, SIM_BREAK) && sim_odds(&sim->rng, 100)) return; /* the answer is lost */
  struct told *told = sim_keep(sim, sizeof *told);
  *told = *what;
  told->formed = ++sim->numbers;
  const struct sim_daemon *leader = sim_leader(sim, PD_LOG_INTAKE);
  const struct sim_log *log = &sim->logs[PD_LOG_INTAKE];
  uint64_t tip = log->count > 0 ? log->entries[log->count - 1].epoch : 0;
  told->stale = leader != daemon || tip > daemon->turn.writer.epoch;
  int64_t late = sim_on(sim, SIM_LATE) && sim_odds(&sim->rng, 50) ? 5000 * SIM_MS : 1000;
  sim_later(sim, sim_between(&sim->rng, 20, late), answer)->data = told;
}

static void take_ack(struct sim *sim, struct sim_command *command, const struct told *told) {
  if (command->acks++ == 0) {
    command->seq = told->seq;
    command->id = told->id;
    command->person = told->person;
    command->granted = told->formed;
  }
  if (command->granted > told->formed) command->granted = told->formed;
  bool same = command->seq == told->seq && command->id == told->id &&
              pd_id_equal(&command->person, &told->person);
  sim_expect(sim, same, "P2 command %llu got two answers: seq %llu and %llu",
             (unsigned long long)command->number, (unsigned long long)command->seq,
             (unsigned long long)told->seq);
}

static void answer(struct sim *sim, const struct sim_occurrence *now) {
  const struct told *told = now->data;
  pd_assert(told->request < sim->command_count);
  struct sim_command *command = &sim->commands[told->request];
  bool first = command->answer == SIM_OPEN || command->answer == SIM_GIVEN_UP;
  if (told->code == 0) {
    take_ack(sim, command, told);
    command->answer = SIM_ACKED;
    if (first && command->then != NULL) command->then(sim, (uint32_t)told->request, true);
    return;
  }
  sim->stats.refusals++;
  bool before = command->acks == 0 || told->formed < command->granted;
  sim_expect(sim, told->stale || before || told->code == PD_CODE_RETRY,
             "P2 command %llu was granted, and then refused with code %d",
             (unsigned long long)command->number, (int)told->code);
  if (told->stale) command->spoiled = true;
  command->code = told->code;
  if (told->code == PD_CODE_RETRY || !first) return;
  command->answer = SIM_REFUSED;
  if (command->then != NULL) command->then(sim, (uint32_t)told->request, false);
}

void sim_door_retry(struct sim *sim, struct sim_daemon *daemon, uint32_t command) {
  deliver(sim, daemon, &(struct told){.request = command, .code = PD_CODE_RETRY});
}

void sim_door_reply(struct sim *sim, struct sim_daemon *daemon, uint64_t token,
                    const uint8_t *bytes, size_t size) {
  static uint8_t memory[16 << 10] __attribute__((aligned(16)));
  struct pd_arena arena;
  pd_arena_init(&arena, memory, sizeof memory);
  const struct pd_reply *reply =
      (const struct pd_reply *)pd_unpack_checked(&arena, &pd_reply_descriptor, bytes, size);
  sim_expect(sim, reply != NULL, "a reply cannot be unpacked");
  sim_expect(sim, reply->request == token, "the answer to another command came");
  struct told told = {.request = token};
  if (reply->result_case == PD_REPLY_ACK) {
    told.seq = reply->ack->position->seq;
    told.id = reply->ack->id;
    told.person = PD_ID(reply->ack->person);
    told.duplicate = reply->ack->duplicate;
    sim_expect(sim, told.seq <= sim_store_last(sim, PD_LOG_INTAKE),
               "P1 an ack left before its event was committed");
  } else {
    told.code = reply->refusal->code;
    bool said = reply->refusal->rule[0] != 0 && reply->refusal->next[0] != 0;
    sim_expect(sim, told.code != 0 && said, "a refusal says nothing");
  }
  deliver(sim, daemon, &told);
  pd_arena_reset(&arena);
}
