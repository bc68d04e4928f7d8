/* One key, one answer: a ring of the latest commands and a map into it. */
#include "common/base/err.h"
#include "services/intake/intake_state.h"

struct answer {
  uint64_t id;
  ProtobufCBinaryData person;
};

static struct answer about(uint64_t id) { return (struct answer){.id = id}; }

static struct answer whom(uint64_t id, ProtobufCBinaryData person) {
  return (struct answer){.id = id, .person = person};
}

/* What an Ack says beside the position, read from the first event of the command. */
static struct answer answer_of(const struct pd_event *event) {
  switch (event->body_case) {
    case PD_EVENT_SITE_REGISTERED: return about(event->site_registered->site);
    case PD_EVENT_TEAM_REGISTERED: return about(event->team_registered->team);
    case PD_EVENT_TEAM_JOINED: return whom(event->team_joined->team, event->team_joined->person);
    case PD_EVENT_VOLUNTEER_REGISTERED: return whom(0, event->volunteer_registered->person);
    case PD_EVENT_VOLUNTEER_PAUSED: return whom(0, event->volunteer_paused->person);
    case PD_EVENT_VOLUNTEER_RESUMED: return whom(0, event->volunteer_resumed->person);
    case PD_EVENT_VOLUNTEER_EXITED: return whom(0, event->volunteer_exited->person);
    case PD_EVENT_RESIDENT_REGISTERED: return whom(0, event->resident_registered->person);
    case PD_EVENT_PERSON_ERASED: return whom(0, event->person_erased->person);
    case PD_EVENT_CREDENTIAL_RECORDED: return whom(0, event->credential_recorded->person);
    case PD_EVENT_PAIR_BLOCKED: return whom(0, event->pair_blocked->person);
    case PD_EVENT_ORDER_PLACED:
      return whom(event->order_placed->order, event->order_placed->requester);
    case PD_EVENT_ORDER_CANCELLED: return about(event->order_cancelled->order);
    case PD_EVENT_OFFER_ANSWERED:
      return whom(event->offer_answered->offer, event->offer_answered->volunteer);
    case PD_EVENT_VOLUNTEER_WITHDREW:
      return whom(event->volunteer_withdrew->order, event->volunteer_withdrew->volunteer);
    case PD_EVENT_SERVICE_STARTED:
      return whom(event->service_started->order, event->service_started->volunteer);
    case PD_EVENT_SERVICE_FINISHED:
      return whom(event->service_finished->order, event->service_finished->volunteer);
    case PD_EVENT_SERVICE_CONFIRMED: return about(event->service_confirmed->order);
    case PD_EVENT_ORDER_RATED: return about(event->order_rated->order);
    case PD_EVENT_HOLD_DECIDED: return about(event->hold_decided->hold);
    case PD_EVENT_OFFER_COMMANDED:
      return whom(event->offer_commanded->order, event->offer_commanded->volunteer);
    case PD_EVENT_ORDER_ASKED:
      return whom(event->order_asked->order, event->order_asked->volunteer);
    case PD_EVENT_EXTERNAL_NOTED: return about(event->seq);
    case PD_EVENT_NOT_SET:
    case PD_EVENT_EPOCH_BEGAN:
    case PD_EVENT_INPUTS_NOTED:
    case PD_EVENT_POLICY_ADOPTED:
    case PD_EVENT_OFFER_DENIED:
    case PD_EVENT_COVERAGE_NOTED:
    case PD_EVENT_DAY_BEGAN:
    case PD_EVENT_ORDER_SERVED:
    case PD_EVENT_ORDER_CLOSED:
    case PD_EVENT_WAVE_OPENED:
    case PD_EVENT_OFFER_MADE:
    case PD_EVENT_OFFER_CLOSED:
    case PD_EVENT_SLOT_FILLED:
    case PD_EVENT_SLOT_REOPENED:
    case PD_EVENT_ORDER_STAFFED:
    case PD_EVENT_ORDER_UNMATCHED:
    case PD_EVENT_WAVE_DUE:
    case PD_EVENT_ORDER_ESCALATED:
    case PD_EVENT_ORDER_EXPIRED:
    case PD_EVENT_REMINDER_DUE:
    case PD_EVENT_NO_SHOW_NOTED:
    case PD_EVENT_POINTS_POSTED:
    case PD_EVENT_HOLD_PLACED:
    case PD_EVENT_HOLD_RESOLVED:
    case PD_EVENT_STAR_REACHED:
    case PD_EVENT_MESSAGE_SENT:
    case PD_EVENT_MESSAGE_FAILED:
    case PD_EVENT_MESSAGE_SUPPRESSED:
    case PD_EVENT_CASE_SIZE: break;
  }
  return about(0);
}

void intake_keys_apply(struct intake *self, const struct pd_event *event) {
  pd_assert(event->origin != NULL && event->seq != 0);
  struct pd_id key = PD_ID(event->origin->key);
  if (pd_idmap_get(&self->key_of, &key) != PD_NONE) return;
  uint32_t at = (uint32_t)(self->facts->keys++ % self->limits.keys);
  struct intake_key *entry = &self->keys[at];
  if (entry->seq != 0) pd_idmap_remove(&self->key_of, &entry->key);
  struct answer answer = answer_of(event);
  uint32_t person = intake_person_index(self, answer.person);
  *entry = (struct intake_key){
      .key = key,
      .body = PD_ID(event->origin->body),
      .seq = event->seq,
      .id = answer.id,
      .person = person + 1, /* PD_NONE becomes 0 */
  };
  pd_idmap_put(&self->key_of, &key, at);
  pd_assert(*self->key_of.count <= self->facts->keys);
}

const struct intake_key *intake_keys_find(const struct intake *self, const struct pd_id *key) {
  uint32_t at = pd_idmap_get(&self->key_of, key);
  if (at == PD_NONE) return NULL;
  pd_assert(at < self->limits.keys);
  pd_assert(pd_id_equal(&self->keys[at].key, key));
  return &self->keys[at];
}

void intake_keys_grant(const struct intake *self, struct pd_outbox *out) {
  pd_assert(out->emitted > 0);
  const struct intake_key *entry = intake_keys_find(self, &out->input->request->key);
  pd_assert(entry != NULL && entry->seq == out->first_seq);
  pd_assert(entry->id != 0 || entry->person != 0);
  pd_grant(out, entry->id, entry->person != 0 ? &self->persons[entry->person - 1].id : NULL);
}

bool intake_knows_key(const void *self, const struct pd_id *key) {
  return intake_keys_find(self, key) != NULL;
}
