/* differ - the rule behind a reason, and, where a paper, a word or a time stood in the way, what
 * would have had to differ: with the facts as they stood.
 */
#ifndef PAIDAN_DIFFER_H
#define PAIDAN_DIFFER_H

#include "services/matching/facts.h"
#include "services/paidan/why_differ.h"

/* The article, or whose word it is; "" for what is no rule. */
const char *differ_rule(enum pd_reason reason);

/* Put the sentences about this reason into text, in place of what is there; leave it if nothing
 * more is known. */
void differ_lawful(const struct matching_facts *facts, enum pd_reason reason, int32_t zone_min,
                   struct why_differ *text);

#endif
