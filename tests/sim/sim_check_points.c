/* P5 and P6 from the logs alone: every posting has its whole chain of facts, said by two parties;
 * lines sum to zero; each slot is posted or held once; holds resolve once; and the ledger, added up
 * anew, is the points core's. */
#include "services/points/points_core.h"
#include "tests/sim/sim_view.h"

#include <stdlib.h>
#include <string.h>

struct hold {
  uint64_t confirmed; /* seq of the fact behind it in intake's log */
  int64_t decide_by_ms;
  int64_t minutes, points;
  uint32_t person;
  bool open;
};

struct books {
  const struct sim_history *history;
  struct view view;
  int64_t has[VIEW_PERSONS][3], held[VIEW_PERSONS][3], issued[3];
  uint32_t stars[VIEW_PERSONS];
  struct hold *holds;
  uint64_t hold_count, holds_open, postings;
  bool *settled; /* by seq of service_confirmed */
};

static const struct pd_event *intake_event(const struct books *books, uint64_t seq) {
  return books->history->events[PD_LOG_INTAKE][seq - 1];
}

static bool same(ProtobufCBinaryData a, ProtobufCBinaryData b) {
  return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

/* The latest start or finish of this slot by this volunteer before a seq of intake's log. */
static const struct pd_event *before(const struct books *books, uint64_t seq, pd_event_kind kind,
                                     const struct pd_service_confirmed *of) {
  for (uint64_t at = seq - 1; at >= 1; at--) {
    const struct pd_event *event = intake_event(books, at);
    if (event->body_case != kind) continue;
    if (kind == PD_EVENT_SERVICE_STARTED && event->service_started->order == of->order &&
        event->service_started->slot == of->slot &&
        same(event->service_started->volunteer, of->volunteer))
      return event;
    if (kind == PD_EVENT_SERVICE_FINISHED && event->service_finished->order == of->order &&
        event->service_finished->slot == of->slot &&
        same(event->service_finished->volunteer, of->volunteer))
      return event;
  }
  return NULL;
}

static bool was_filled(const struct books *books, const struct pd_service_confirmed *of) {
  for (size_t i = 0; i < books->history->count[PD_LOG_MATCHING]; i++) {
    const struct pd_event *event = books->history->events[PD_LOG_MATCHING][i];
    if (event->body_case != PD_EVENT_SLOT_FILLED) continue;
    const struct pd_slot_filled *body = event->slot_filled;
    if (body->order == of->order && body->slot == of->slot && same(body->volunteer, of->volunteer))
      return true;
  }
  return false;
}

/* What a confirmation is worth, and whether two parties spoke. */
struct worth {
  int64_t minutes, points;
  bool proxied;
};

static struct worth worth_of(const struct books *books, const struct pd_event *confirmed) {
  struct sim *sim = books->view.sim;
  const struct pd_service_confirmed *body = confirmed->service_confirmed;
  const struct pd_event *start = before(books, confirmed->seq, PD_EVENT_SERVICE_STARTED, body);
  const struct pd_event *finish = before(books, confirmed->seq, PD_EVENT_SERVICE_FINISHED, body);
  bool whole =
      start != NULL && finish != NULL && start->seq < finish->seq && was_filled(books, body);
  sim_expect(sim, whole, "P5 order %llu slot %u: posted without the whole chain",
             (unsigned long long)body->order, body->slot);
  int64_t served = (finish->time_ms - start->time_ms) / 60000;
  if (served < 1) served = 1;
  if (served > 1440) served = 1440;
  sim_expect(sim, finish->service_finished->minutes == served, "P5 served %lld minutes, not %u",
             (long long)served, finish->service_finished->minutes);
  sim_expect(sim, body->minutes >= 1 && body->minutes <= served, "P5 more granted than served");
  bool told = strcmp(start->service_started->principal, start->origin->principal) == 0 &&
              strcmp(finish->service_finished->principal, finish->origin->principal) == 0;
  sim_expect(sim, told, "P5 a principal is not who spoke");
  struct worth worth = {.minutes = body->minutes, .points = body->minutes / 30};
  worth.proxied = strcmp(start->service_started->principal, body->principal) == 0 ||
                  strcmp(finish->service_finished->principal, body->principal) == 0;
  return worth;
}

/* ---- lines ---- */

static void book(struct books *books, struct pd_posting_line *const *lines, size_t count) {
  struct sim *sim = books->view.sim;
  int64_t sum[3] = {0};
  for (size_t i = 0; i < count; i++) {
    const struct pd_posting_line *line = lines[i];
    sim_expect(sim, line->unit == PD_UNIT_MINUTES || line->unit == PD_UNIT_POINTS, "P5 unit");
    sum[line->unit] += line->amount;
    if (line->account == PD_ACCOUNT_ISSUED) {
      books->issued[line->unit] += line->amount;
      continue;
    }
    uint32_t person = view_person(&books->view, line->person);
    bool held = line->account == PD_ACCOUNT_HELD;
    int64_t *side = held ? books->held[person] : books->has[person];
    side[line->unit] += line->amount;
    sim_expect(sim, side[line->unit] >= 0, "P5 an account falls under zero");
  }
  sim_expect(sim, sum[1] == 0 && sum[2] == 0, "P5 a posting does not sum to zero");
}

/* The lines say exactly this much, from one account to the other. */
static void check_lines(const struct books *books, struct pd_posting_line *const *lines,
                        size_t count, uint32_t person, enum pd_account from, enum pd_account to,
                        int64_t minutes, int64_t points) {
  int64_t moved[4][3] = {{0}};
  for (size_t i = 0; i < count; i++) {
    moved[lines[i]->account][lines[i]->unit] += lines[i]->amount;
    if (lines[i]->account != PD_ACCOUNT_ISSUED)
      sim_expect(books->view.sim, view_person(&books->view, lines[i]->person) == person,
                 "P5 posted to another person");
  }
  bool right = moved[to][PD_UNIT_MINUTES] == minutes && moved[to][PD_UNIT_POINTS] == points &&
               moved[from][PD_UNIT_MINUTES] == -minutes && moved[from][PD_UNIT_POINTS] == -points;
  sim_expect(books->view.sim, right, "P5 %lld minutes and %lld points were due", (long long)minutes,
             (long long)points);
}

/* ---- events ---- */

/* The confirmation that this answers; it settles its slot, once. */
static const struct pd_event *settle(struct books *books, const struct pd_event *event,
                                     uint64_t order, uint32_t slot) {
  struct sim *sim = books->view.sim;
  bool caused = event->cause != NULL && event->cause->log == PD_LOG_INTAKE;
  sim_expect(sim, caused, "P5 a posting without a cause");
  const struct pd_event *cause = intake_event(books, event->cause->seq);
  bool right = cause->body_case == PD_EVENT_SERVICE_CONFIRMED &&
               cause->service_confirmed->order == order && cause->service_confirmed->slot == slot;
  sim_expect(sim, right, "P5 a posting for something else than a confirmation");
  for (uint64_t at = 1; at <= books->history->count[PD_LOG_INTAKE]; at++) {
    if (!books->settled[at]) continue;
    const struct pd_service_confirmed *other = intake_event(books, at)->service_confirmed;
    sim_expect(sim, other->order != order || other->slot != slot,
               "P5 order %llu slot %u is posted twice", (unsigned long long)order, slot);
  }
  books->settled[cause->seq] = true;
  return cause;
}

static void on_posted(struct books *books, const struct pd_event *event) {
  const struct pd_points_posted *body = event->points_posted;
  const struct pd_event *cause = settle(books, event, body->order, body->slot);
  struct worth worth = worth_of(books, cause);
  sim_expect(books->view.sim, !worth.proxied, "P5 posted, though one principal said both");
  sim_expect(books->view.sim, body->posting == ++books->postings, "P5 postings are not counted");
  check_lines(books, body->lines, body->n_lines,
              view_person(&books->view, cause->service_confirmed->volunteer), PD_ACCOUNT_ISSUED,
              PD_ACCOUNT_PERSON, worth.minutes, worth.points);
  book(books, body->lines, body->n_lines);
}

static void on_held(struct books *books, const struct pd_event *event) {
  const struct pd_hold_placed *body = event->hold_placed;
  struct sim *sim = books->view.sim;
  const struct pd_event *cause = settle(books, event, body->order, body->slot);
  struct worth worth = worth_of(books, cause);
  sim_expect(sim, worth.proxied, "P5 held, though two principals spoke");
  sim_expect(sim, body->hold == ++books->hold_count, "P6 holds are not counted");
  sim_expect(sim, body->decide_by_ms == event->time_ms + SIM_HOLD_MS, "P6 another last day");
  sim_expect(sim, ++books->holds_open <= sim->limits.holds, "limits: more holds than there may be");
  struct hold *hold = &books->holds[body->hold];
  *hold = (struct hold){.confirmed = cause->seq,
                        .decide_by_ms = body->decide_by_ms,
                        .minutes = worth.minutes,
                        .points = worth.points,
                        .person = view_person(&books->view, cause->service_confirmed->volunteer),
                        .open = true};
  check_lines(books, body->lines, body->n_lines, hold->person, PD_ACCOUNT_ISSUED, PD_ACCOUNT_HELD,
              worth.minutes, worth.points);
  book(books, body->lines, body->n_lines);
}

/* Decided by somebody who is none of the three, in time, as he said. */
static void check_decision(const struct books *books, const struct pd_event *event,
                           const struct hold *hold) {
  struct sim *sim = books->view.sim;
  const struct pd_hold_resolved *body = event->hold_resolved;
  sim_expect(sim, event->cause != NULL, "P6 resolved without a decision");
  const struct pd_event *cause = intake_event(books, event->cause->seq);
  sim_expect(sim,
             cause->body_case == PD_EVENT_HOLD_DECIDED && cause->hold_decided->hold == body->hold,
             "P6 resolved by something else");
  bool posted = body->outcome == PD_HOLD_OUTCOME_POSTED;
  sim_expect(sim, posted == (cause->hold_decided->approve != 0), "P6 resolved the other way");
  sim_expect(sim, cause->time_ms < hold->decide_by_ms, "P6 decided too late");
  const struct pd_event *confirmed = intake_event(books, hold->confirmed);
  const struct pd_service_confirmed *of = confirmed->service_confirmed;
  const char *who = cause->hold_decided->principal;
  const struct pd_event *start = before(books, confirmed->seq, PD_EVENT_SERVICE_STARTED, of);
  const struct pd_event *finish = before(books, confirmed->seq, PD_EVENT_SERVICE_FINISHED, of);
  bool third = strcmp(who, of->principal) != 0 &&
               strcmp(who, start->service_started->principal) != 0 &&
               strcmp(who, finish->service_finished->principal) != 0;
  sim_expect(sim, third, "P6 decided by one of the parties");
}

static void on_resolved(struct books *books, const struct pd_event *event) {
  const struct pd_hold_resolved *body = event->hold_resolved;
  struct sim *sim = books->view.sim;
  sim_expect(sim,
             body->hold >= 1 && body->hold <= books->hold_count && books->holds[body->hold].open,
             "P6 hold %llu is resolved, but not open", (unsigned long long)body->hold);
  struct hold *hold = &books->holds[body->hold];
  bool full = books->holds_open == sim->limits.holds;
  if (body->outcome == PD_HOLD_OUTCOME_TIMED_OUT)
    sim_expect(sim, event->time_ms >= hold->decide_by_ms || full, "P6 timed out too early");
  else
    check_decision(books, event, hold);
  hold->open = false;
  books->holds_open--;
  bool posted = body->outcome == PD_HOLD_OUTCOME_POSTED;
  check_lines(books, body->lines, body->n_lines, hold->person, PD_ACCOUNT_HELD,
              posted ? PD_ACCOUNT_PERSON : PD_ACCOUNT_ISSUED, hold->minutes, hold->points);
  book(books, body->lines, body->n_lines);
}

static void on_star(struct books *books, const struct pd_event *event) {
  const struct pd_star_reached *body = event->star_reached;
  uint32_t person = view_person(&books->view, body->person);
  sim_expect(books->view.sim, body->star == ++books->stars[person], "a star is said twice");
  int64_t has = books->has[person][PD_UNIT_MINUTES];
  sim_expect(books->view.sim,
             has >= sim_star_minutes[body->star - 1] && (uint64_t)has == body->minutes,
             "a star with %lld minutes", (long long)has);
}

static void each(void *context, const struct pd_event *event) {
  struct books *books = context;
  if (event->log == PD_LOG_INTAKE) view_registry(&books->view, event);
  if (event->log != PD_LOG_POINTS) return;
  if (event->body_case == PD_EVENT_POINTS_POSTED) on_posted(books, event);
  if (event->body_case == PD_EVENT_HOLD_PLACED) on_held(books, event);
  if (event->body_case == PD_EVENT_HOLD_RESOLVED) on_resolved(books, event);
  if (event->body_case == PD_EVENT_STAR_REACHED) on_star(books, event);
}

/* ---- the end ---- */

static void check_balances(const struct books *books) {
  struct sim *sim = books->view.sim;
  const struct sim_daemon *daemon = sim_leader(sim, PD_LOG_POINTS);
  for (enum pd_unit unit = PD_UNIT_MINUTES; unit <= PD_UNIT_POINTS; unit++) {
    int64_t all = books->issued[unit];
    for (uint32_t i = 0; i < books->view.person_count; i++) {
      const struct pd_id *id = &books->view.persons[i].id;
      bool same_books = points_balance(daemon->turn.self, id, unit) == books->has[i][unit] &&
                        points_held(daemon->turn.self, id, unit) == books->held[i][unit];
      sim_expect(sim, same_books, "P5 the ledger added up anew is another");
      all += books->has[i][unit] + books->held[i][unit];
    }
    sim_expect(sim, all == 0, "P5 the ledger does not sum to zero");
  }
}

static void check_stars(const struct books *books) {
  for (uint32_t i = 0; i < books->view.person_count; i++) {
    uint32_t due = 0;
    while (due < 5 && books->has[i][PD_UNIT_MINUTES] >= sim_star_minutes[due]) due++;
    sim_expect(books->view.sim, books->stars[i] == due, "%u stars are due, %u were said", due,
               books->stars[i]);
  }
}

/* Nobody's hours are lost: each confirmation was posted or held; and a decision that counts was
 * not overheard. */
static void check_complete(const struct books *books) {
  struct sim *sim = books->view.sim;
  for (uint64_t at = 1; at <= books->history->count[PD_LOG_INTAKE]; at++) {
    const struct pd_event *event = intake_event(books, at);
    if (event->body_case == PD_EVENT_SERVICE_CONFIRMED)
      sim_expect(sim, books->settled[at], "P5 order %llu slot %u: hours were lost",
                 (unsigned long long)event->service_confirmed->order,
                 event->service_confirmed->slot);
  }
  sim_expect(sim, books->holds_open == 0, "P6 a hold is never resolved");
}

void sim_check_points(struct sim *sim, const struct sim_history *history) {
  struct books *books = calloc(1, sizeof *books);
  pd_assert(books != NULL);
  books->history = history;
  view_init(&books->view, history);
  books->holds = calloc(history->count[PD_LOG_POINTS] + 1, sizeof *books->holds);
  books->settled = calloc(history->count[PD_LOG_INTAKE] + 1, sizeof *books->settled);
  pd_assert(books->holds != NULL && books->settled != NULL);
  sim_history_walk(history, PD_LOG_POINTS, each, NULL, books);
  check_complete(books);
  check_balances(books);
  check_stars(books);
  view_free(&books->view);
  free(books->holds);
  free(books->settled);
  free(books);
  (void)sim;
}
