/* archive - a log's entries in compressed files, for ever, so that its stream may be cut short.
 *
 * `<dir>/<shard>/<log>/<first_seq>-<last_seq>.seg` holds consecutive entries exactly as the log had
 * them.  A segment is a head, blocks (each a zstd frame of whole entries), an index of the blocks,
 * and a foot with the hash before the first entry and that of the last, so that segments chain as
 * entries do.  Head, index and foot are under one BLAKE2b-256, which every reader checks; the whole
 * file is under another, which pd_archive_verify() checks.  Numbers are little-endian.
 *
 * Invariants:
 *     - a segment is written aside, synced, renamed, and its folder synced: one that is there is
 *       whole, and is never changed;
 *     - a log has one writer at a time (a lock in its folder), and it only goes on where the last
 *       segment ended, with the hash that the segment ended with.
 *
 * Files only: nothing here knows the store.  Not for several threads at once.
 */
#ifndef PD_IO_ARCHIVE_H
#define PD_IO_ARCHIVE_H

#include "common/io/store.h"

/* Which log's segments, and where. */
struct pd_archive_place {
  const char *dir; /* above the shards' folders; must outlive what is opened */
  uint32_t shard;
  enum pd_log log;
};

/* What a segment's foot says. */
struct pd_segment {
  uint64_t first_seq;
  uint64_t last_seq;
  uint64_t entries;
  uint64_t blocks;
  uint64_t bytes; /* of the entries, before compression */
  uint64_t size;  /* of the file */
  struct pd_hash prev; /* of the entry before the first */
  struct pd_hash hash; /* of the last entry */
};

/* ---- writing ---- */

struct pd_archive_writer;

/* Take the log's lock and stand behind its last segment; makes the folders.  PD_EEXIST: somebody
 * else is writing; PD_ECORRUPT, PD_EOLD: the last segment does not hold; PD_EIO. */
PD_MUST_USE enum pd_err pd_archive_begin(struct pd_archive_writer **writer,
                                         const struct pd_archive_place *place);

/* The seq that must be added next: 1 in an empty archive. */
uint64_t pd_archive_wanted(const struct pd_archive_writer *writer);

/* Bytes of entries added since the last segment was ended. */
uint64_t pd_archive_pending(const struct pd_archive_writer *writer);

/* Add an entry, which is copied.  PD_ECORRUPT: its bytes do not have its hash, or it does not
 * follow the one before; PD_EFORMAT: it is no entry of this log; PD_EIO.  After an error only
 * pd_archive_close() is left. */
PD_MUST_USE enum pd_err pd_archive_add(struct pd_archive_writer *writer,
                                       const struct pd_stored *entry);

/* Make a segment of what was added, and check it as a whole; nothing was added: nothing happens.
 * After PD_OK the entries are durable. */
PD_MUST_USE enum pd_err pd_archive_end(struct pd_archive_writer *writer);

/* Drops what is not in a segment.  NULL-safe. */
void pd_archive_close(struct pd_archive_writer *writer);

/* ---- reading ---- */

struct pd_archive;

/* List the segments.  A log without any is PD_OK.  PD_EIO: the folder cannot be read. */
PD_MUST_USE enum pd_err pd_archive_open(struct pd_archive **archive,
                                        const struct pd_archive_place *place);
void pd_archive_shut(struct pd_archive *archive); /* NULL-safe */

/* The entry that holds `seq`; its bytes live until the next call.  PD_ENOENT: no segment has it
 * (the folder has been looked at anew); PD_ECORRUPT, PD_EFORMAT, PD_EOLD: the segment does not
 * hold; PD_EIO. */
PD_MUST_USE enum pd_err pd_archive_read(struct pd_archive *archive, uint64_t seq,
                                        struct pd_stored *entry);

/* How many segments there are, and the foot of one (0 ..).  Errors as pd_archive_read(). */
size_t pd_archive_count(const struct pd_archive *archive);
PD_MUST_USE enum pd_err pd_archive_segment(struct pd_archive *archive, size_t which,
                                           struct pd_segment *segment);

/* The last seq of the last segment, by its name; 0 if there is none. */
uint64_t pd_archive_last(const struct pd_archive *archive);

/* Read the whole of one segment: the file's hash, each block, each entry's hash and chain, foot,
 * and that it goes on where the segment before ended (the first one: at 1).  PD_ECORRUPT and so on;
 * why (of why_size bytes) is a phrase. */
PD_MUST_USE enum pd_err pd_archive_verify(struct pd_archive *archive, size_t which, char *why,
                                          size_t why_size);

#endif
