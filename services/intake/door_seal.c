/* Personal texts leave the clear here: what a command says of a person is sealed before the core
 * sees it. */
#include "services/intake/door_parts.h"
#include "services/intake/intake_core.h"

#include <string.h>

static const struct door_refusal key_gone = {
    .code = PD_CODE_STATE,
    .field = "",
    .rule = "the person's key exists",
    .next = "the person was erased: register anew",
    .zh = "此人的资料已被删除，请重新登记。",
};

static const struct door_refusal key_not_made = {
    .code = PD_CODE_RETRY,
    .field = "",
    .rule = "the vault can write",
    .next = "send the same command again, with the same key, later",
    .zh = "系统繁忙，请稍后重试。",
};

/* The order in which a command's texts are sealed, and under whose key. */
struct texts {
  struct pd_id person;
  bool fresh; /* the command registers this person */
  const struct pd_personal_contact *contact;
  const struct pd_personal_place *place;
  const struct pd_personal_note *note;
};

static const struct pd_personal_contact *contact_of(struct door *door, char *name, char *phone) {
  struct pd_personal_contact *contact = pd_arena_alloc(&door->arena, sizeof *contact);
  *contact = (struct pd_personal_contact)PD_PERSONAL_CONTACT_INIT;
  contact->name = name;
  contact->phone = phone;
  return contact;
}

static const struct pd_personal_place *place_of(struct door *door, char *address,
                                                const struct pd_point *point) {
  struct pd_lonlat at = {0, 0};
  if (point != NULL && !intake_place_of(point, &at)) point = NULL;
  if (point == NULL && address[0] == 0) return NULL;
  struct pd_personal_place *place = pd_arena_alloc(&door->arena, sizeof *place);
  *place = (struct pd_personal_place)PD_PERSONAL_PLACE_INIT;
  place->address = address;
  place->lon_e7 = at.lon_e7;
  place->lat_e7 = at.lat_e7;
  return place;
}

static const struct pd_personal_note *note_of(struct door *door, char *text) {
  if (text[0] == 0) return NULL;
  struct pd_personal_note *note = pd_arena_alloc(&door->arena, sizeof *note);
  *note = (struct pd_personal_note)PD_PERSONAL_NOTE_INIT;
  note->text = text;
  return note;
}

/* Which texts does the command have?  Most have none. */
static struct texts texts_of(struct door *door, const struct door_command *command,
                             const struct pd_command *said) {
  struct texts texts = {.person = command->fresh};
  if (said->body_case == PD_COMMAND_REGISTER_VOLUNTEER) {
    const struct pd_register_volunteer *body = said->register_volunteer;
    texts.fresh = true;
    texts.contact = contact_of(door, body->name, body->phone);
    texts.place = place_of(door, body->address, body->home);
  } else if (said->body_case == PD_COMMAND_REGISTER_RESIDENT) {
    const struct pd_register_resident *body = said->register_resident;
    texts.fresh = true;
    texts.contact = contact_of(door, body->name, body->phone);
    texts.place = place_of(door, body->address, body->home);
  } else if (said->body_case == PD_COMMAND_PLACE_ORDER) {
    texts.person = PD_ID(said->place_order->requester);
    texts.place = place_of(door, said->place_order->address, said->place_order->point);
    texts.note = note_of(door, said->place_order->note);
  } else if (said->body_case == PD_COMMAND_COMMAND_OFFER) {
    texts.person = PD_ID(said->command_offer->volunteer);
    texts.note = note_of(door, said->command_offer->note);
  } else if (said->body_case == PD_COMMAND_RATE_ORDER) {
    texts.person = PD_ID(said->actor);
    texts.note = note_of(door, said->rate_order->comment);
  }
  return texts;
}

static struct pd_sealed *seal(struct door *door, const uint8_t *key, const struct pd_id *person,
                              const char *field, const ProtobufCMessage *message) {
  if (message == NULL) return NULL;
  size_t size = protobuf_c_message_get_packed_size(message);
  uint8_t *plain = pd_arena_alloc(&door->arena, size + 1);
  uint8_t *box = pd_arena_alloc(&door->arena, size + PD_SEAL_EXTRA);
  struct pd_id *record = pd_arena_alloc(&door->arena, sizeof *record);
  struct pd_sealed *sealed = pd_arena_alloc(&door->arena, sizeof *sealed);
  protobuf_c_message_pack(message, plain);
  *record = pd_seal_fresh_id();
  struct pd_seal_place where = {.shard = pd_seat_turn(door->seat)->config.shard.code,
                                .person = *person};
  where.record = *record;
  where.field = field;
  enum pd_err err = pd_seal(key, &where, plain, size, box);
  pd_assert(err == PD_OK); /* a command is far below the limit of a box */
  *sealed = (struct pd_sealed)PD_SEALED_INIT;
  sealed->record = pd_bytes(record);
  sealed->box = (ProtobufCBinaryData){.len = size + PD_SEAL_EXTRA, .data = box};
  return sealed;
}

void door_ask(struct door *door, struct door_command *command, const struct pd_command *said,
              pd_vault_fn *done) {
  struct texts texts = texts_of(door, command, said);
  command->asked = pd_vault_key(door->vault, &texts.person, texts.fresh, done, command) == PD_OK;
}

enum door_wait door_seal(struct door *door, struct door_command *command,
                         struct pd_request *request, const struct door_refusal **refusal) {
  const void *core = pd_seat_turn(door->seat)->self;
  struct texts texts = texts_of(door, command, request->command);
  if (texts.contact == NULL && texts.place == NULL && texts.note == NULL) return DOOR_WAIT_NONE;
  if (intake_knows_key(core, &request->key)) return DOOR_WAIT_NONE; /* answered from memory */
  if (!texts.fresh && !intake_knows_person(core, &texts.person))
    return DOOR_WAIT_NONE; /* will be refused */
  const uint8_t *key = pd_vault_cached(door->vault, &texts.person);
  if (key == NULL && command->keyless) *refusal = texts.fresh ? &key_not_made : &key_gone;
  if (key == NULL) return command->keyless ? DOOR_WAIT_NONE : DOOR_WAIT_VAULT;
  const char *home = texts.fresh ? "home" : "place";
  request->contact =
      seal(door, key, &texts.person, "contact", texts.contact ? &texts.contact->base : NULL);
  request->place = seal(door, key, &texts.person, home, texts.place ? &texts.place->base : NULL);
  const char *note = request->command->body_case == PD_COMMAND_RATE_ORDER ? "comment" : "note";
  request->note = seal(door, key, &texts.person, note, texts.note ? &texts.note->base : NULL);
  return DOOR_WAIT_NONE;
}
