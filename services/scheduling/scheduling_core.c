#include "services/scheduling/scheduling_core.h"

#include "common/base/calendar.h"
#include "common/base/err.h"
#include "common/base/heap.h"
#include "services/scheduling/due.h"

/* The contract's range of slots. */
#define SLOT_MAX 64
/* Times of foreign events are kept within this, so that no sum overflows (year 287,396). */
#define TIME_MAX (INT64_C(1) << 53)
#define LENGTH_MAX_MIN 1440

const struct scheduling_policy scheduling_policy_default = {
    .retry_min_ms = 10 * PD_MINUTE_MS,
    .retry_max_ms = PD_HOUR_MS,
    .retry_divisor = 4,
    .institute_percent = 50,
    .center_percent = 75,
    .service_grace_ms = PD_HOUR_MS,
    .confirm_reminder_ms = PD_DAY_MS,
    .confirmation_ms = 7 * PD_DAY_MS,
    .rating_ms = 7 * PD_DAY_MS,
    .start_reminder_ms = PD_HOUR_MS,
    .no_show_ms = 30 * PD_MINUTE_MS,
    .events_each_call = 1000,
};

/* Derived from the image and the policy; outside of both. */
struct timers {
  struct pd_heap heap;
  uint64_t folded; /* the state they were computed from, as in facts */
};

/* In the image. */
struct facts {
  uint64_t folded; /* events applied */
  int64_t day_ms;  /* local midnight of the day that has begun; 0: none yet */
  uint64_t orders; /* placed since then */
};

struct scheduling {
  struct scheduling_policy policy;
  struct scheduling_jobs jobs;
  struct timers *timers;
  struct facts *facts;
  int32_t zone_min;
  uint32_t zero;
};

static void *init(struct pd_arena *arena, const struct pd_limits *limits,
                  const struct pd_shard *shard, const void *policy) {
  struct scheduling *self = PD_ARENA_ARRAY(arena, struct scheduling, 1);
  self->zone_min = shard->zone_min;
  self->policy = scheduling_policy_default;
  if (policy != NULL) self->policy = *(const struct scheduling_policy *)policy;
  pd_assert(self->policy.retry_divisor > 0 && self->policy.retry_min_ms > 0);
  pd_assert(self->policy.events_each_call > 0);
  self->timers = PD_ARENA_ARRAY(arena, struct timers, 1);
  pd_heap_init(&self->timers->heap, arena, limits->orders + limits->bookings + 1);
  pd_arena_begin_image(arena);
  self->facts = PD_ARENA_ARRAY(arena, struct facts, 1);
  scheduling_jobs_init(&self->jobs, arena, limits);
  return self;
}

/* ---- timers ---------------------------------------------------------------------------------- */

static uint32_t jobs_max(const struct scheduling *self) {
  return (uint32_t)self->jobs.free_jobs.capacity;
}

static uint32_t bookings_max(const struct scheduling *self) {
  return (uint32_t)self->jobs.free_bookings.capacity;
}

/* The day has a timer behind those of jobs and bookings. */
static uint32_t day_timer(const struct scheduling *self) {
  return jobs_max(self) + bookings_max(self);
}

/* The next day begins, if there is anything to tell of this one. */
static struct scheduling_due due_of_day(const struct scheduling *self) {
  pd_assert(self->facts->orders == 0 || self->facts->day_ms != 0);
  if (self->facts->orders == 0) return (struct scheduling_due){.when = PD_NEVER};
  return (struct scheduling_due){.when = self->facts->day_ms + PD_DAY_MS,
                                 .purpose = SCHEDULING_DAY};
}

static struct scheduling_due due_of(const struct scheduling *self, uint32_t what) {
  if (what < jobs_max(self)) return scheduling_due_of_job(&self->policy, &self->jobs.jobs[what]);
  if (what == day_timer(self)) return due_of_day(self);
  pd_assert(what - jobs_max(self) < bookings_max(self));
  const struct scheduling_booking *booking = &self->jobs.bookings[what - jobs_max(self)];
  if (booking->job == 0) return (struct scheduling_due){.when = PD_NEVER};
  return scheduling_due_of_booking(&self->policy, &self->jobs.jobs[booking->job - 1], booking);
}

static void set_timer(const struct scheduling *self, uint32_t what) {
  struct scheduling_due due = due_of(self, what);
  if (due.purpose == SCHEDULING_NOTHING)
    pd_heap_clear(&self->timers->heap, what);
  else
    pd_heap_set(&self->timers->heap, what, due.when);
  pd_assert(due.purpose == SCHEDULING_NOTHING || pd_heap_when(&self->timers->heap) <= due.when);
}

static void set_job_timer(const struct scheduling *self, const struct scheduling_job *job) {
  pd_assert(job->order != 0);
  set_timer(self, scheduling_job_at(&self->jobs, job));
}

static void set_booking_timer(const struct scheduling *self,
                              const struct scheduling_booking *booking) {
  set_timer(self, jobs_max(self) + scheduling_booking_at(&self->jobs, booking));
}

/* Compute every timer anew when the image is not the one that they were computed from: it was read
 * back. */
static void want_timers(const struct scheduling *self) {
  if (self->timers->folded == self->facts->folded) return;
  uint32_t all = day_timer(self) + 1;
  for (uint32_t what = 0; what < all; what++) set_timer(self, what);
  self->timers->folded = self->facts->folded;
  pd_assert(*self->timers->heap.count <= all);
}

/* ---- apply: facts of intake ------------------------------------------------------------------ */

static int64_t bounded_ms(int64_t time_ms) {
  if (time_ms > TIME_MAX) return TIME_MAX;
  return time_ms < 0 ? 0 : time_ms;
}

static int64_t midnight_of(const struct scheduling *self, int64_t time_ms) {
  return pd_date_ms(pd_date_of(time_ms, self->zone_min), self->zone_min);
}

/* An order: this day has something to tell of when it is over. */
static void note_day(struct scheduling *self, int64_t now_ms) {
  int64_t midnight_ms = midnight_of(self, now_ms);
  pd_assert(midnight_ms <= now_ms);
  if (self->facts->orders++ == 0 && midnight_ms > self->facts->day_ms)
    self->facts->day_ms = midnight_ms;
  pd_assert(self->facts->orders > 0);
  set_timer(self, day_timer(self));
}

static void on_order_placed(struct scheduling *self, const struct pd_order_placed *body,
                            int64_t now_ms) {
  struct scheduling_job *job = scheduling_job_add(&self->jobs, body->order);
  if (job == NULL) return;
  uint32_t minutes = body->minutes < LENGTH_MAX_MIN ? body->minutes : LENGTH_MAX_MIN;
  job->requester = PD_ID(body->requester);
  job->placed_ms = now_ms;
  job->touched_ms = now_ms;
  job->window_end_ms = bounded_ms(body->window_end_ms);
  job->length_ms = minutes * PD_MINUTE_MS;
  job->institute = scheduling_site_above(&self->jobs, body->site, PD_SITE_LEVEL_INSTITUTE);
  job->center = scheduling_site_above(&self->jobs, body->site, PD_SITE_LEVEL_CENTER);
  pd_assert(job->first == 0 && !job->served);
  set_job_timer(self, job);
}

static void drop_booking(struct scheduling *self, struct scheduling_job *job,
                         struct scheduling_booking *booking) {
  pd_assert(booking->job != 0);
  scheduling_booking_remove(&self->jobs, job, booking);
  set_booking_timer(self, booking);
}

static void on_order_closed(struct scheduling *self, const struct pd_order_closed *body) {
  struct scheduling_job *job = scheduling_job_find(&self->jobs, body->order);
  if (job == NULL) return;
  while (job->first != 0) drop_booking(self, job, &self->jobs.bookings[job->first - 1]);
  uint32_t at = scheduling_job_at(&self->jobs, job);
  scheduling_job_remove(&self->jobs, job);
  set_timer(self, at);
  pd_assert(job->order == 0);
}

static void on_service_started(struct scheduling *self, const struct pd_service_started *body) {
  struct scheduling_job *job = scheduling_job_find(&self->jobs, body->order);
  if (job == NULL) return;
  struct pd_id volunteer = PD_ID(body->volunteer);
  struct scheduling_booking *booking =
      scheduling_booking_of(&self->jobs, job, body->slot, &volunteer);
  if (booking == NULL) return;
  pd_assert(booking->slot == body->slot);
  booking->started = true;
  set_booking_timer(self, booking);
}

static void on_service_finished(struct scheduling *self, const struct pd_service_finished *body) {
  struct scheduling_job *job = scheduling_job_find(&self->jobs, body->order);
  if (job == NULL) return;
  struct pd_id volunteer = PD_ID(body->volunteer);
  struct scheduling_booking *booking =
      scheduling_booking_of(&self->jobs, job, body->slot, &volunteer);
  if (booking == NULL) return;
  booking->started = true;
  booking->finished = true;
  pd_assert(booking->job == scheduling_job_at(&self->jobs, job) + 1);
  job->confirmed = false; /* one more to confirm */
  set_booking_timer(self, booking);
  set_job_timer(self, job);
}

static void on_order_served(struct scheduling *self, const struct pd_order_served *body,
                            int64_t now_ms) {
  struct scheduling_job *job = scheduling_job_find(&self->jobs, body->order);
  if (job == NULL || job->served) return;
  job->served = true;
  job->served_ms = now_ms;
  job->wave_open = false;
  pd_assert(now_ms >= 0);
  set_job_timer(self, job);
  for (uint32_t link = job->first; link != 0; link = self->jobs.bookings[link - 1].next)
    set_booking_timer(self, &self->jobs.bookings[link - 1]);
}

static void on_service_confirmed(struct scheduling *self, const struct pd_service_confirmed *body,
                                 int64_t now_ms) {
  struct scheduling_job *job = scheduling_job_find(&self->jobs, body->order);
  if (job == NULL || !body->last) return;
  job->confirmed = true;
  job->confirmed_ms = now_ms;
  pd_assert(job->order == body->order);
  set_job_timer(self, job);
}

/* ---- apply: facts of matching ---------------------------------------------------------------- */

static void on_wave_opened(struct scheduling *self, const struct pd_wave_opened *body,
                           int64_t now_ms) {
  struct scheduling_job *job = scheduling_job_find(&self->jobs, body->order);
  if (job == NULL || job->served) return;
  job->wave = body->wave;
  job->wave_open = true;
  int64_t expires_ms = bounded_ms(body->expires_at_ms);
  bool phase = body->next_at_ms > 0; /* its offers outlive it */
  job->wave_ends_ms = phase ? bounded_ms(body->next_at_ms) : expires_ms;
  if (phase && expires_ms > job->calls_end_ms) job->calls_end_ms = expires_ms;
  pd_assert(job->wave_ends_ms >= 0 && job->wave_ends_ms <= TIME_MAX);
  job->touched_ms = now_ms;
  set_job_timer(self, job);
}

/* An offer that a coordinator asked for has a time of its own. */
static void on_offer_made(struct scheduling *self, const struct pd_offer_made *body) {
  struct scheduling_job *job = scheduling_job_find(&self->jobs, body->order);
  if (job == NULL || job->served || body->how != PD_OFFER_HOW_COMMANDED) return;
  int64_t ends_ms = bounded_ms(body->expires_at_ms);
  if (ends_ms > job->calls_end_ms) job->calls_end_ms = ends_ms;
  pd_assert(job->calls_end_ms <= TIME_MAX);
  set_job_timer(self, job);
}

static void on_order_unmatched(struct scheduling *self, const struct pd_order_unmatched *body,
                               int64_t now_ms) {
  struct scheduling_job *job = scheduling_job_find(&self->jobs, body->order);
  if (job == NULL || job->served) return;
  job->wave = body->wave;
  job->wave_open = false;
  job->touched_ms = now_ms;
  set_job_timer(self, job);
}

static void on_slot_filled(struct scheduling *self, const struct pd_slot_filled *body,
                           int64_t now_ms) {
  struct scheduling_job *job = scheduling_job_find(&self->jobs, body->order);
  if (job == NULL || body->slot == 0 || body->slot > SLOT_MAX) return;
  struct scheduling_booking *booking = scheduling_booking_find(&self->jobs, job, body->slot);
  if (booking != NULL && booking->started) return; /* intake lets nobody else start there */
  if (booking != NULL) drop_booking(self, job, booking);
  booking = scheduling_booking_add(&self->jobs, job, body->slot);
  if (booking == NULL) return;
  pd_assert(booking->said == 0 && !booking->started);
  booking->volunteer = PD_ID(body->volunteer);
  booking->filled_ms = now_ms;
  booking->start_ms = bounded_ms(body->start_ms);
  booking->end_ms = bounded_ms(body->end_ms);
  booking->started = body->started != 0;
  set_booking_timer(self, booking);
}

static void on_slot_reopened(struct scheduling *self, const struct pd_slot_reopened *body,
                             int64_t now_ms) {
  struct scheduling_job *job = scheduling_job_find(&self->jobs, body->order);
  if (job == NULL) return;
  struct pd_id volunteer = PD_ID(body->volunteer);
  struct scheduling_booking *booking =
      scheduling_booking_of(&self->jobs, job, body->slot, &volunteer);
  if (booking == NULL) return;
  if (!booking->started) drop_booking(self, job, booking); /* a start that crossed stands */
  job->staffed = false;
  job->touched_ms = now_ms;
  set_job_timer(self, job);
}

static void on_order_staffed(struct scheduling *self, const struct pd_order_staffed *body) {
  struct scheduling_job *job = scheduling_job_find(&self->jobs, body->order);
  if (job == NULL) return;
  job->staffed = true;
  job->wave_open = false;
  job->calls_end_ms = 0; /* every offer has ended */
  set_job_timer(self, job);
}

/* ---- apply: what this core said itself ------------------------------------------------------- */

static void said_of_job(struct scheduling *self, uint64_t order, enum scheduling_purpose purpose) {
  struct scheduling_job *job = scheduling_job_find(&self->jobs, order);
  if (job == NULL || purpose == SCHEDULING_NOTHING) return;
  pd_assert(purpose < SCHEDULING_START_REMINDER && purpose != SCHEDULING_WAVE);
  job->said |= SCHEDULING_BIT(purpose);
  set_job_timer(self, job);
}

static void said_of_booking(struct scheduling *self, uint64_t order, uint32_t slot,
                            struct pd_id volunteer, enum scheduling_purpose purpose) {
  struct scheduling_job *job = scheduling_job_find(&self->jobs, order);
  if (job == NULL) return;
  struct scheduling_booking *booking = scheduling_booking_of(&self->jobs, job, slot, &volunteer);
  if (booking == NULL) return;
  pd_assert(purpose >= SCHEDULING_START_REMINDER);
  booking->said |= SCHEDULING_BIT(purpose);
  set_booking_timer(self, booking);
}

static void on_wave_due(struct scheduling *self, const struct pd_wave_due *body, int64_t now_ms) {
  struct scheduling_job *job = scheduling_job_find(&self->jobs, body->order);
  if (job == NULL) return;
  if (now_ms >= job->calls_end_ms) job->calls_end_ms = 0;
  bool early = job->wave_open && now_ms < job->wave_ends_ms; /* it was about such an offer alone */
  if (!early) {
    job->wave_open = false;
    job->touched_ms = now_ms;
  }
  set_job_timer(self, job);
}

static void on_order_escalated(struct scheduling *self, const struct pd_order_escalated *body) {
  bool center = body->level == PD_SITE_LEVEL_CENTER;
  said_of_job(self, body->order, center ? SCHEDULING_CENTER : SCHEDULING_INSTITUTE);
}

static enum scheduling_purpose purpose_of_stage(enum pd_order_stage stage) {
  if (stage == PD_ORDER_STAGE_STAFFING) return SCHEDULING_STAFFING;
  if (stage == PD_ORDER_STAGE_SERVICE) return SCHEDULING_SERVICE;
  if (stage == PD_ORDER_STAGE_CONFIRMATION) return SCHEDULING_CONFIRMATION;
  return stage == PD_ORDER_STAGE_RATING ? SCHEDULING_RATING : SCHEDULING_NOTHING;
}

static void on_reminder_due(struct scheduling *self, const struct pd_reminder_due *body) {
  if (body->kind == PD_REMINDER_KIND_CONFIRM) {
    said_of_job(self, body->order, SCHEDULING_CONFIRM_REMINDER);
    return;
  }
  bool start = body->kind == PD_REMINDER_KIND_START;
  said_of_booking(self, body->order, body->slot, PD_ID(body->person),
                  start ? SCHEDULING_START_REMINDER : SCHEDULING_FINISH_REMINDER);
}

/* ---- apply ----------------------------------------------------------------------------------- */

static void fold(struct scheduling *self, const struct pd_event *event) {
  int64_t now_ms = bounded_ms(event->time_ms);
  switch (event->body_case) {
  case PD_EVENT_SITE_REGISTERED: {
    const struct pd_site_registered *body = event->site_registered;
    scheduling_site_note(&self->jobs, body->site, body->level, body->parent);
    return;
  }
  case PD_EVENT_ORDER_PLACED:
    note_day(self, now_ms);
    on_order_placed(self, event->order_placed, now_ms);
    return;
  case PD_EVENT_DAY_BEGAN:
    self->facts->day_ms = bounded_ms(event->day_began->start_ms);
    self->facts->orders = 0;
    set_timer(self, day_timer(self));
    return;
  case PD_EVENT_ORDER_CLOSED: on_order_closed(self, event->order_closed); return;
  case PD_EVENT_SERVICE_STARTED: on_service_started(self, event->service_started); return;
  case PD_EVENT_SERVICE_FINISHED: on_service_finished(self, event->service_finished); return;
  case PD_EVENT_ORDER_SERVED: on_order_served(self, event->order_served, now_ms); return;
  case PD_EVENT_SERVICE_CONFIRMED:
    on_service_confirmed(self, event->service_confirmed, now_ms);
    return;
  case PD_EVENT_WAVE_OPENED: on_wave_opened(self, event->wave_opened, now_ms); return;
  case PD_EVENT_OFFER_MADE: on_offer_made(self, event->offer_made); return;
  case PD_EVENT_ORDER_UNMATCHED: on_order_unmatched(self, event->order_unmatched, now_ms); return;
  case PD_EVENT_SLOT_FILLED: on_slot_filled(self, event->slot_filled, now_ms); return;
  case PD_EVENT_SLOT_REOPENED: on_slot_reopened(self, event->slot_reopened, now_ms); return;
  case PD_EVENT_ORDER_STAFFED: on_order_staffed(self, event->order_staffed); return;
  case PD_EVENT_WAVE_DUE: on_wave_due(self, event->wave_due, now_ms); return;
  case PD_EVENT_ORDER_ESCALATED: on_order_escalated(self, event->order_escalated); return;
  case PD_EVENT_ORDER_EXPIRED:
    said_of_job(self, event->order_expired->order, purpose_of_stage(event->order_expired->stage));
    return;
  case PD_EVENT_REMINDER_DUE: on_reminder_due(self, event->reminder_due); return;
  case PD_EVENT_NO_SHOW_NOTED:
    said_of_booking(self, event->no_show_noted->order, event->no_show_noted->slot,
                    PD_ID(event->no_show_noted->volunteer), SCHEDULING_NO_SHOW);
    return;
  /* Nothing of these is waited for. */
  case PD_EVENT_NOT_SET: case PD_EVENT_EPOCH_BEGAN: case PD_EVENT_INPUTS_NOTED:
  case PD_EVENT_TEAM_REGISTERED: case PD_EVENT_TEAM_JOINED: case PD_EVENT_VOLUNTEER_REGISTERED:
  case PD_EVENT_VOLUNTEER_PAUSED: case PD_EVENT_VOLUNTEER_RESUMED: case PD_EVENT_VOLUNTEER_EXITED:
  case PD_EVENT_RESIDENT_REGISTERED: case PD_EVENT_PERSON_ERASED: case PD_EVENT_ORDER_CANCELLED:
  case PD_EVENT_OFFER_ANSWERED: case PD_EVENT_VOLUNTEER_WITHDREW: case PD_EVENT_ORDER_RATED:
  case PD_EVENT_CREDENTIAL_RECORDED: case PD_EVENT_PAIR_BLOCKED:
  case PD_EVENT_HOLD_DECIDED: case PD_EVENT_OFFER_CLOSED:
  case PD_EVENT_POLICY_ADOPTED: case PD_EVENT_EXTERNAL_NOTED: case PD_EVENT_OFFER_COMMANDED:
  case PD_EVENT_ORDER_ASKED: case PD_EVENT_OFFER_DENIED: case PD_EVENT_COVERAGE_NOTED:
  case PD_EVENT_POINTS_POSTED: case PD_EVENT_HOLD_PLACED: case PD_EVENT_HOLD_RESOLVED:
  case PD_EVENT_STAR_REACHED: case PD_EVENT_MESSAGE_SENT: case PD_EVENT_MESSAGE_FAILED:
  case PD_EVENT_MESSAGE_SUPPRESSED: case PD_EVENT_CASE_SIZE:
    return;
  }
}

static void apply(void *core, const struct pd_event *event) {
  struct scheduling *self = core;
  want_timers(self);
  fold(self, event);
  self->timers->folded = ++self->facts->folded;
  pd_assert(self->facts->folded != 0);
}

/* ---- decide ---------------------------------------------------------------------------------- */

static void say_wave(struct pd_outbox *out, const struct scheduling_job *job) {
  pd_assert(!job->staffed && !job->served);
  struct pd_wave_due body = PD_WAVE_DUE_INIT;
  body.order = job->order;
  body.wave = job->wave;
  pd_emit_wave_due(out, &body);
}

static void say_escalated(struct pd_outbox *out, const struct scheduling_job *job,
                          enum pd_site_level level) {
  struct pd_order_escalated body = PD_ORDER_ESCALATED_INIT;
  body.order = job->order;
  body.level = level;
  body.site = level == PD_SITE_LEVEL_CENTER ? job->center : job->institute;
  pd_assert(body.site != 0);
  pd_emit_order_escalated(out, &body);
}

static void say_expired(struct pd_outbox *out, const struct scheduling_job *job,
                        enum pd_order_stage stage) {
  pd_assert(job->order != 0);
  struct pd_order_expired body = PD_ORDER_EXPIRED_INIT;
  body.order = job->order;
  body.stage = stage;
  pd_emit_order_expired(out, &body);
}

static void say_reminder(struct pd_outbox *out, enum pd_reminder_kind kind, uint64_t order,
                         uint32_t slot, struct pd_id person) {
  pd_assert((slot == 0) == (kind == PD_REMINDER_KIND_CONFIRM));
  struct pd_reminder_due body = PD_REMINDER_DUE_INIT;
  body.kind = kind;
  body.order = order;
  body.slot = slot;
  body.person = pd_bytes(&person);
  pd_emit_reminder_due(out, &body);
}

static void say_no_show(struct pd_outbox *out, uint64_t order, uint32_t slot,
                        struct pd_id volunteer) {
  pd_assert(slot != 0);
  struct pd_no_show_noted body = PD_NO_SHOW_NOTED_INIT;
  body.order = order;
  body.slot = slot;
  body.volunteer = pd_bytes(&volunteer);
  pd_emit_no_show_noted(out, &body);
}

static void say_of_job(const struct scheduling_job *job, enum scheduling_purpose purpose,
                       struct pd_outbox *out) {
  pd_assert(purpose > SCHEDULING_NOTHING && purpose < SCHEDULING_START_REMINDER);
  switch (purpose) {
  case SCHEDULING_STAFFING: say_expired(out, job, PD_ORDER_STAGE_STAFFING); return;
  case SCHEDULING_INSTITUTE: say_escalated(out, job, PD_SITE_LEVEL_INSTITUTE); return;
  case SCHEDULING_CENTER: say_escalated(out, job, PD_SITE_LEVEL_CENTER); return;
  case SCHEDULING_WAVE: say_wave(out, job); return;
  case SCHEDULING_SERVICE: say_expired(out, job, PD_ORDER_STAGE_SERVICE); return;
  case SCHEDULING_CONFIRM_REMINDER:
    say_reminder(out, PD_REMINDER_KIND_CONFIRM, job->order, 0, job->requester);
    return;
  case SCHEDULING_CONFIRMATION: say_expired(out, job, PD_ORDER_STAGE_CONFIRMATION); return;
  case SCHEDULING_RATING: say_expired(out, job, PD_ORDER_STAGE_RATING); return;
  case SCHEDULING_NOTHING: case SCHEDULING_START_REMINDER: case SCHEDULING_NO_SHOW:
  case SCHEDULING_FINISH_REMINDER: case SCHEDULING_DAY: return; /* not of orders: asserted above */
  }
}

static void say_of_booking(const struct scheduling *self, const struct scheduling_booking *booking,
                           enum scheduling_purpose purpose, struct pd_outbox *out) {
  pd_assert(booking->job != 0);
  uint64_t order = self->jobs.jobs[booking->job - 1].order;
  if (purpose == SCHEDULING_NO_SHOW) {
    say_no_show(out, order, booking->slot, booking->volunteer);
    return;
  }
  bool start = purpose == SCHEDULING_START_REMINDER;
  pd_assert(start || purpose == SCHEDULING_FINISH_REMINDER);
  say_reminder(out, start ? PD_REMINDER_KIND_START : PD_REMINDER_KIND_FINISH, order, booking->slot,
               booking->volunteer);
}

static void say_day(const struct scheduling *self, struct pd_outbox *out) {
  struct pd_date date = pd_date_of(out->input->now_ms, self->zone_min);
  struct pd_day_began body = PD_DAY_BEGAN_INIT;
  body.start_ms = pd_date_ms(date, self->zone_min);
  body.date = (uint32_t)(date.year * 10000 + date.month * 100 + date.day);
  pd_assert(body.start_ms > self->facts->day_ms);
  pd_emit_day_began(out, &body);
}

static void say(const struct scheduling *self, uint32_t what, struct pd_outbox *out) {
  struct scheduling_due due = due_of(self, what);
  pd_assert(due.when == pd_heap_when(&self->timers->heap));
  if (what < jobs_max(self))
    say_of_job(&self->jobs.jobs[what], due.purpose, out);
  else if (what == day_timer(self))
    say_day(self, out);
  else
    say_of_booking(self, &self->jobs.bookings[what - jobs_max(self)], due.purpose, out);
  struct scheduling_due next = due_of(self, what);
  pd_assert(next.purpose != due.purpose || next.when > due.when); /* never the same twice */
}

static void decide(void *core, const struct pd_input *input, struct pd_outbox *out) {
  struct scheduling *self = core;
  if (input->kind != PD_INPUT_TIME) return;
  want_timers(self);
  struct pd_heap *heap = &self->timers->heap;
  while (out->emitted < self->policy.events_each_call && pd_heap_when(heap) <= input->now_ms)
    say(self, pd_heap_what(heap), out);
  pd_assert(out->emitted <= self->policy.events_each_call);
}

static int64_t deadline(const void *core) {
  const struct scheduling *self = core;
  want_timers(self);
  pd_assert(self->timers->folded == self->facts->folded);
  return pd_heap_when(&self->timers->heap);
}

/* ---- check ----------------------------------------------------------------------------------- */

static void check_timer(const struct scheduling *self, uint32_t what) {
  const struct pd_heap *heap = &self->timers->heap;
  struct scheduling_due due = due_of(self, what);
  uint32_t place = heap->place[what];
  pd_assert((due.purpose == SCHEDULING_NOTHING) == (place == 0));
  if (place == 0) return;
  pd_assert(heap->items[place - 1].what == what && heap->items[place - 1].when == due.when);
}

/* An order that still looks for helpers is never without a next step. */
static void check_not_forgotten(const struct scheduling *self, const struct scheduling_job *job) {
  if (job->order == 0 || job->served) return;
  if ((job->said & SCHEDULING_BIT(SCHEDULING_SERVICE)) != 0) return;
  struct scheduling_due due = scheduling_due_of_job(&self->policy, job);
  pd_assert(due.purpose != SCHEDULING_NOTHING);
}

static void check(const void *core) {
  const struct scheduling *self = core;
  want_timers(self);
  scheduling_jobs_check(&self->jobs);
  uint32_t all = day_timer(self) + 1;
  for (uint32_t what = 0; what < all; what++) check_timer(self, what);
  for (uint32_t at = 0; at < jobs_max(self); at++)
    check_not_forgotten(self, &self->jobs.jobs[at]);
  pd_assert(self->timers->folded == self->facts->folded);
}

/* Said by the logs that are followed here, and nothing to this core: see the switches above. */
static const uint8_t passed_over[] = {
    PD_EVENT_TEAM_REGISTERED, PD_EVENT_TEAM_JOINED, PD_EVENT_VOLUNTEER_REGISTERED,
    PD_EVENT_VOLUNTEER_PAUSED, PD_EVENT_VOLUNTEER_RESUMED, PD_EVENT_VOLUNTEER_EXITED,
    PD_EVENT_RESIDENT_REGISTERED, PD_EVENT_PERSON_ERASED, PD_EVENT_ORDER_CANCELLED,
    PD_EVENT_OFFER_ANSWERED, PD_EVENT_VOLUNTEER_WITHDREW, PD_EVENT_ORDER_RATED,
    PD_EVENT_HOLD_DECIDED, PD_EVENT_EXTERNAL_NOTED, PD_EVENT_OFFER_COMMANDED, PD_EVENT_ORDER_ASKED,
    PD_EVENT_OFFER_CLOSED, PD_EVENT_OFFER_DENIED, PD_EVENT_POLICY_ADOPTED,
    PD_EVENT_CREDENTIAL_RECORDED, PD_EVENT_PAIR_BLOCKED, PD_EVENT_COVERAGE_NOTED, 0};

const struct pd_core scheduling_core = {
    .name = "scheduling",
    .log = PD_LOG_SCHEDULING,
    .inputs = PD_LOG_BIT(PD_LOG_INTAKE) | PD_LOG_BIT(PD_LOG_MATCHING),
    .init = init,
    .apply = apply,
    .decide = decide,
    .passes = passed_over,
    .deadline = deadline,
    .check = check,
};
