/* jobs - what scheduling remembers of orders, bookings and sites: facts only, all of it in the
 * image.
 *
 * A job is an order that is not closed; its bookings hang on it as a list.  Entries keep their
 * index while they live, so an index can name a timer: jobs first (0 .. orders - 1), bookings
 * behind them.
 */
#ifndef PAIDAN_SCHEDULING_JOBS_H
#define PAIDAN_SCHEDULING_JOBS_H

#include "common/base/map.h"
#include "common/base/pool.h"
#include "common/wire/core.h"

/* What can be due.  At the same time of the same order the lower comes first. */
enum scheduling_purpose {
  SCHEDULING_NOTHING,
  SCHEDULING_STAFFING,
  SCHEDULING_INSTITUTE,
  SCHEDULING_CENTER,
  SCHEDULING_WAVE,
  SCHEDULING_SERVICE,
  SCHEDULING_CONFIRM_REMINDER,
  SCHEDULING_CONFIRMATION,
  SCHEDULING_RATING,
  SCHEDULING_START_REMINDER,
  SCHEDULING_NO_SHOW,
  SCHEDULING_FINISH_REMINDER,
  SCHEDULING_DAY /* of no order */
};

/* One bit of `said`. */
#define SCHEDULING_BIT(purpose) ((uint16_t)(1u << (unsigned)(purpose)))

struct scheduling_site {
  uint32_t level; /* enum pd_site_level; 0: not registered */
  uint32_t parent;
};

struct scheduling_job {
  uint64_t order;         /* 0: the entry is free */
  struct pd_id requester;
  int64_t placed_ms;
  int64_t window_end_ms;
  int64_t length_ms;      /* expected, of the service */
  int64_t touched_ms;     /* when the search for helpers last moved */
  int64_t wave_ends_ms;   /* of the open wave */
  int64_t calls_end_ms;   /* the last of the offers that may outlive their wave; 0: none */
  int64_t served_ms;
  int64_t confirmed_ms;   /* when the last finished service was confirmed */
  uint32_t wave;          /* the latest that matching spoke of */
  uint32_t institute;     /* the ancestors of its site that are told, 0 where there is none */
  uint32_t center;
  uint32_t first;         /* of its bookings, plus 1; 0: none */
  uint16_t said;          /* deadlines that are past: bits of SCHEDULING_BIT */
  bool wave_open;
  bool staffed;
  bool served;
  bool confirmed;
  uint16_t zero;
};

struct scheduling_booking {
  struct pd_id volunteer;
  int64_t filled_ms;
  int64_t start_ms;
  int64_t end_ms;
  uint32_t job;           /* index, plus 1; 0: the entry is free */
  uint32_t slot;
  uint32_t next;          /* of the same job, plus 1; 0: none */
  uint16_t said;
  bool started;
  bool finished;
};

struct scheduling_jobs {
  struct pd_map index; /* order to job */
  struct pd_pool free_jobs;
  struct pd_pool free_bookings;
  struct scheduling_job *jobs;
  struct scheduling_booking *bookings;
  struct scheduling_site *sites; /* by number, 0 unused */
  uint32_t sites_max;
  uint32_t zero;
};

/* Take the tables out of the arena, whose image must have begun. */
void scheduling_jobs_init(struct scheduling_jobs *self, struct pd_arena *arena,
                          const struct pd_limits *limits);

/* The job of an order, or NULL when it is unknown: not placed, or closed. */
struct scheduling_job *scheduling_job_find(const struct scheduling_jobs *self, uint64_t order);

/* A zeroed job for a new order; NULL if the order is 0, known, or there is no room. */
struct scheduling_job *scheduling_job_add(struct scheduling_jobs *self, uint64_t order);

/* Forget an order; its bookings must have gone before. */
void scheduling_job_remove(struct scheduling_jobs *self, struct scheduling_job *job);

/* The booking of a job's slot, or NULL. */
struct scheduling_booking *scheduling_booking_find(const struct scheduling_jobs *self,
                                                   const struct scheduling_job *job, uint32_t slot);

/* The same, only if it is this volunteer's. */
struct scheduling_booking *scheduling_booking_of(const struct scheduling_jobs *self,
                                                 const struct scheduling_job *job, uint32_t slot,
                                                 const struct pd_id *volunteer);

/* A booking for a slot that has none; all but job, slot and next are zero.  NULL when there is no
 * room. */
struct scheduling_booking *scheduling_booking_add(struct scheduling_jobs *self,
                                                  struct scheduling_job *job, uint32_t slot);

/* Forget a booking of this job. */
void scheduling_booking_remove(struct scheduling_jobs *self, struct scheduling_job *job,
                               struct scheduling_booking *booking);

/* Note a site.  Numbers outside 1 .. limits.sites are ignored. */
void scheduling_site_note(struct scheduling_jobs *self, uint32_t site, uint32_t level,
                          uint32_t parent);

/* The nearest site of this level above a site (never the site itself); 0 if there is none. */
uint32_t scheduling_site_above(const struct scheduling_jobs *self, uint32_t site, uint32_t level);

/* Index of an entry. */
static inline uint32_t scheduling_job_at(const struct scheduling_jobs *self,
                                         const struct scheduling_job *job) {
  return (uint32_t)(job - self->jobs);
}
static inline uint32_t scheduling_booking_at(const struct scheduling_jobs *self,
                                             const struct scheduling_booking *booking) {
  return (uint32_t)(booking - self->bookings);
}

/* Walk the tables and assert that they agree: O(size). */
void scheduling_jobs_check(const struct scheduling_jobs *self);

#endif
