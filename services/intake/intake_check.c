#include "services/intake/intake_check.h"

#include "common/base/err.h"
#include "common/base/utf8.h"

#include <string.h>

/* How far beyond its outermost sites a district reaches. */
#define MARGIN_M 5000.0

bool intake_refuse(const struct intake_call *call, enum intake_refusal refusal, const char *field) {
  const struct intake_words *words = intake_words_of(refusal);
  const char *where = field != NULL ? field : words->field;
  pd_assert(where != NULL);
  pd_refuse(call->out, words->code, where, words->rule, words->next, words->zh);
  return false;
}

bool intake_require(const struct intake_call *call, bool holds, enum intake_refusal refusal,
                    const char *field) {
  pd_assert((unsigned)refusal < INTAKE_REFUSALS);
  return holds || intake_refuse(call, refusal, field);
}

static bool check_text_bytes(const struct intake_call *call, const char *text, size_t length,
                             enum intake_refusal refusal, const char *field) {
  pd_assert(text != NULL);
  if (pd_utf8_valid(text, length)) return true;
  const struct intake_words *words = intake_words_of(refusal);
  pd_refuse(call->out, PD_CODE_MALFORMED, field != NULL ? field : words->field,
            "UTF-8 text without control characters", "send it as UTF-8, on one line",
            "文字编码不正确，请使用UTF-8且不要换行。");
  return false;
}

bool intake_check_text(const struct intake_call *call, const char *text, size_t least, size_t most,
                       enum intake_refusal refusal, const char *field) {
  pd_assert(least <= most);
  if (text == NULL) text = "";
  size_t length = strnlen(text, most + 1);
  return intake_require(call, length >= least && length <= most, refusal, field) &&
         check_text_bytes(call, text, length, refusal, field);
}

bool intake_check_range(const struct intake_call *call, int64_t value, int64_t least, int64_t most,
                        enum intake_refusal refusal, const char *field) {
  pd_assert(least <= most);
  return intake_require(call, value >= least && value <= most, refusal, field);
}

static bool check_seen(const struct intake_call *call) {
  const struct pd_position *seen = call->command->seen;
  if (seen == NULL) return true;
  bool known =
      seen->log == PD_LOG_INTAKE || seen->log == PD_LOG_MATCHING || seen->log == PD_LOG_SCHEDULING;
  return intake_require(call, known && seen->seq > 0, INTAKE_NO_SEEN, NULL);
}

/* At an own door the actor is somebody that intake knows; elsewhere it is only passed on. */
static bool check_actor_known(const struct intake_call *call) {
  pd_assert((call->rule->own_doors & ~call->rule->doors) == 0);
  ProtobufCBinaryData actor = call->command->actor;
  if ((call->rule->own_doors & call->request->role) == 0) return true;
  uint32_t index = intake_person_index(call->self, actor);
  bool known = index != PD_NONE && (call->self->persons[index].flags & INTAKE_ERASED) == 0;
  return intake_require(call, actor.len != 0, INTAKE_NO_ACTOR, NULL) &&
         intake_require(call, known, INTAKE_NO_ACTOR_KNOWN, NULL);
}

static bool check_door(const struct intake_call *call) {
  pd_assert(call->rule->name != NULL && call->request->role <= PD_ROLE_SOURCE);
  uint32_t doors = call->rule->doors | PD_ROLE_OPS;
  return intake_require(call, (doors & call->request->role) != 0, INTAKE_NO_DOOR, call->rule->name);
}

bool intake_check_envelope(const struct intake_call *call) {
  pd_assert(call->rule != NULL && call->command->key != NULL);
  const struct pd_command *command = call->command;
  bool actor = command->actor.len == 0 || command->actor.len == sizeof(struct pd_id);
  bool trace = command->trace.len == 0 || command->trace.len == 24;
  return intake_check_text(call, command->key, 1, 64, INTAKE_NO_KEY, NULL) && check_door(call) &&
         intake_require(call, actor, INTAKE_NO_ACTOR_BYTES, NULL) &&
         intake_require(call, trace, INTAKE_NO_TRACE, NULL) && check_seen(call) &&
         check_actor_known(call);
}

bool intake_check_skills(const struct intake_call *call, const enum pd_skill *skills, size_t count,
                         size_t most, const char *field) {
  pd_assert(count == 0 || skills != NULL);
  if (count > most) return intake_refuse(call, INTAKE_NO_SKILLS, field);
  uint64_t met = 0;
  for (size_t i = 0; i < count; i++) {
    if (skills[i] < PD_SKILL_CLEAN || skills[i] > PD_SKILL_SIGN_LANGUAGE)
      return intake_refuse(call, INTAKE_NO_SKILL, field);
    uint64_t bit = UINT64_C(1) << skills[i];
    if ((met & bit) != 0) return intake_refuse(call, INTAKE_NO_SKILL_TWICE, field);
    met |= bit;
  }
  return true;
}

static bool datum_known(enum pd_datum datum) {
  return datum >= PD_DATUM_WGS84 && datum <= PD_DATUM_BD09;
}

bool intake_place_of(const struct pd_point *point, struct pd_lonlat *place) {
  pd_assert(point != NULL);
  struct pd_lonlat given = {.lon_e7 = point->lon_e7, .lat_e7 = point->lat_e7};
  if (!datum_known(point->datum) || !pd_geo_valid(given)) return false;
  *place = given;
  if (point->datum == PD_DATUM_GCJ02) *place = pd_geo_gcj02_to_wgs84(given);
  if (point->datum == PD_DATUM_BD09) *place = pd_geo_bd09_to_wgs84(given);
  return true;
}

bool intake_check_point(const struct intake_call *call, const struct pd_point *point,
                        const struct intake_point_names *names, struct pd_lonlat *place) {
  pd_assert(names->point != NULL && names->datum != NULL);
  if (point == NULL) return intake_refuse(call, INTAKE_NO_POINT, names->point);
  struct pd_lonlat lon_only = {.lon_e7 = point->lon_e7}, lat_only = {.lat_e7 = point->lat_e7};
  bool right = intake_require(call, datum_known(point->datum), INTAKE_NO_DATUM, names->datum) &&
               intake_require(call, pd_geo_valid(lon_only), INTAKE_NO_LON, names->lon) &&
               intake_require(call, pd_geo_valid(lat_only), INTAKE_NO_LAT, names->lat);
  if (!right) return false;
  bool on_earth = intake_place_of(point, place);
  pd_assert(on_earth);
  return true;
}

bool intake_check_place(const struct intake_call *call, const struct pd_point *point,
                        const struct intake_point_names *names, struct pd_lonlat *place) {
  const struct intake_facts *facts = call->self->facts;
  if (!intake_check_point(call, point, names, place)) return false;
  if (facts->sites == 0) return intake_refuse(call, INTAKE_NO_SITES_YET, names->point);
  struct pd_box bounds = pd_box_widened(facts->box, MARGIN_M);
  pd_assert(pd_box_holds(&bounds, facts->box.min) && pd_box_holds(&bounds, facts->box.max));
  return intake_require(call, pd_box_holds(&bounds, *place), INTAKE_NO_OUTSIDE, names->point);
}

bool intake_check_person(const struct intake_call *call, ProtobufCBinaryData id, const char *field,
                         uint32_t *index) {
  pd_assert(field != NULL);
  *index = intake_person_index(call->self, id);
  if (id.len != sizeof(struct pd_id)) return intake_refuse(call, INTAKE_NO_PERSON_BYTES, field);
  if (*index == PD_NONE) return intake_refuse(call, INTAKE_NO_PERSON, field);
  bool erased = (call->self->persons[*index].flags & INTAKE_ERASED) != 0;
  return intake_require(call, !erased, INTAKE_NO_PERSON_ERASED, field);
}

bool intake_check_actor(const struct intake_call *call, uint32_t person) {
  pd_assert(person < call->self->facts->persons);
  if ((call->rule->own_doors & call->request->role) == 0) return true;
  uint32_t actor = intake_person_index(call->self, call->command->actor);
  return intake_require(call, actor == person, INTAKE_NO_ACTOR_OTHER, NULL);
}

bool intake_check_order(const struct intake_call *call, uint64_t number,
                        struct intake_order **order) {
  pd_assert(call->rule->order != NULL);
  *order = intake_order_find(call->self, number);
  pd_assert(*order == NULL || (*order)->number == number);
  if (*order != NULL) return true;
  bool ended = number > 0 && number <= call->self->facts->last_order;
  return intake_refuse(call, ended ? INTAKE_NO_ORDER_GONE : INTAKE_NO_ORDER, call->rule->order);
}

bool intake_check_move(const struct intake_call *call, const struct intake_order *order,
                       enum intake_move move) {
  static const enum intake_refusal refusals[INTAKE_MOVES] = {
      [INTAKE_CANCEL] = INTAKE_NO_CANCEL,   [INTAKE_WITHDRAW] = INTAKE_NO_WITHDRAW,
      [INTAKE_START] = INTAKE_NO_START,     [INTAKE_FINISH] = INTAKE_NO_FINISH,
      [INTAKE_CONFIRM] = INTAKE_NO_CONFIRM, [INTAKE_RATE] = INTAKE_NO_RATE,
      [INTAKE_ASK] = INTAKE_NO_ASK,
  };
  pd_assert(move < INTAKE_MOVES);
  pd_assert(call->rule->order != NULL && !intake_is_final(order->state));
  bool allowed = intake_move_allowed(order->state, move);
  return intake_require(call, allowed, refusals[move], call->rule->order);
}

bool intake_check_newcomer(const struct intake_call *call) {
  pd_assert(call->self->facts->persons <= call->self->limits.persons);
  const struct intake *self = call->self;
  const struct pd_id *fresh = &call->request->fresh;
  bool room = self->facts->persons < self->limits.persons;
  bool is_new = !pd_id_is_zero(fresh) && pd_idmap_get(&self->person_of, fresh) == PD_NONE;
  return intake_require(call, room, INTAKE_NO_PERSONS_LEFT, call->rule->name) &&
         intake_require(call, is_new, INTAKE_NO_FRESH, call->rule->name);
}
