/* policy - the numbers that a district may set, for each kind of order.
 *
 * They come from a rules file (policy_file.h), are said once as policy_adopted, and are then a part
 * of the state: whoever replays the log decides by the rules that stood at that time.
 */
#ifndef MATCHING_POLICY_H
#define MATCHING_POLICY_H

#include "services/matching/matching_core.h"

#define POLICY_ROWS 44

/* One number, as the contract, the rules file and the state know it. */
struct policy_row {
  const char *name; /* in the rules file */
  const char *help; /* what it is, with unit, default and the article behind it */
  size_t offset;    /* of an uint32_t in struct matching_policy */
  uint32_t min;     /* inclusive */
  uint32_t max;
  enum pd_policy_number number;
  uint32_t branch; /* of BRANCH_M */
};

extern const struct policy_row policy_rows[POLICY_ROWS];

/* The value of a row; row is one of policy_rows. */
uint32_t policy_get(const struct matching_policy *policy, const struct policy_row *row);

/* Set a row's value, brought within its range.  Offers of no urgency stay open as long as routine
 * ones. */
void policy_set(struct matching_policy *policy, const struct policy_row *row, uint32_t value);

/* The same policy for every kind of order, and no category listed. */
void policy_fill(struct matching_rules *rules, const struct matching_policy *policy);

/* What the event says, over the defaults.  Numbers and kinds that are not known here are ignored.
 */
void policy_fold(struct matching_rules *rules, const struct pd_policy_adopted *said);

/* Add a name to a list of categories; false if it is full or the name too long.  length: bytes. */
bool policy_list(struct matching_list *list, const char *name, size_t length);

/* Say these rules: every number for all kinds, then what a kind has of its own. */
void policy_say(struct pd_outbox *out, const struct matching_rules *rules, uint32_t number);

#endif
