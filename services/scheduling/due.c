#include "services/scheduling/due.h"

#include "common/base/err.h"

static const struct scheduling_due nothing = {.when = PD_NEVER};

static bool is_said(uint16_t said, enum scheduling_purpose purpose) {
  pd_assert((unsigned)purpose < 16);
  return (said & SCHEDULING_BIT(purpose)) != 0;
}

/* Keep the earlier of the two; the first one tried wins a tie. */
static void sooner(struct scheduling_due *due, uint16_t said, int64_t when,
                   enum scheduling_purpose purpose) {
  pd_assert(purpose != SCHEDULING_NOTHING);
  if (is_said(said, purpose) || when >= due->when) return;
  due->when = when;
  due->purpose = purpose;
}

/* Between placing and the latest start, at so many percent of the way. */
static int64_t part_of_way(const struct scheduling_job *job, int64_t latest_ms, int64_t percent) {
  pd_assert(percent >= 0 && percent <= 100);
  return job->placed_ms + (latest_ms - job->placed_ms) * percent / 100;
}

/* The end of the open wave; without one, the next try. */
static int64_t wave_when(const struct scheduling_policy *policy, const struct scheduling_job *job,
                         int64_t latest_ms) {
  if (job->wave_open) return job->wave_ends_ms;
  pd_assert(policy->retry_divisor > 0 && policy->retry_min_ms > 0);
  int64_t pause_ms = (latest_ms - job->touched_ms) / policy->retry_divisor;
  if (pause_ms > policy->retry_max_ms) pause_ms = policy->retry_max_ms;
  if (pause_ms < policy->retry_min_ms) pause_ms = policy->retry_min_ms;
  return job->touched_ms + pause_ms;
}

static void while_searching(const struct scheduling_policy *policy,
                            const struct scheduling_job *job, struct scheduling_due *due) {
  pd_assert(!job->served);
  if (job->staffed || is_said(job->said, SCHEDULING_STAFFING)) return;
  int64_t latest_ms = job->window_end_ms - job->length_ms;
  sooner(due, job->said, latest_ms, SCHEDULING_STAFFING);
  if (job->institute != 0)
    sooner(due, job->said, part_of_way(job, latest_ms, policy->institute_percent),
           SCHEDULING_INSTITUTE);
  if (job->center != 0)
    sooner(due, job->said, part_of_way(job, latest_ms, policy->center_percent), SCHEDULING_CENTER);
  sooner(due, 0, wave_when(policy, job, latest_ms), SCHEDULING_WAVE);
  if (job->calls_end_ms != 0) sooner(due, 0, job->calls_end_ms, SCHEDULING_WAVE);
}

static void after_service(const struct scheduling_policy *policy, const struct scheduling_job *job,
                          struct scheduling_due *due) {
  pd_assert(job->served);
  if (!job->confirmed) {
    sooner(due, job->said, job->served_ms + policy->confirm_reminder_ms,
           SCHEDULING_CONFIRM_REMINDER);
    sooner(due, job->said, job->served_ms + policy->confirmation_ms, SCHEDULING_CONFIRMATION);
    return;
  }
  int64_t from_ms = job->confirmed_ms > job->served_ms ? job->confirmed_ms : job->served_ms;
  sooner(due, job->said, from_ms + policy->rating_ms, SCHEDULING_RATING);
}

struct scheduling_due scheduling_due_of_job(const struct scheduling_policy *policy,
                                            const struct scheduling_job *job) {
  struct scheduling_due due = nothing;
  if (job->order == 0) return due;
  if (job->served) {
    after_service(policy, job, &due);
  } else {
    while_searching(policy, job, &due);
    sooner(&due, job->said, job->window_end_ms + job->length_ms + policy->service_grace_ms,
           SCHEDULING_SERVICE);
  }
  pd_assert((due.when == PD_NEVER) == (due.purpose == SCHEDULING_NOTHING));
  return due;
}

struct scheduling_due scheduling_due_of_booking(const struct scheduling_policy *policy,
                                                const struct scheduling_job *job,
                                                const struct scheduling_booking *booking) {
  struct scheduling_due due = nothing;
  if (booking->job == 0 || job->served || booking->finished) return due;
  if (booking->started) {
    sooner(&due, booking->said, booking->end_ms, SCHEDULING_FINISH_REMINDER);
  } else {
    int64_t remind_ms = booking->start_ms - policy->start_reminder_ms;
    if (booking->filled_ms < remind_ms)
      sooner(&due, booking->said, remind_ms, SCHEDULING_START_REMINDER);
    sooner(&due, booking->said, booking->start_ms + policy->no_show_ms, SCHEDULING_NO_SHOW);
  }
  pd_assert((due.when == PD_NEVER) == (due.purpose == SCHEDULING_NOTHING));
  return due;
}
