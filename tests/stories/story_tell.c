/* An event as a sentence. */
#include "tests/stories/story.h"

#include <stdio.h>
#include <string.h>

typedef unsigned long long ull;

/* The last word of an enum value's name: FILLED for REASON_FILLED. */
static const char *word(const ProtobufCEnumDescriptor *type, int value, size_t prefix) {
  const ProtobufCEnumValue *found = protobuf_c_enum_descriptor_get_value(type, value);
  return found == NULL ? "?" : found->name + prefix;
}

static const char *reason(enum pd_reason value) {
  return word(&paidan__v1__reason__descriptor, (int)value, strlen("REASON_"));
}

#define TELL(...) snprintf(text, size, __VA_ARGS__)
#define NAME(field) story_name(story, (field))

static void tell_placed(const struct story *story, const struct pd_order_placed *body, char *text,
                        size_t size) {
  char from[24], to[24];
  TELL("%s asks: order %llu, %u helper%s, %u minutes, %s to %s", NAME(body->requester),
       (ull)body->order, body->need, body->need == 1 ? "" : "s", body->minutes,
       story_time(body->window_start_ms, from), story_time(body->window_end_ms, to));
}

static bool tell_intake(const struct story *story, const struct pd_event *event, char *text,
                        size_t size) {
  const struct pd_service_confirmed *yes = event->service_confirmed;
  if (event->body_case == PD_EVENT_ORDER_PLACED)
    tell_placed(story, event->order_placed, text, size);
  else if (event->body_case == PD_EVENT_ORDER_CANCELLED)
    TELL("order %llu is cancelled", (ull)event->order_cancelled->order);
  else if (event->body_case == PD_EVENT_OFFER_ANSWERED)
    TELL("%s says %s to offer %llu", NAME(event->offer_answered->volunteer),
         event->offer_answered->accept ? "yes" : "no", (ull)event->offer_answered->offer);
  else if (event->body_case == PD_EVENT_VOLUNTEER_WITHDREW)
    TELL("%s withdraws from order %llu", NAME(event->volunteer_withdrew->volunteer),
         (ull)event->volunteer_withdrew->order);
  else if (event->body_case == PD_EVENT_SERVICE_STARTED)
    TELL("%s starts order %llu (%s)", NAME(event->service_started->volunteer),
         (ull)event->service_started->order, event->service_started->principal);
  else if (event->body_case == PD_EVENT_SERVICE_FINISHED)
    TELL("%s finishes order %llu after %u minutes (%s)", NAME(event->service_finished->volunteer),
         (ull)event->service_finished->order, event->service_finished->minutes,
         event->service_finished->principal);
  else if (event->body_case == PD_EVENT_ORDER_SERVED)
    TELL("order %llu is served", (ull)event->order_served->order);
  else if (event->body_case == PD_EVENT_SERVICE_CONFIRMED)
    TELL("%u minutes of %s in order %llu are confirmed%s (%s)", yes->minutes, NAME(yes->volunteer),
         (ull)yes->order, yes->last ? ", the last ones" : "", yes->principal);
  else if (event->body_case == PD_EVENT_ORDER_RATED)
    TELL("order %llu is rated %u", (ull)event->order_rated->order, event->order_rated->stars);
  else if (event->body_case == PD_EVENT_ORDER_CLOSED)
    TELL("order %llu ends: %s", (ull)event->order_closed->order,
         word(&paidan__v1__order_state__descriptor, (int)event->order_closed->state,
              strlen("ORDER_STATE_")));
  else if (event->body_case == PD_EVENT_OFFER_COMMANDED)
    TELL("%s is named for order %llu: %s (%s)", NAME(event->offer_commanded->volunteer),
         (ull)event->offer_commanded->order,
         word(&paidan__v1__command_reason__descriptor, (int)event->offer_commanded->reason,
              strlen("COMMAND_REASON_")),
         event->offer_commanded->principal);
  else if (event->body_case == PD_EVENT_ORDER_ASKED)
    TELL("%s asks for order %llu in the hall", NAME(event->order_asked->volunteer),
         (ull)event->order_asked->order);
  else if (event->body_case == PD_EVENT_HOLD_DECIDED)
    TELL("%s %s hold %llu", event->hold_decided->principal,
         event->hold_decided->approve ? "approves" : "turns down", (ull)event->hold_decided->hold);
  else
    return false;
  return true;
}

static bool tell_person(const struct story *story, const struct pd_event *event, char *text,
                        size_t size) {
  if (event->body_case == PD_EVENT_VOLUNTEER_PAUSED)
    TELL("%s pauses", NAME(event->volunteer_paused->person));
  else if (event->body_case == PD_EVENT_VOLUNTEER_RESUMED)
    TELL("%s is back", NAME(event->volunteer_resumed->person));
  else if (event->body_case == PD_EVENT_VOLUNTEER_EXITED)
    TELL("%s leaves", NAME(event->volunteer_exited->person));
  else if (event->body_case == PD_EVENT_PERSON_ERASED)
    TELL("%s is erased", NAME(event->person_erased->person));
  else if (event->body_case == PD_EVENT_CREDENTIAL_RECORDED)
    TELL("%s of %s is %s",
         word(&paidan__v1__credential_kind__descriptor, (int)event->credential_recorded->kind,
              strlen("CREDENTIAL_KIND_")),
         NAME(event->credential_recorded->person),
         event->credential_recorded->until_ms != 0 ? "on record" : "withdrawn");
  else if (event->body_case == PD_EVENT_PAIR_BLOCKED)
    TELL("%s and %s: %s", NAME(event->pair_blocked->person), NAME(event->pair_blocked->other),
         event->pair_blocked->lifted ? "lifted" : "blocked");
  else
    return false;
  return true;
}

static void tell_unmatched(const struct pd_order_unmatched *body, char *text, size_t size) {
  int used =
      TELL("nobody can be invited to order %llu; of %u:", (ull)body->order, body->considered);
  for (size_t i = 0; i < body->n_excluded && (size_t)used < size; i++)
    used += snprintf(text + used, size - (size_t)used, " %u %s", body->excluded[i]->count,
                     reason(body->excluded[i]->reason));
}

static void tell_wave(const struct pd_wave_opened *wave, char *text, size_t size) {
  char to[24], next[24];
  int used = TELL("wave %u of order %llu: %u offer%s until %s", wave->wave, (ull)wave->order,
                  wave->offers, wave->offers == 1 ? "" : "s", story_time(wave->expires_at_ms, to));
  if (wave->ring_m != 0)
    snprintf(text + used, size - (size_t)used, ", within %u m; the next at %s", wave->ring_m,
             story_time(wave->next_at_ms, next));
}

static void tell_offer(const struct story *story, const struct pd_offer_made *made, char *text,
                       size_t size) {
  static const char *const hows[] = {"", ", named", ", as asked for"};
  char from[24], to[24];
  int used = TELL("offer %llu of order %llu to %s, %u m away: %s to %s%s", (ull)made->offer,
                  (ull)made->order, NAME(made->volunteer), made->distance_m,
                  story_time(made->start_ms, from), story_time(made->end_ms, to),
                  made->how < 3 ? hows[made->how] : "");
  for (size_t i = 0; i < made->n_overruled && (size_t)used < size; i++)
    used += snprintf(text + used, size - (size_t)used, "%s %s", i == 0 ? ", overruled:" : ",",
                     reason(made->overruled[i]));
}

static bool tell_matching(const struct story *story, const struct pd_event *event, char *text,
                          size_t size) {
  char from[24], to[24];
  const struct pd_offer_made *made = event->offer_made;
  const struct pd_slot_filled *filled = event->slot_filled;
  const struct pd_slot_reopened *lost = event->slot_reopened;
  if (event->body_case == PD_EVENT_WAVE_OPENED)
    tell_wave(event->wave_opened, text, size);
  else if (event->body_case == PD_EVENT_OFFER_MADE)
    tell_offer(story, made, text, size);
  else if (event->body_case == PD_EVENT_OFFER_DENIED)
    TELL("%s cannot have order %llu: %s", NAME(event->offer_denied->volunteer),
         (ull)event->offer_denied->order, reason(event->offer_denied->reason));
  else if (event->body_case == PD_EVENT_OFFER_CLOSED)
    TELL("offer %llu to %s ends: %s", (ull)event->offer_closed->offer,
         NAME(event->offer_closed->volunteer), reason(event->offer_closed->reason));
  else if (event->body_case == PD_EVENT_SLOT_FILLED)
    TELL("%s has slot %u of order %llu, %s to %s%s", NAME(filled->volunteer), filled->slot,
         (ull)filled->order, story_time(filled->start_ms, from), story_time(filled->end_ms, to),
         filled->offer != 0 ? "" : (filled->started ? ", and has begun" : ", in exchange"));
  else if (event->body_case == PD_EVENT_SLOT_REOPENED)
    TELL("%s loses slot %u of order %llu: %s", NAME(lost->volunteer), lost->slot, (ull)lost->order,
         reason(lost->reason));
  else if (event->body_case == PD_EVENT_COVERAGE_NOTED && event->coverage_noted->uncovered > 0)
    TELL("nobody lives near %u place%s with %u order%s; %u of %u have waited long",
         event->coverage_noted->uncovered, event->coverage_noted->uncovered == 1 ? "" : "s",
         event->coverage_noted->uncovered_orders,
         event->coverage_noted->uncovered_orders == 1 ? "" : "s", event->coverage_noted->starved,
         event->coverage_noted->active);
  else if (event->body_case == PD_EVENT_ORDER_STAFFED)
    TELL("order %llu has all its helpers", (ull)event->order_staffed->order);
  else if (event->body_case == PD_EVENT_ORDER_UNMATCHED)
    tell_unmatched(event->order_unmatched, text, size);
  else
    return false;
  return true;
}

static bool tell_scheduling(const struct story *story, const struct pd_event *event, char *text,
                            size_t size) {
  const struct pd_reminder_due *due = event->reminder_due;
  if (event->body_case == PD_EVENT_WAVE_DUE)
    TELL("time of wave %u of order %llu", event->wave_due->wave, (ull)event->wave_due->order);
  else if (event->body_case == PD_EVENT_ORDER_ESCALATED)
    TELL("order %llu is told to the %s", (ull)event->order_escalated->order,
         word(&paidan__v1__site_level__descriptor, (int)event->order_escalated->level,
              strlen("SITE_LEVEL_")));
  else if (event->body_case == PD_EVENT_ORDER_EXPIRED)
    TELL("order %llu: the time of %s is over", (ull)event->order_expired->order,
         word(&paidan__v1__order_stage__descriptor, (int)event->order_expired->stage,
              strlen("ORDER_STAGE_")));
  else if (event->body_case == PD_EVENT_REMINDER_DUE)
    TELL("%s is to be reminded: %s of order %llu", NAME(due->person),
         word(&paidan__v1__reminder_kind__descriptor, (int)due->kind, strlen("REMINDER_KIND_")),
         (ull)due->order);
  else if (event->body_case == PD_EVENT_NO_SHOW_NOTED)
    TELL("%s has not come to order %llu", NAME(event->no_show_noted->volunteer),
         (ull)event->no_show_noted->order);
  else
    return false;
  return true;
}

static int64_t amount(struct pd_posting_line *const *lines, size_t count, enum pd_account account,
                      enum pd_unit unit) {
  int64_t sum = 0;
  for (size_t i = 0; i < count; i++)
    if (lines[i]->account == account && lines[i]->unit == unit) sum += lines[i]->amount;
  return sum;
}

static const char *whose(const struct story *story, struct pd_posting_line *const *lines,
                         size_t count) {
  for (size_t i = 0; i < count; i++)
    if (lines[i]->person.len > 0) return NAME(lines[i]->person);
  return "nobody";
}

static bool tell_points(const struct story *story, const struct pd_event *event, char *text,
                        size_t size) {
  const struct pd_points_posted *posted = event->points_posted;
  const struct pd_hold_placed *held = event->hold_placed;
  if (event->body_case == PD_EVENT_POINTS_POSTED)
    TELL("%s gets %lld minutes and %lld points for order %llu",
         whose(story, posted->lines, posted->n_lines),
         (long long)amount(posted->lines, posted->n_lines, PD_ACCOUNT_PERSON, PD_UNIT_MINUTES),
         (long long)amount(posted->lines, posted->n_lines, PD_ACCOUNT_PERSON, PD_UNIT_POINTS),
         (ull)posted->order);
  else if (event->body_case == PD_EVENT_HOLD_PLACED)
    TELL("hold %llu: %lld minutes of %s for order %llu wait for another's word", (ull)held->hold,
         (long long)amount(held->lines, held->n_lines, PD_ACCOUNT_HELD, PD_UNIT_MINUTES),
         whose(story, held->lines, held->n_lines), (ull)held->order);
  else if (event->body_case == PD_EVENT_HOLD_RESOLVED)
    TELL("hold %llu ends: %s", (ull)event->hold_resolved->hold,
         word(&paidan__v1__hold_outcome__descriptor, (int)event->hold_resolved->outcome,
              strlen("HOLD_OUTCOME_")));
  else if (event->body_case == PD_EVENT_STAR_REACHED)
    TELL("%s reaches star %u", NAME(event->star_reached->person), event->star_reached->star);
  else
    return false;
  return true;
}

static const char *template_of(enum pd_template value) {
  return word(&paidan__v1__template__descriptor, (int)value, strlen("TEMPLATE_"));
}

static bool tell_message(const struct story *story, const struct pd_event *event, char *text,
                         size_t size) {
  if (event->body_case == PD_EVENT_MESSAGE_SENT) {
    const struct pd_message_sent *body = event->message_sent;
    TELL("%s hears: %s", body->person.len > 0 ? NAME(body->person) : "the site",
         template_of(body->template_));
  } else if (event->body_case == PD_EVENT_MESSAGE_SUPPRESSED) {
    const struct pd_message_suppressed *body = event->message_suppressed;
    TELL("%s need not hear: %s", body->person.len > 0 ? NAME(body->person) : "the site",
         template_of(body->template_));
  } else {
    return false;
  }
  return true;
}

bool story_tell(struct story *story, const struct pd_event *event, char *text, size_t size) {
  char sentence[STORY_LINE], time[24];
  bool told = tell_intake(story, event, sentence, sizeof sentence) ||
              tell_person(story, event, sentence, sizeof sentence) ||
              tell_matching(story, event, sentence, sizeof sentence) ||
              tell_scheduling(story, event, sentence, sizeof sentence) ||
              tell_points(story, event, sentence, sizeof sentence) ||
              tell_message(story, event, sentence, sizeof sentence);
  if (told)
    snprintf(text, size, "%s %-12s %s", story_time(event->time_ms, time), pd_log_name(event->log),
             sentence);
  return told;
}
