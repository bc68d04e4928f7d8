/* policy_file - the rules file of a district: YAML, one rule a line.
 *
 *     offers_per_slot: 3
 *     emergency.offers_per_slot: 8   # of one kind of order alone
 *     visit.branch_health_m: 800     # volunteers of the branch health first, for visits
 *     professional: [nursing, law]   # skills that need a qualification on record
 *     dangerous_categories: [rescue, roof_repair]
 *     gender_categories: [bathing_care]
 *
 * Every row of policy.h may be given for all kinds, and for one kind with the kind's name before
 * it: wish, appeal, report, work, visit, menu, emergency.  What is not given has its default; the
 * three lists are for all kinds alike.
 */
#ifndef MATCHING_POLICY_FILE_H
#define MATCHING_POLICY_FILE_H

#include "services/matching/matching_core.h"

/* Read rules from YAML in memory; name is what messages call it.  PD_EINVAL: an unknown key or
 * skill, a value out of range or a contradiction; why (why_size bytes) is "name:line:column:
 * reason" and rules are as they were. */
PD_MUST_USE enum pd_err policy_parse(const char *name, const uint8_t *yaml, size_t size,
                                     struct matching_rules *rules, char *why, size_t why_size);

/* The same from a file.  PD_EIO: it cannot be read. */
PD_MUST_USE enum pd_err policy_read(const char *path, struct matching_rules *rules, char *why,
                                    size_t why_size);

#endif
