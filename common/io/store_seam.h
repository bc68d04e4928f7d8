/* store_seam - where a log's stream begins too late for a reader, its archive has what is before.
 */
#ifndef PD_IO_STORE_SEAM_H
#define PD_IO_STORE_SEAM_H

#include "common/io/archive.h"

/* A shard's archives, opened when they are needed first. */
struct store_seam {
  char dir[512]; /* "": none */
  uint32_t shard;
  uint32_t zero;
  struct pd_archive *archives[PD_LOGS];
};

/* PD_EBOUNDS: the path is too long. */
PD_MUST_USE enum pd_err store_seam_init(struct store_seam *seam, const char *dir, uint32_t shard);
void store_seam_close(struct store_seam *seam); /* leaves it without archives */

/* Do the entries that the stream had for `from` begin after it? */
bool store_seam_needed(const struct store_seam *seam, uint64_t from,
                       const struct pd_stored *entries, size_t count);

/* Entries from the one that holds `from`, at most max_entries.  *entries and *memory, which holds
 * their bytes, are the caller's to free.  PD_ENOENT: the archive does not have it; else as
 * pd_archive_read(). */
PD_MUST_USE enum pd_err store_seam_read(struct store_seam *seam, const char *log, uint64_t from,
                                        uint32_t max_entries, struct pd_stored **entries,
                                        size_t *count, uint8_t **memory);

#endif
