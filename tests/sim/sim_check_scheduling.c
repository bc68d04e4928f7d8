/* Scheduling's promises: every deadline is said once, not before its time, and, when nothing was
 * wrong, at its time. */
#include "tests/sim/sim_view.h"

#include <stdlib.h>
#include <string.h>

#define MINUTE INT64_C(60000)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define PROMPT (3 * 1000) /* how late a deadline may be when nothing is wrong */

struct task {
  uint64_t number;
  uint32_t said_stages, escalated;
  bool closed, staffed, served, confirm_reminded, confirmed, wave_open;
  int64_t free_ms, placed_ms, latest_ms, end_ms, length_ms, served_ms, confirmed_ms, touched_ms,
      wave_ends_ms, calls_end_ms;
  uint32_t wave;
  struct {
    uint32_t holder; /* index plus 1 */
    bool started, finished, no_show, start_reminded, finish_reminded;
    int64_t start_ms, end_ms, filled_ms;
  } slots[VIEW_SLOTS];
};

struct desk {
  struct view view;
  struct task *tasks;
  int64_t day_ms, stirred_ms; /* the latest day; the first order since */
  bool exact; /* no fault: deadlines come at their time */
};

/* `known_ms`: when another daemon said what makes it due, by that daemon's clock, which a jump may
 * leave ahead of this one's. */
static void expect_known(const struct desk *desk, const struct pd_event *event, int64_t due_ms,
                         int64_t known_ms) {
  struct sim *sim = desk->view.sim;
  sim_expect(sim, event->time_ms >= due_ms, "scheduling %llu: %lld ms too early",
             (unsigned long long)event->seq, (long long)(due_ms - event->time_ms));
  if (known_ms > due_ms) due_ms = known_ms;
  sim_expect(sim, !desk->exact || event->time_ms <= due_ms + PROMPT,
             "scheduling %llu: %lld ms too late", (unsigned long long)event->seq,
             (long long)(event->time_ms - due_ms));
}

static void expect_time(const struct desk *desk, const struct pd_event *event, int64_t due_ms) {
  expect_known(desk, event, due_ms, due_ms);
}

static struct task *task_of(struct desk *desk, uint64_t number) {
  if (number < 1 || number > desk->view.order_count) return NULL;
  return desk->tasks[number].number != 0 ? &desk->tasks[number] : NULL;
}

static struct task *live(struct desk *desk, const struct pd_event *event, uint64_t number) {
  struct task *task = task_of(desk, number);
  sim_expect(desk->view.sim, task != NULL && !task->closed,
             "scheduling %llu: a deadline of an order that is over",
             (unsigned long long)event->seq);
  return task;
}

static void once(const struct desk *desk, const struct pd_event *event, bool said) {
  sim_expect(desk->view.sim, !said, "scheduling %llu: said twice", (unsigned long long)event->seq);
}

/* ---- what it says ---- */

static void on_wave_due(struct desk *desk, const struct pd_event *event) {
  struct task *task = live(desk, event, event->wave_due->order);
  sim_expect(desk->view.sim, event->wave_due->wave == task->wave && !task->served && !task->staffed,
             "scheduling %llu: another wave is due", (unsigned long long)event->seq);
  int64_t pause = (task->latest_ms - task->touched_ms) / 4;
  if (pause > HOUR) pause = HOUR;
  if (pause < 10 * MINUTE) pause = 10 * MINUTE;
  int64_t due = task->wave_open ? task->wave_ends_ms : task->touched_ms + pause;
  if (task->calls_end_ms != 0 && task->calls_end_ms < due) due = task->calls_end_ms;
  expect_time(desk, event, due);
  if (event->time_ms >= task->calls_end_ms) task->calls_end_ms = 0;
  if (task->wave_open && event->time_ms < task->wave_ends_ms) return;
  task->wave_open = false;
  task->touched_ms = event->time_ms;
}

static void on_escalated(struct desk *desk, const struct pd_event *event) {
  const struct pd_order_escalated *body = event->order_escalated;
  struct task *task = live(desk, event, body->order);
  once(desk, event, (task->escalated >> body->level & 1) != 0);
  task->escalated |= 1u << body->level;
  bool right = !task->staffed && body->site >= 1 &&
               (body->level == PD_SITE_LEVEL_CENTER || body->level == PD_SITE_LEVEL_INSTITUTE);
  sim_expect(desk->view.sim, right, "scheduling %llu: escalated", (unsigned long long)event->seq);
  int64_t way = task->latest_ms - task->placed_ms;
  int64_t due = task->placed_ms + way * (body->level == PD_SITE_LEVEL_CENTER ? 75 : 50) / 100;
  sim_expect(desk->view.sim, event->time_ms >= due, "scheduling %llu: escalated too early",
             (unsigned long long)event->seq);
}

static void on_expired(struct desk *desk, const struct pd_event *event) {
  const struct pd_order_expired *body = event->order_expired;
  struct task *task = live(desk, event, body->order);
  once(desk, event, (task->said_stages >> body->stage & 1) != 0);
  task->said_stages |= 1u << body->stage;
  int64_t from = task->confirmed_ms > task->served_ms ? task->confirmed_ms : task->served_ms;
  bool after = body->stage == PD_ORDER_STAGE_CONFIRMATION || body->stage == PD_ORDER_STAGE_RATING;
  sim_expect(desk->view.sim, after == task->served, "scheduling %llu: another stage",
             (unsigned long long)event->seq);
  if (body->stage == PD_ORDER_STAGE_STAFFING) {
    sim_expect(desk->view.sim, !task->staffed, "scheduling %llu: staffing",
               (unsigned long long)event->seq);
    expect_known(desk, event, task->latest_ms, task->free_ms);
  } else if (body->stage == PD_ORDER_STAGE_SERVICE) {
    expect_time(desk, event, task->end_ms + task->length_ms + HOUR);
  } else if (body->stage == PD_ORDER_STAGE_CONFIRMATION) {
    sim_expect(desk->view.sim, event->time_ms >= task->served_ms + 7 * DAY, "too early");
  } else {
    expect_time(desk, event, from + 7 * DAY);
  }
}

static void on_no_show(struct desk *desk, const struct pd_event *event) {
  const struct pd_no_show_noted *body = event->no_show_noted;
  struct task *task = live(desk, event, body->order);
  uint32_t person = view_person(&desk->view, body->volunteer) + 1;
  bool booked = body->slot >= 1 && body->slot < VIEW_SLOTS &&
                task->slots[body->slot].holder == person && !task->slots[body->slot].started;
  sim_expect(desk->view.sim, booked && !task->served, "scheduling %llu: a no-show of nobody",
             (unsigned long long)event->seq);
  once(desk, event, task->slots[body->slot].no_show);
  task->slots[body->slot].no_show = true;
  int64_t due = task->slots[body->slot].start_ms + 30 * MINUTE;
  expect_known(desk, event, due, task->slots[body->slot].filled_ms);
}

static void on_slot_reminder(struct desk *desk, const struct pd_event *event) {
  const struct pd_reminder_due *body = event->reminder_due;
  struct task *task = live(desk, event, body->order);
  uint32_t person = view_person(&desk->view, body->person) + 1;
  bool known =
      body->slot >= 1 && body->slot < VIEW_SLOTS && task->slots[body->slot].holder == person;
  sim_expect(desk->view.sim, known, "scheduling %llu: reminds nobody",
             (unsigned long long)event->seq);
  bool start = body->kind == PD_REMINDER_KIND_START;
  bool *said =
      start ? &task->slots[body->slot].start_reminded : &task->slots[body->slot].finish_reminded;
  once(desk, event, *said);
  *said = true;
  bool began = task->slots[body->slot].started, ended = task->slots[body->slot].finished;
  sim_expect(desk->view.sim, start ? !began : began && !ended,
             "scheduling %llu: reminds of what is done", (unsigned long long)event->seq);
  int64_t due = start ? task->slots[body->slot].start_ms - HOUR : task->slots[body->slot].end_ms;
  sim_expect(desk->view.sim, event->time_ms >= due, "scheduling %llu: reminds too early",
             (unsigned long long)event->seq);
}

static void on_reminder(struct desk *desk, const struct pd_event *event) {
  if (event->reminder_due->kind != PD_REMINDER_KIND_CONFIRM) {
    on_slot_reminder(desk, event);
    return;
  }
  struct task *task = live(desk, event, event->reminder_due->order);
  once(desk, event, task->confirm_reminded);
  task->confirm_reminded = true;
  sim_expect(desk->view.sim,
             task->served && !task->confirmed && event->time_ms >= task->served_ms + DAY,
             "scheduling %llu: to confirm", (unsigned long long)event->seq);
}

/* A day begins at a local midnight, once, after a day with an order. */
static void on_day(struct desk *desk, const struct pd_event *event) {
  int64_t start = event->day_began->start_ms;
  bool right = (start + SIM_ZONE_MIN * MINUTE) % DAY == 0 && start > desk->day_ms &&
               event->time_ms >= start && event->time_ms < start + DAY;
  sim_expect(desk->view.sim, right, "scheduling %llu: a day that does not begin",
             (unsigned long long)event->seq);
  sim_expect(desk->view.sim, desk->stirred_ms != 0, "scheduling %llu: a day without an order",
             (unsigned long long)event->seq);
  int64_t into = (desk->stirred_ms + SIM_ZONE_MIN * MINUTE) % DAY;
  int64_t due = desk->stirred_ms - into + DAY;
  sim_expect(desk->view.sim, !desk->exact || event->time_ms <= due + PROMPT,
             "scheduling %llu: the day began earlier", (unsigned long long)event->seq);
  desk->day_ms = start;
  desk->stirred_ms = 0;
}

/* ---- what it hears ---- */

static void hear_placed(struct desk *desk, const struct pd_event *event) {
  const struct pd_order_placed *body = event->order_placed;
  desk->tasks[body->order] =
      (struct task){.number = body->order,
                    .placed_ms = event->time_ms,
                    .free_ms = event->time_ms,
                    .touched_ms = event->time_ms,
                    .length_ms = body->minutes * MINUTE,
                    .end_ms = body->window_end_ms,
                    .latest_ms = body->window_end_ms - body->minutes * MINUTE};
}

static void hear_filled(struct desk *desk, const struct pd_event *event) {
  const struct pd_slot_filled *body = event->slot_filled;
  struct task *task = task_of(desk, body->order);
  if (task == NULL || task->closed || body->slot < 1 || body->slot >= VIEW_SLOTS) return;
  if (task->slots[body->slot].holder != 0 && task->slots[body->slot].started) return;
  memset(&task->slots[body->slot], 0, sizeof task->slots[body->slot]);
  task->slots[body->slot].holder = view_person(&desk->view, body->volunteer) + 1;
  task->slots[body->slot].started = body->started != 0;
  task->slots[body->slot].filled_ms = event->time_ms;
  task->slots[body->slot].start_ms = body->start_ms;
  task->slots[body->slot].end_ms = body->end_ms;
}

static void hear_reopened(struct desk *desk, const struct pd_event *event) {
  const struct pd_slot_reopened *body = event->slot_reopened;
  struct task *task = task_of(desk, body->order);
  if (task == NULL || body->slot < 1 || body->slot >= VIEW_SLOTS) return;
  if (task->slots[body->slot].holder != view_person(&desk->view, body->volunteer) + 1) return;
  if (!task->slots[body->slot].started) task->slots[body->slot].holder = 0;
  task->staffed = false;
  task->touched_ms = task->free_ms = event->time_ms;
}

static void hear_service(struct desk *desk, uint64_t number, uint32_t slot,
                         ProtobufCBinaryData volunteer, bool finished) {
  struct task *task = task_of(desk, number);
  if (task == NULL || slot < 1 || slot >= VIEW_SLOTS) return;
  if (task->slots[slot].holder != view_person(&desk->view, volunteer) + 1) return;
  task->slots[slot].started = true;
  task->slots[slot].finished = finished;
  if (finished) task->confirmed = false;
}

static void hear_matching(struct desk *desk, const struct pd_event *event) {
  if (event->body_case == PD_EVENT_SLOT_FILLED) hear_filled(desk, event);
  if (event->body_case == PD_EVENT_SLOT_REOPENED) hear_reopened(desk, event);
  if (event->body_case == PD_EVENT_WAVE_OPENED) {
    struct task *task = task_of(desk, event->wave_opened->order);
    if (task == NULL || task->served) return;
    task->wave = event->wave_opened->wave;
    task->wave_open = true;
    int64_t ends = event->wave_opened->expires_at_ms, next = event->wave_opened->next_at_ms;
    task->wave_ends_ms = next != 0 ? next : ends;
    if (next != 0 && ends > task->calls_end_ms) task->calls_end_ms = ends;
    task->touched_ms = event->time_ms;
  }
  if (event->body_case == PD_EVENT_OFFER_MADE &&
      event->offer_made->how == PD_OFFER_HOW_COMMANDED) {
    struct task *task = task_of(desk, event->offer_made->order);
    int64_t ends = event->offer_made->expires_at_ms;
    if (task != NULL && !task->served && ends > task->calls_end_ms) task->calls_end_ms = ends;
  }
  if (event->body_case == PD_EVENT_ORDER_UNMATCHED) {
    struct task *task = task_of(desk, event->order_unmatched->order);
    if (task == NULL || task->served) return;
    task->wave = event->order_unmatched->wave;
    task->wave_open = false;
    task->touched_ms = event->time_ms;
  }
  if (event->body_case == PD_EVENT_ORDER_STAFFED) {
    struct task *task = task_of(desk, event->order_staffed->order);
    if (task == NULL) return;
    task->staffed = true;
    task->wave_open = false;
    task->calls_end_ms = 0;
  }
}

static void hear_intake(struct desk *desk, const struct pd_event *event) {
  view_registry(&desk->view, event);
  if (event->body_case == PD_EVENT_ORDER_PLACED) {
    hear_placed(desk, event);
    if (desk->stirred_ms == 0) desk->stirred_ms = event->time_ms;
  }
  if (event->body_case == PD_EVENT_SERVICE_STARTED)
    hear_service(desk, event->service_started->order, event->service_started->slot,
                 event->service_started->volunteer, false);
  if (event->body_case == PD_EVENT_SERVICE_FINISHED)
    hear_service(desk, event->service_finished->order, event->service_finished->slot,
                 event->service_finished->volunteer, true);
  if (event->body_case == PD_EVENT_ORDER_SERVED) {
    struct task *task = task_of(desk, event->order_served->order);
    if (!task->served) task->served_ms = event->time_ms;
    task->served = true;
  }
  if (event->body_case == PD_EVENT_SERVICE_CONFIRMED && event->service_confirmed->last) {
    struct task *task = task_of(desk, event->service_confirmed->order);
    task->confirmed = true;
    task->confirmed_ms = event->time_ms;
  }
  if (event->body_case == PD_EVENT_ORDER_CLOSED)
    task_of(desk, event->order_closed->order)->closed = true;
}

/* When an order that nobody looks for any more must have had its next stage; 0: it had. */
static int64_t next_stage(const struct task *task) {
  bool service = (task->said_stages >> PD_ORDER_STAGE_SERVICE & 1) != 0;
  bool confirmation = (task->said_stages >> PD_ORDER_STAGE_CONFIRMATION & 1) != 0;
  bool rating = (task->said_stages >> PD_ORDER_STAGE_RATING & 1) != 0;
  int64_t from = task->confirmed_ms > task->served_ms ? task->confirmed_ms : task->served_ms;
  if (!task->served) return service ? 0 : task->end_ms + task->length_ms + HOUR;
  if (!task->confirmed) return confirmation ? 0 : task->served_ms + 7 * DAY;
  return rating ? 0 : from + 7 * DAY;
}

/* Nothing that an open order waits for is overdue. */
static void check_overdue(const struct desk *desk, const struct pd_event *event) {
  if (!desk->exact || event->log != PD_LOG_SCHEDULING) return;
  for (uint64_t i = 1; i <= desk->view.order_count; i++) {
    const struct task *task = &desk->tasks[i];
    bool searching = task->number != 0 && !task->closed && !task->staffed && !task->served &&
                     (task->said_stages >> PD_ORDER_STAGE_STAFFING & 1) == 0;
    int64_t latest = task->latest_ms > task->free_ms ? task->latest_ms : task->free_ms;
    int64_t wave = task->wave_open ? task->wave_ends_ms : task->touched_ms + HOUR;
    int64_t stage = task->number != 0 && !task->closed ? next_stage(task) : 0;
    sim_expect(desk->view.sim, stage == 0 || event->time_ms <= stage + PROMPT,
               "scheduling %llu: order %llu waits for its stage", (unsigned long long)event->seq,
               (unsigned long long)i);
    bool late = event->time_ms > latest + PROMPT || event->time_ms > wave + PROMPT;
    sim_expect(desk->view.sim, !searching || !late,
               "scheduling %llu: order %llu waits for something overdue",
               (unsigned long long)event->seq, (unsigned long long)i);
  }
}

static void each(void *context, const struct pd_event *event) {
  struct desk *desk = context;
  check_overdue(desk, event);
  if (event->log == PD_LOG_INTAKE) hear_intake(desk, event);
  if (event->log == PD_LOG_MATCHING) hear_matching(desk, event);
  if (event->body_case == PD_EVENT_DAY_BEGAN) on_day(desk, event);
  if (event->body_case == PD_EVENT_WAVE_DUE) on_wave_due(desk, event);
  if (event->body_case == PD_EVENT_ORDER_ESCALATED) on_escalated(desk, event);
  if (event->body_case == PD_EVENT_ORDER_EXPIRED) on_expired(desk, event);
  if (event->body_case == PD_EVENT_NO_SHOW_NOTED) on_no_show(desk, event);
  if (event->body_case == PD_EVENT_REMINDER_DUE) on_reminder(desk, event);
}

void sim_check_scheduling(struct sim *sim, const struct sim_history *history) {
  struct desk *desk = calloc(1, sizeof *desk);
  pd_assert(desk != NULL);
  view_init(&desk->view, history);
  desk->exact = sim->options.faults == 0;
  desk->tasks = calloc(desk->view.order_count + 1, sizeof *desk->tasks);
  pd_assert(desk->tasks != NULL);
  sim_history_walk(history, PD_LOG_SCHEDULING, each, NULL, desk);
  view_free(&desk->view);
  free(desk->tasks);
  free(desk);
}
