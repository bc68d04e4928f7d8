/* why_differ - what would have had to be different for somebody to be invited, in words.
 *
 * For each reason one sentence in Chinese and one in English, with the figures as they stood.
 */
#ifndef PAIDAN_WHY_DIFFER_H
#define PAIDAN_WHY_DIFFER_H

#include "services/matching/matching_core.h"

#define WHY_DIFFER 320 /* bytes of one sentence, with the NUL */

struct why_differ {
  char zh[WHY_DIFFER];
  char en[WHY_DIFFER];
};

/* Who was kept out by this reason; dearest_m: what the dearest of those cost who were invited, of
 * RANKED_LOWER.  zone_min: minutes east of UTC.  Empty texts for UNSPECIFIED: was invited. */
void why_differ(const struct matching_verdict *verdict, const struct matching_standing *standing,
                enum pd_reason reason, int64_t dearest_m, int32_t zone_min,
                struct why_differ *text);

#endif
