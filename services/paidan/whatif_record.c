/* What was recorded: the facts to play, and how people answered. */
#include "common/wire/entry.h"
#include "services/paidan/whatif_parts.h"

#include <stdlib.h>
#include <string.h>

#define EVENT_MEMORY (512u << 10)
#define NUMBER_MAX   100000000u

struct whatif_record *whatif_new(const struct pd_shard *shard, int64_t since_ms,
                                 int64_t until_ms) {
  struct whatif_record *record = calloc(1, sizeof *record);
  pd_assert(record != NULL);
  record->shard = *shard;
  record->since_ms = since_ms;
  record->until_ms = until_ms;
  record->tally = tally_new(&record->people, since_ms, until_ms);
  return record;
}

void whatif_free(struct whatif_record *record) {
  if (record == NULL) return;
  for (size_t i = 0; i < record->fact_count; i++) free(record->facts[i].bytes);
  free(record->facts);
  free(record->past);
  free(record->withdrawals);
  free(record->past_of);
  free(record->kinds);
  free(record->delays);
  tally_free(record->tally);
  ids_free(&record->people);
  free(record);
}

static uint32_t person_of(struct whatif_record *record, ProtobufCBinaryData field) {
  struct pd_id id = PD_ID(field);
  return ids_take(&record->people, &id);
}

static void keep_fact(struct whatif_record *record, const struct pd_event *event,
                      const uint8_t *bytes, size_t size) {
  uint8_t *copy = malloc(size + 1);
  pd_assert(copy != NULL);
  memcpy(copy, bytes, size);
  record->facts =
      ids_grow(record->facts, &record->fact_room, record->fact_count + 1, sizeof *record->facts);
  record->facts[record->fact_count++] = (struct whatif_fact){.bytes = copy,
                                                             .time_ms = event->time_ms,
                                                             .seq = event->seq,
                                                             .size = (uint32_t)size,
                                                             .log = event->log};
}

static void on_placed(struct whatif_record *record, const struct pd_order_placed *body) {
  if (body->order > NUMBER_MAX) return;
  record->kinds =
      ids_grow(record->kinds, &record->kind_room, (size_t)body->order + 1, sizeof *record->kinds);
  record->kinds[body->order] =
      (unsigned)body->kind < MATCHING_KINDS ? (uint8_t)body->kind : (uint8_t)0;
}

static void on_made(struct whatif_record *record, const struct pd_event *event) {
  const struct pd_offer_made *body = event->offer_made;
  if (body->how == PD_OFFER_HOW_ASKED || body->offer > NUMBER_MAX) return;
  record->past =
      ids_grow(record->past, &record->past_room, record->past_count + 1, sizeof *record->past);
  record->past_of = ids_grow(record->past_of, &record->past_of_room, (size_t)body->offer + 1,
                             sizeof *record->past_of);
  record->past[record->past_count++] =
      (struct whatif_past){.order = body->order,
                           .offer = body->offer,
                           .made_ms = event->time_ms,
                           .person = person_of(record, body->volunteer)};
  record->past_of[body->offer] = record->past_count;
}

static void count_mood(struct whatif_rate *rate, enum whatif_mood mood) {
  rate->known++;
  rate->yes += mood == WHATIF_YES;
  rate->no += mood == WHATIF_NO;
}

/* How an offer of the record ended, if it was the volunteer's doing. */
static void settle(struct whatif_record *record, uint64_t offer, enum whatif_mood mood,
                   int64_t time_ms) {
  if (offer >= record->past_of_room || record->past_of[offer] == 0) return;
  struct whatif_past *past = &record->past[record->past_of[offer] - 1];
  if (past->mood != WHATIF_UNKNOWN) return;
  past->mood = mood;
  past->after_ms = time_ms > past->made_ms ? time_ms - past->made_ms : 0;
  unsigned kind = past->order < record->kind_room ? record->kinds[past->order] : 0;
  count_mood(&record->rates[0], mood);
  if (kind != 0) count_mood(&record->rates[kind], mood);
  if (mood == WHATIF_SILENT) return;
  record->delays = ids_grow(record->delays, &record->delay_room, record->delay_count + 1,
                            sizeof *record->delays);
  record->delays[record->delay_count++] = past->after_ms;
}

static void on_withdrew(struct whatif_record *record, const struct pd_event *event) {
  record->withdrawals = ids_grow(record->withdrawals, &record->withdrawal_room,
                                 record->withdrawal_count + 1, sizeof *record->withdrawals);
  record->withdrawals[record->withdrawal_count++] = (struct whatif_withdrawal){
      .order = event->volunteer_withdrew->order,
      .time_ms = event->time_ms,
      .person = person_of(record, event->volunteer_withdrew->volunteer)};
}

enum pd_err whatif_add(struct whatif_record *record, const uint8_t *bytes, size_t size) {
  static uint8_t memory[EVENT_MEMORY];
  struct pd_arena arena;
  pd_arena_init(&arena, memory, sizeof memory);
  const struct pd_event *event = pd_event_unpack(&arena, bytes, size);
  if (event == NULL) return PD_EFORMAT;
  if (event->log != PD_LOG_INTAKE && event->log != PD_LOG_MATCHING) return PD_OK;
  tally_event(record->tally, event);
  bool policy = event->body_case == PD_EVENT_POLICY_ADOPTED;
  if (event->log == PD_LOG_INTAKE || policy) keep_fact(record, event, bytes, size);
  if (event->body_case == PD_EVENT_ORDER_PLACED) on_placed(record, event->order_placed);
  if (event->body_case == PD_EVENT_OFFER_MADE) on_made(record, event);
  if (event->body_case == PD_EVENT_VOLUNTEER_WITHDREW) on_withdrew(record, event);
  if (event->body_case == PD_EVENT_SLOT_FILLED)
    settle(record, event->slot_filled->offer, WHATIF_YES, event->time_ms);
  if (event->body_case == PD_EVENT_OFFER_CLOSED) {
    enum pd_reason reason = event->offer_closed->reason;
    if (reason == PD_REASON_DECLINED)
      settle(record, event->offer_closed->offer, WHATIF_NO, event->time_ms);
    if (reason == PD_REASON_SILENT)
      settle(record, event->offer_closed->offer, WHATIF_SILENT, event->time_ms);
  }
  return PD_OK;
}

struct whatif_rate whatif_rate(const struct whatif_record *record, unsigned kind) {
  pd_assert(kind < MATCHING_KINDS);
  return record->rates[kind];
}

void whatif_set(struct whatif_record *record, const struct whatif_setting *setting) {
  record->setting = *setting;
}

struct whatif_figures whatif_recorded(const struct whatif_record *record) {
  return tally_figures(record->tally);
}
