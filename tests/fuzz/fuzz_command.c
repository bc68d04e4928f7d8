/* Any frames at intake's doors, before the real door and a whole district: every message is
 * answered once, every reply is well formed and leaves after its commit, and all five cores agree
 * with a replay of their logs.
 *
 * Records, by tag % 8:
 *     0 .. 4   a Command at that door; tag / 8: the roles that the edge's door vouches for, and
 *              odd: a REQ socket's delimiter
 *     5        by its first byte: time passes, commits go wrong, the vault goes away
 *     6        a message of any frames: door, then length and bytes of each
 * A tag of 128 and more: the district rests until later.
 */
#include "common/base/err.h"
#include "common/io/journal.h"
#include "services/intake/door_parts.h"
#include "services/intake/intake_core.h"
#include "tests/fuzz/district.h"
#include "tests/fuzz/fake_bus.h"
#include "tests/fuzz/fake_shell.h"
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <string.h>

#define MESSAGES_MAX 4096
#define PATIENCE_MS 20000 /* longer than any command waits */
#define ARENA_SIZE ((size_t)8 << 20)

static struct doors *doors;
static struct door *door;
static bool answered[MESSAGES_MAX];
static uint32_t said, replies; /* messages put in that have an identity, and answers */
static uint64_t people;
static bool away;

static uint8_t arena_memory[ARENA_SIZE];
static struct pd_arena arena;

static void on_reply(void *context, uint64_t token, const uint8_t *bytes, size_t size) {
  (void)context;
  door_reply(door, token, bytes, size);
}
static void on_emitted(void *context, const struct pd_event *event) {
  (void)context;
  door_emitted(door, event);
}
static void on_committed(void *context, const struct pd_packed *packed) {
  (void)context;
  door_committed(door, packed);
}

/* What the door sends: the identity that the message had, an echo, the reply. */
static void on_sent(const struct pd_frame *frames, size_t count) {
  uint32_t number;
  pd_assert((count == 2 || count == 3) && frames[0].size == sizeof number);
  memcpy(&number, frames[0].data, sizeof number);
  pd_assert(number < said && !answered[number]);
  answered[number] = true;
  replies++;
  pd_arena_reset(&arena);
  const struct pd_reply *reply = (const struct pd_reply *)pd_unpack_checked(
      &arena, &pd_reply_descriptor, frames[count - 1].data, frames[count - 1].size);
  pd_assert(reply != NULL && reply->result_case != PD_REPLY_NOT_SET);
  if (reply->result_case == PD_REPLY_ACK) {
    pd_assert(reply->ack->position->log == PD_LOG_INTAKE);
    pd_assert(reply->ack->position->seq <= fuzz_district_turn(PD_LOG_INTAKE)->writer.seq);
  } else {
    pd_assert(reply->refusal->rule[0] != 0 && reply->refusal->next[0] != 0);
    pd_assert(reply->refusal->code != PD_CODE_UNSPECIFIED && reply->refusal->zh[0] != 0);
  }
}

static void settle(void) {
  fake_vault_answer(away);
  door_round(door);
  fuzz_district_settle();
}

/* A command that registers somebody gets the next person's id. */
static void expect_person(const uint8_t *bytes, size_t size) {
  pd_arena_reset(&arena);
  const struct pd_command *command = (const struct pd_command *)pd_unpack_checked(
      &arena, &pd_command_descriptor, bytes, size);
  bool registers = command != NULL && (command->body_case == PD_COMMAND_REGISTER_VOLUNTEER ||
                                       command->body_case == PD_COMMAND_REGISTER_RESIDENT);
  fake_random_person(registers ? ++people : 0);
}

static void put(uint32_t socket, const struct pd_frame *frames, size_t count) {
  static struct pd_frame all[PD_BUS_FRAMES];
  if (said == MESSAGES_MAX || count + 1 > PD_BUS_FRAMES) return;
  uint32_t number = said++;
  all[0] = (struct pd_frame){&number, sizeof number};
  if (count > 0) memcpy(all + 1, frames, count * sizeof *frames);
  if (count > 0) expect_person(frames[count - 1].data, frames[count - 1].size);
  if (count == 0) answered[number] = true, replies++; /* nothing that could be answered */
  if (!pd_turn_open(fuzz_district_turn(PD_LOG_INTAKE))) settle(); /* it waits at the socket */
  fake_bus_put(all, count + 1);
  fake_bus_ready(doors->sockets[socket].socket);
}

static void say_command(const struct fuzz_record *record) {
  uint32_t socket = record->tag % 8;
  uint8_t more = record->tag / 8 % 16;
  uint8_t roles = (uint8_t)(more + 1);
  struct pd_frame frames[4] = {{"", 0}, {record->bytes, record->size}};
  if (socket == 4) {
    frames[0] = (struct pd_frame){"12345678", 8};
    frames[1] = (struct pd_frame){"key-of-b", 8};
    frames[2] = (struct pd_frame){&roles, 1};
    frames[3] = (struct pd_frame){record->bytes, record->size};
    put(socket, frames, 4);
  } else if (more % 2 == 1) {
    put(socket, frames, 2);
  } else {
    put(socket, frames + 1, 1);
  }
}

static void say_frames(const struct fuzz_record *record) {
  struct pd_frame frames[PD_BUS_FRAMES];
  size_t count = 0, at = 1;
  while (at < record->size && count < PD_BUS_FRAMES - 1) {
    size_t size = record->bytes[at++];
    if (size > record->size - at) size = record->size - at;
    frames[count++] = (struct pd_frame){record->bytes + at, size};
    at += size;
  }
  if (record->size == 0) {
    fake_bus_put(NULL, PD_BUS_FRAMES + 1); /* too many frames: counted and dropped */
    fake_bus_ready(doors->sockets[0].socket);
    return;
  }
  put(record->bytes[0] % DOORS, frames, count);
}

static void control(const struct fuzz_record *record) {
  if (record->size < 2) return;
  uint8_t more = record->bytes[1];
  switch (record->bytes[0] % 4) {
  case 0:
    fake_shell_wait(UINT64_C(1) << more % 14);
    fuzz_district_wait(INT64_C(1) << more % 32);
    break;
  case 1: fuzz_district_faults((uint32_t)more * 257); break;
  case 2: away = more % 2; break;
  default: break;
  }
}

static void start(void) {
  static const struct pd_turn_hooks hooks = {
      .reply = on_reply, .emitted = on_emitted, .committed = on_committed};
  fake_random_reset();
  fake_vault_reset();
  pd_arena_init(&arena, arena_memory, sizeof arena_memory);
  memset(answered, 0, said * sizeof *answered);
  said = replies = 0;
  people = 0;
  away = false;
  fuzz_district_start(&hooks);
  if (door == NULL) {
    pd_journal_init("fuzz", FUZZ_SHARD, PD_LEVEL_ERROR, open("/dev/null", O_WRONLY | O_CLOEXEC));
    struct pd_seat *seat = fake_seat(fuzz_district_turn(PD_LOG_INTAKE));
    enum pd_err err = doors_open(pd_seat_shell(seat), &doors);
    fake_shell_shared(doors);
    if (err == PD_OK) err = door_open(seat, &door);
    pd_assert(err == PD_OK);
    fake_seat_context(door);
    fake_bus_sends_to(on_sent);
  }
  door_rest(door);
  door_lead(door);
  settle();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fuzz_record record;
  start();
  for (size_t at = 0; fuzz_next(data, size, &at, &record);) {
    uint8_t what = record.tag % 8;
    if (what < DOORS) say_command(&record);
    if (what == 5) control(&record);
    if (what == 6) say_frames(&record);
    if (record.tag < 128) settle();
  }
  away = false;
  for (int i = 0; i < 3; i++) {
    fake_shell_wait(PATIENCE_MS);
    settle();
  }
  pd_assert(door->waiting_count == 0 && doors->tokens_used == 0);
  pd_assert(replies == said);
  fuzz_district_end();
  pd_arena_reset(&arena);
  return 0;
}

/* ---- making inputs ---- */

const ProtobufCMessageDescriptor *fuzz_type(uint8_t tag) {
  return tag % 8 < DOORS ? &pd_command_descriptor : NULL;
}

uint8_t fuzz_tag(struct pd_rng *rng) { return (uint8_t)pd_rng_below(rng, 256); }

struct story {
  struct pd_rng rng;
  uint8_t *data;
  size_t size, max;
  uint32_t keys;
};

/* A command of this kind, at this door, for this person (0: nobody), all else as it comes.  Later
 * fields win, so what must be so is appended. */
static void tell(struct story *story, uint8_t where, uint64_t actor, uint32_t kind) {
  static uint8_t bytes[8192];
  size_t size = fuzz_make_kind(&story->rng, &pd_command_descriptor, kind, bytes, 4096);
  char key[16];
  struct pd_id person = fuzz_person(actor);
  struct pd_command fixed = PD_COMMAND_INIT;
  snprintf(key, sizeof key, "k%u", ++story->keys);
  fixed.key = key;
  fixed.shard = FUZZ_SHARD;
  if (actor != 0) fixed.actor = pd_bytes(&person);
  size += protobuf_c_message_pack(&fixed.base, bytes + size);
  story->size = fuzz_put(story->data, story->size, story->max, where, bytes, size);
}

/* A command as it is, with the next key. */
static void tell_exactly(struct story *story, uint8_t where, uint64_t actor,
                         struct pd_command *command) {
  uint8_t bytes[1024];
  char key[16];
  struct pd_id person = fuzz_person(actor);
  snprintf(key, sizeof key, "k%u", ++story->keys);
  command->shard = FUZZ_SHARD;
  command->key = key;
  if (actor != 0) command->actor = pd_bytes(&person);
  size_t size = protobuf_c_message_pack(&command->base, bytes);
  story->size = fuzz_put(story->data, story->size, story->max, where, bytes, size);
}

static struct pd_point a_point(int step) {
  struct pd_point point = PD_POINT_INIT;
  point.datum = PD_DATUM_WGS84;
  point.lon_e7 = FUZZ_LON_E7 + 30000 * step;
  point.lat_e7 = FUZZ_LAT_E7 + 20000 * step;
  return point;
}

static void tell_site(struct story *story, const char *ref, const char *parent, int level) {
  struct pd_command command = PD_COMMAND_INIT;
  struct pd_register_site body = PD_REGISTER_SITE_INIT;
  struct pd_point point = a_point(level);
  body.ref = (char *)ref;
  body.parent_ref = (char *)parent;
  body.name = (char *)"站";
  body.level = (enum pd_site_level)level;
  body.point = &point;
  command.body_case = PD_COMMAND_REGISTER_SITE;
  command.register_site = &body;
  tell_exactly(story, 2, 0, &command);
}

static void tell_volunteer(struct story *story, int number) {
  struct pd_command command = PD_COMMAND_INIT;
  struct pd_register_volunteer body = PD_REGISTER_VOLUNTEER_INIT;
  struct pd_point home = a_point(number);
  uint32_t always[7] = {0xffffff, 0xffffff, 0xffffff, 0xffffff, 0xffffff, 0xffffff, 0xffffff};
  body.name = (char *)"志愿者";
  body.phone = (char *)"13800000001";
  body.home = &home;
  body.available = always;
  body.n_available = 7;
  body.radius_m = 20000;
  body.max_per_week = 9;
  body.age = PD_AGE_BAND_36_59;
  command.body_case = PD_COMMAND_REGISTER_VOLUNTEER;
  command.register_volunteer = &body;
  tell_exactly(story, 2, 0, &command);
}

static void tell_order(struct story *story, int number) {
  struct pd_command command = PD_COMMAND_INIT;
  struct pd_place_order body = PD_PLACE_ORDER_INIT;
  struct pd_point point = a_point(number % 3);
  struct pd_id requester = fuzz_person(6);
  body.requester = pd_bytes(&requester);
  body.kind = PD_ORDER_KIND_VISIT;
  body.category = (char *)"elder_escort";
  body.note = (char *)"陪诊";
  body.point = &point;
  body.need = 1 + (uint32_t)number % 3;
  body.window_start_ms = FUZZ_START_MS + (2 + number) * INT64_C(3600000);
  body.window_end_ms = body.window_start_ms + 5 * INT64_C(3600000);
  body.minutes = 60;
  body.urgency = (enum pd_urgency)(1 + number % 4);
  body.channel = PD_CHANNEL_PHONE;
  command.body_case = PD_COMMAND_PLACE_ORDER;
  command.place_order = &body;
  tell_exactly(story, number % 2 ? 0 : 2, 6, &command);
}

static void tell_answer(struct story *story, uint64_t offer, uint64_t volunteer) {
  struct pd_command command = PD_COMMAND_INIT;
  struct pd_answer_offer body = PD_ANSWER_OFFER_INIT;
  body.offer = offer;
  body.accept = pd_rng_below(&story->rng, 4) > 0;
  command.body_case = PD_COMMAND_ANSWER_OFFER;
  command.answer_offer = &body;
  tell_exactly(story, 1, volunteer, &command);
}

/* A district that lives: sites, people, orders, answers from everybody to every offer, and what
 * follows; each seed with other dice. */
size_t fuzz_seed(uint32_t index, uint8_t *data, size_t max) {
  struct story story = {.data = data, .max = max < 12000 ? max : 12000};
  static const uint32_t later[] = {PD_COMMAND_START_SERVICE,   PD_COMMAND_START_SERVICE,
                                   PD_COMMAND_FINISH_SERVICE,  PD_COMMAND_FINISH_SERVICE,
                                   PD_COMMAND_CONFIRM_SERVICE, PD_COMMAND_CONFIRM_SERVICE,
                                   PD_COMMAND_RATE_ORDER,      PD_COMMAND_CANCEL_ORDER,
                                   PD_COMMAND_WITHDRAW,        PD_COMMAND_PAUSE_VOLUNTEER,
                                   PD_COMMAND_RESUME_VOLUNTEER, PD_COMMAND_EXIT_VOLUNTEER,
                                   PD_COMMAND_DECIDE_HOLD,     PD_COMMAND_ERASE_PERSON};
  if (index >= 6) return 0;
  pd_rng_seed(&story.rng, index + 7);
  tell_site(&story, "S0", "", 1);
  tell_site(&story, "S1", "S0", 2);
  tell_site(&story, "S2", "S1", 3);
  tell(&story, 2, 0, PD_COMMAND_REGISTER_TEAM);
  for (int i = 1; i < 5; i++) tell_volunteer(&story, i);
  tell(&story, 2, 0, PD_COMMAND_REGISTER_VOLUNTEER);
  for (int i = 0; i < 2; i++) tell(&story, 2, 0, PD_COMMAND_REGISTER_RESIDENT);
  for (int i = 0; i < 4; i++) tell_order(&story, i);
  tell(&story, 2, 0, PD_COMMAND_PLACE_ORDER);
  for (uint64_t i = 0; i < 40; i++) tell_answer(&story, 1 + i / 5, 1 + i % 5);
  for (size_t i = 0; i < 3 * sizeof later / sizeof *later; i++) {
    uint8_t wait[] = {0, (uint8_t)(18 + pd_rng_below(&story.rng, 6))};
    uint32_t kind = later[i / 3];
    tell(&story, kind == PD_COMMAND_RATE_ORDER ? 0 : 2, 6, kind);
    if (i % 4 == 0) story.size = fuzz_put(data, story.size, story.max, 5, wait, sizeof wait);
  }
  return story.size;
}
