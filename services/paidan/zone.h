/* zone - a district's local time: an offset, or a place's name that stands for one.
 *
 * A shard's zone is a fixed offset (calendar.h).  A name of the system's zone files
 * ("Asia/Shanghai") is looked up once, where a person gives it, and only if it stands for one
 * offset all the while.
 */
#ifndef PAIDAN_ZONE_H
#define PAIDAN_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The offset of a text like "+08:00" or "Asia/Shanghai", in minutes east of UTC.  A name must stand
 * for one offset on every day from from_ms to to_ms (Unix milliseconds).  False: why says what is
 * wrong.  Not for programs with several threads: it asks the C library by way of TZ. */
bool zone_find(const char *text, int64_t from_ms, int64_t to_ms, int32_t *zone_min, char *why,
               size_t why_size);

/* "+08:00" of an offset; text has room for 8 bytes. */
char *zone_text(int32_t zone_min, char *text);

#endif
