#include "services/scheduling/jobs.h"

#include "common/base/err.h"

/* Sites are at most so many levels deep; more is a circle, which intake never registers. */
#define SITE_DEPTH_MAX 8

void scheduling_jobs_init(struct scheduling_jobs *self, struct pd_arena *arena,
                          const struct pd_limits *limits) {
  pd_assert(arena->image != 0);
  pd_assert(limits->orders > 0 && limits->bookings > 0);
  pd_map_init(&self->index, arena, limits->orders);
  pd_pool_init(&self->free_jobs, arena, limits->orders);
  pd_pool_init(&self->free_bookings, arena, limits->bookings);
  self->jobs = PD_ARENA_ARRAY(arena, struct scheduling_job, limits->orders);
  self->bookings = PD_ARENA_ARRAY(arena, struct scheduling_booking, limits->bookings);
  self->sites = PD_ARENA_ARRAY(arena, struct scheduling_site, limits->sites + 1);
  self->sites_max = limits->sites;
}

struct scheduling_job *scheduling_job_find(const struct scheduling_jobs *self, uint64_t order) {
  uint32_t at = pd_map_get(&self->index, order);
  if (at == PD_NONE) return NULL;
  pd_assert(self->jobs[at].order == order);
  return &self->jobs[at];
}

struct scheduling_job *scheduling_job_add(struct scheduling_jobs *self, uint64_t order) {
  if (order == 0 || pd_pool_free(&self->free_jobs) == 0) return NULL;
  if (pd_map_get(&self->index, order) != PD_NONE) return NULL;
  uint32_t at = pd_pool_take(&self->free_jobs);
  pd_assert(self->jobs[at].order == 0);
  pd_map_put(&self->index, order, at);
  self->jobs[at] = (struct scheduling_job){.order = order};
  return &self->jobs[at];
}

void scheduling_job_remove(struct scheduling_jobs *self, struct scheduling_job *job) {
  pd_assert(job->order != 0 && job->first == 0);
  bool known = pd_map_remove(&self->index, job->order);
  pd_assert(known);
  *job = (struct scheduling_job){0};
  pd_pool_give(&self->free_jobs, scheduling_job_at(self, job));
}

struct scheduling_booking *scheduling_booking_find(const struct scheduling_jobs *self,
                                                   const struct scheduling_job *job,
                                                   uint32_t slot) {
  pd_assert(job->order != 0);
  for (uint32_t link = job->first; link != 0;) {
    struct scheduling_booking *booking = &self->bookings[link - 1];
    pd_assert(booking->job == scheduling_job_at(self, job) + 1);
    if (booking->slot == slot) return booking;
    link = booking->next;
  }
  return NULL;
}

struct scheduling_booking *scheduling_booking_of(const struct scheduling_jobs *self,
                                                 const struct scheduling_job *job, uint32_t slot,
                                                 const struct pd_id *volunteer) {
  struct scheduling_booking *booking = scheduling_booking_find(self, job, slot);
  if (booking == NULL || !pd_id_equal(&booking->volunteer, volunteer)) return NULL;
  pd_assert(booking->slot == slot);
  return booking;
}

struct scheduling_booking *scheduling_booking_add(struct scheduling_jobs *self,
                                                  struct scheduling_job *job, uint32_t slot) {
  pd_assert(job->order != 0);
  if (pd_pool_free(&self->free_bookings) == 0) return NULL;
  uint32_t at = pd_pool_take(&self->free_bookings);
  struct scheduling_booking *booking = &self->bookings[at];
  pd_assert(booking->job == 0);
  *booking = (struct scheduling_booking){
      .job = scheduling_job_at(self, job) + 1, .slot = slot, .next = job->first};
  job->first = at + 1;
  return booking;
}

void scheduling_booking_remove(struct scheduling_jobs *self, struct scheduling_job *job,
                               struct scheduling_booking *booking) {
  uint32_t at = scheduling_booking_at(self, booking);
  pd_assert(booking->job == scheduling_job_at(self, job) + 1);
  uint32_t *link = &job->first;
  while (*link != at + 1) {
    pd_assert(*link != 0);
    link = &self->bookings[*link - 1].next;
  }
  *link = booking->next;
  *booking = (struct scheduling_booking){0};
  pd_pool_give(&self->free_bookings, at);
}

void scheduling_site_note(struct scheduling_jobs *self, uint32_t site, uint32_t level,
                          uint32_t parent) {
  if (site == 0 || site > self->sites_max || parent > self->sites_max) return;
  self->sites[site] = (struct scheduling_site){.level = level, .parent = parent};
  pd_assert(self->sites[0].level == 0);
}

uint32_t scheduling_site_above(const struct scheduling_jobs *self, uint32_t site, uint32_t level) {
  pd_assert(level != 0);
  if (site > self->sites_max) return 0;
  for (int depth = 0; depth < SITE_DEPTH_MAX && site != 0; depth++) {
    site = self->sites[site].parent;
    if (self->sites[site].level == level) return site;
  }
  return 0;
}

static uint32_t check_bookings(const struct scheduling_jobs *self, uint32_t at) {
  uint32_t count = 0;
  uint64_t slots = 0;
  for (uint32_t link = self->jobs[at].first; link != 0; link = self->bookings[link - 1].next) {
    const struct scheduling_booking *booking = &self->bookings[link - 1];
    pd_assert(booking->job == at + 1);
    uint64_t bit = UINT64_C(1) << ((booking->slot - 1) & 63);
    pd_assert(booking->slot >= 1 && booking->slot <= 64 && (slots & bit) == 0);
    slots |= bit;
    pd_assert(booking->started || !booking->finished);
    count++;
  }
  return count;
}

void scheduling_jobs_check(const struct scheduling_jobs *self) {
  uint64_t jobs = 0;
  uint64_t bookings = 0;
  for (uint32_t at = 0; at < self->free_jobs.capacity; at++) {
    if (self->jobs[at].order == 0) continue;
    pd_assert(pd_map_get(&self->index, self->jobs[at].order) == at);
    bookings += check_bookings(self, at);
    jobs++;
  }
  pd_assert(jobs == *self->free_jobs.taken && jobs == *self->index.count);
  pd_assert(bookings == *self->free_bookings.taken);
}
