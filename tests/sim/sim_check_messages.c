/* What notification says: each message ends once, and for every fact that somebody should hear of
 * there is one. */
#include "tests/sim/sim_view.h"

#include <stdlib.h>
#include <string.h>

struct message {
  uint64_t seq;
  enum pd_log log;
  uint32_t part;
  enum pd_template template;
  struct pd_id person;
};

struct box {
  struct sim *sim;
  const struct sim_history *history;
  struct message *messages;
  size_t count;
};

static void add(struct box *box, const struct pd_position *about, uint32_t part,
                enum pd_template template, ProtobufCBinaryData person) {
  sim_expect(box->sim,
             about != NULL && about->seq >= 1 && about->seq <= box->history->count[about->log],
             "a message about nothing");
  box->messages[box->count++] = (struct message){.seq = about->seq,
                                                 .log = about->log,
                                                 .part = part,
                                                 .template = template,
                                                 .person = PD_ID(person)};
}

static int by_id(const void *a, const void *b) {
  const struct message *x = a, *y = b;
  if (x->log != y->log) return x->log < y->log ? -1 : 1;
  if (x->seq != y->seq) return x->seq < y->seq ? -1 : 1;
  if (x->part != y->part) return x->part < y->part ? -1 : 1;
  return 0;
}

static const struct message *find(const struct box *box, const struct pd_event *about,
                                  uint32_t part) {
  struct message wanted = {.seq = about->seq, .log = about->log, .part = part};
  return bsearch(&wanted, box->messages, box->count, sizeof wanted, by_id);
}

/* Somebody who is not erased must have had this message, sent or overtaken. */
static void expect_message(const struct box *box, const struct pd_event *about, uint32_t part,
                           enum pd_template template, ProtobufCBinaryData person) {
  struct pd_id id = PD_ID(person);
  const struct message *found = find(box, about, part);
  if (found == NULL) {
    for (size_t i = 0; i < box->history->count[PD_LOG_INTAKE]; i++) {
      const struct pd_event *event = box->history->events[PD_LOG_INTAKE][i];
      if (event->body_case != PD_EVENT_PERSON_ERASED) continue;
      struct pd_id erased = PD_ID(event->person_erased->person);
      if (pd_id_equal(&erased, &id)) return;
    }
  }
  sim_expect(box->sim, found != NULL, "nobody was told of %s %llu", pd_log_name(about->log),
             (unsigned long long)about->seq);
  bool right = found->template == template && pd_id_equal(&found->person, &id);
  sim_expect(box->sim, right, "somebody else was told of %s %llu, or something else",
             pd_log_name(about->log), (unsigned long long)about->seq);
}

static void collect(struct box *box, const struct pd_event *event) {
  if (event->body_case == PD_EVENT_MESSAGE_SENT) {
    const struct pd_message_sent *body = event->message_sent;
    add(box, body->about, body->part, body->template_, body->person);
  }
  if (event->body_case == PD_EVENT_MESSAGE_FAILED) {
    const struct pd_message_failed *body = event->message_failed;
    add(box, body->about, body->part, body->template_, body->person);
  }
  if (event->body_case == PD_EVENT_MESSAGE_SUPPRESSED) {
    const struct pd_message_suppressed *body = event->message_suppressed;
    add(box, body->about, body->part, body->template_, body->person);
  }
}

/* Who asked in the hall hears of the booking instead. */
static void check_offer_told(const struct box *box, const struct pd_event *event) {
  const struct pd_offer_made *made = event->offer_made;
  if (made->how == PD_OFFER_HOW_UNSPECIFIED)
    expect_message(box, event, 0, PD_TEMPLATE_OFFER, made->volunteer);
  if (made->how == PD_OFFER_HOW_COMMANDED)
    expect_message(box, event, 0, PD_TEMPLATE_OFFER_COMMANDED, made->volunteer);
}

static void check_told(const struct box *box, const struct pd_event *event) {
  if (event->body_case == PD_EVENT_ORDER_PLACED)
    expect_message(box, event, 0, PD_TEMPLATE_ORDER_RECEIVED, event->order_placed->requester);
  if (event->body_case == PD_EVENT_OFFER_MADE)
    check_offer_told(box, event);
  if (event->body_case == PD_EVENT_OFFER_DENIED && event->offer_denied->how == PD_OFFER_HOW_ASKED)
    expect_message(box, event, 0, PD_TEMPLATE_ASK_DENIED, event->offer_denied->volunteer);
  if (event->body_case == PD_EVENT_POINTS_POSTED)
    expect_message(box, event, 0, PD_TEMPLATE_POINTS, event->points_posted->lines[0]->person);
  if (event->body_case == PD_EVENT_STAR_REACHED)
    expect_message(box, event, 0, PD_TEMPLATE_STAR, event->star_reached->person);
  if (event->body_case == PD_EVENT_HOLD_PLACED)
    for (size_t i = 0; i < event->hold_placed->n_lines; i++)
      if (event->hold_placed->lines[i]->account == PD_ACCOUNT_HELD)
        expect_message(box, event, 0, PD_TEMPLATE_HELD, event->hold_placed->lines[i]->person);
}

/* Nobody who is erased hears anything more. */
struct ears {
  struct view view;
};

static void each(void *context, const struct pd_event *event) {
  struct ears *ears = context;
  if (event->log == PD_LOG_INTAKE) view_registry(&ears->view, event);
  if (event->body_case != PD_EVENT_MESSAGE_SENT || event->message_sent->person.len == 0) return;
  uint32_t person = view_person(&ears->view, event->message_sent->person);
  sim_expect(ears->view.sim, !ears->view.persons[person].erased,
             "notification %llu: told somebody who is erased", (unsigned long long)event->seq);
}

static void check_erased(const struct sim_history *history) {
  struct ears *ears = calloc(1, sizeof *ears);
  pd_assert(ears != NULL);
  view_init(&ears->view, history);
  sim_history_walk(history, PD_LOG_NOTIFICATION, each, NULL, ears);
  view_free(&ears->view);
  free(ears);
}

void sim_check_messages(struct sim *sim, const struct sim_history *history) {
  struct box box = {.sim = sim, .history = history};
  box.messages = calloc(history->count[PD_LOG_NOTIFICATION] + 1, sizeof *box.messages);
  pd_assert(box.messages != NULL);
  for (size_t i = 0; i < history->count[PD_LOG_NOTIFICATION]; i++)
    collect(&box, history->events[PD_LOG_NOTIFICATION][i]);
  qsort(box.messages, box.count, sizeof *box.messages, by_id);
  for (size_t i = 1; i < box.count; i++)
    sim_expect(sim, by_id(&box.messages[i - 1], &box.messages[i]) != 0,
               "the message about %s %llu ended twice", pd_log_name(box.messages[i].log),
               (unsigned long long)box.messages[i].seq);
  for (unsigned log = PD_LOG_INTAKE; log <= PD_LOG_POINTS; log++)
    for (size_t i = 0; i < history->count[log]; i++) check_told(&box, history->events[log][i]);
  free(box.messages);
  check_erased(history);
}
