/* facts - the facts behind a reason: what would have had to differ for a volunteer to be invited.
 *
 * Reads the state and changes nothing; the tool asks it of a core that it has replayed itself.
 */
#ifndef MATCHING_FACTS_H
#define MATCHING_FACTS_H

#include "services/matching/matching_core.h"

/* Which of these are set follows from the reason. */
struct matching_facts {
  int64_t window_start_ms; /* of the order */
  int64_t window_end_ms;
  int64_t start_ms; /* the service as it was tried when it came farthest; 0: no time was tried */
  int64_t end_ms;
  int64_t from_ms; /* of the paper that lacks, or of the limits of one's health */
  int64_t until_ms;
  int64_t other_start_ms; /* of the service in the way */
  int64_t other_end_ms;
  uint64_t hours[3]; /* the volunteer's free hours of the local week, Monday 0:00 first */
  enum pd_reason reason;
  enum pd_credential_kind kind; /* of the paper */
  enum pd_skill skill;          /* that it is for */
  enum pd_gender gender;        /* that the order asks for */
  uint32_t demands;   /* that the volunteer would rather not meet: a bit each */
  uint32_t have;      /* minutes of service on that day */
  uint32_t most;      /* of these; of REST the minutes between two services */
  uint32_t on_record; /* the paper is there; until_ms 0: withdrawn */
};

/* Tries the rules for one volunteer and one open order, and says what they met.  PD_ENOENT: the
 * order is not open here, or the person is no volunteer. */
PD_MUST_USE enum pd_err matching_facts(const struct matching *self, uint64_t order,
                                       const struct pd_id *person, int64_t now_ms,
                                       struct matching_facts *facts);

#endif
