/* papers - credentials as people write them: kinds, skills, limits and dates, of a command line or
 * a column of a table.
 */
#ifndef PAIDAN_PAPERS_H
#define PAIDAN_PAPERS_H

#include "pd_names.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAPERS_FOREVER INT64_C(253402300800000) /* the end of the year 9999 */
#define PAPERS_DEMANDS 8                        /* kinds of demands there are */

/* "qualification", "insurance", "guardian", "automated" or "health" of `length` bytes; UNSPECIFIED
 * for anything else. */
enum pd_credential_kind papers_kind(const char *word, size_t length);

/* The word of a kind; of a demand ("heavy"); of a skill ("first_aid").  "?" if there is none. */
const char *papers_kind_word(enum pd_credential_kind kind);
const char *papers_demand_word(enum pd_demand demand);

/* "heavy|heights", each once, at most PAPERS_DEMANDS; false for anything else. */
bool papers_demands(const char *text, enum pd_demand *demands, size_t *count);

/* A day ("2026-03-01", local time), its beginning or, with `end`, the moment after its last; or a
 * time with its zone. */
bool papers_time(const char *text, int32_t zone_min, bool end, int64_t *time_ms);

/* One paper of a table's column: "insurance:2026-03-01", "qualification.law:2026-12-31",
 * "automated:no"; length bytes.  false for anything else. */
bool papers_entry(const char *text, size_t length, int32_t zone_min,
                  struct pd_record_credential *paper);

#endif
