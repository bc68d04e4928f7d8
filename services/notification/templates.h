/* templates - what people read: Chinese first, English beside it.
 *
 * One table, a row for each enum pd_template; {words} in braces are filled in from the message. The
 * texts hold no personal data: an order is its number and kind, a place is a distance.  Whoever
 * wants other words changes the table; the words in braces stand in templates.c.
 */
#ifndef NOTIFICATION_TEMPLATES_H
#define NOTIFICATION_TEMPLATES_H

#include "services/notification/notification_core.h"

#define NOTIFICATION_TEXT_MAX 512 /* bytes of one language, with the NUL */

struct notification_text {
  char zh[NOTIFICATION_TEXT_MAX];
  char en[NOTIFICATION_TEXT_MAX];
};

/* Write the message in both languages, times in local time (zone_min minutes east of UTC).  An
 * unknown template gives a neutral sentence.  Asserts that the words fit: the test tries the
 * longest. */
void notification_render(const struct notification_message *message, int32_t zone_min,
                         struct notification_text *text);

/* The name of a template as integrators see it, e.g. "offer_withdrawn"; "unspecified" for any other
 * number.  Never NULL. */
const char *notification_template_name(enum pd_template template);

/* Who hears it: "volunteer", "resident" or "site".  Never NULL. */
const char *notification_template_to(enum pd_template template);

#endif
