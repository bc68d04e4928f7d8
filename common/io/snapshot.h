/* snapshot - a core's image in a checksummed file, so that a start need not replay the whole log.
 *
 * The file `<data_dir>/<shard>/<service>.snapshot` is written aside, synced, renamed, and its
 * folder synced: there is always a whole one.  It holds a header, the image (zstd level 1) and a
 * BLAKE2b-256 over everything before.  A file that does not hold, is of another version, layout,
 * shard or service, is reported and ignored: the log is the truth.
 */
#ifndef PD_IO_SNAPSHOT_H
#define PD_IO_SNAPSHOT_H

#include "common/base/err.h"
#include "common/wire/core.h"

#include <stddef.h>
#include <stdint.h>

#define PD_SNAPSHOT_LOGS 8 /* enum pd_log indexes below this */

/* What a snapshot says of itself. */
struct pd_snapshot {
  uint64_t layout; /* fingerprint of the image's layout: another build may have another */
  uint32_t shard;
  uint32_t log;      /* enum pd_log of the service */
  uint64_t last_seq; /* of the own log: the image has everything up to it */
  uint64_t epoch;
  uint8_t hash[32];                      /* of the own log's entry that ends with last_seq */
  int64_t time_ms;                       /* the shard's clock */
  uint64_t upto[PD_SNAPSHOT_LOGS];       /* inputs: consumed up to and including */
  uint64_t last_of_kind[PD_EVENT_KINDS]; /* of the own log's topics */
};

/* Layout fingerprint of a core in this build: its name, the limits, the image's length and a salt
 * of the caller (a number that is raised when the meaning of the image changes). */
uint64_t pd_snapshot_layout(const char *service, const struct pd_limits *limits,
                            size_t image_length, uint64_t salt);

/* Write it.  Blocking; call from a worker thread (uv_queue_work) with a copy of the image.  PD_EIO:
 * the system refused; an older snapshot then still stands. */
PD_MUST_USE enum pd_err pd_snapshot_write(const char *data_dir, const char *service,
                                          const struct pd_snapshot *snapshot, const uint8_t *image,
                                          size_t length);

/* Read it into image, which has exactly `length` bytes.  want: layout, shard and log that it must
 * have.  PD_ENOENT: there is none; PD_ECORRUPT: damaged; PD_EOLD: another format, layout, shard,
 * service or length; PD_EIO.  The image is undefined (zero it) unless PD_OK.  why (of why_size
 * bytes, may be NULL) says more. */
PD_MUST_USE enum pd_err pd_snapshot_read(const char *data_dir, const char *service,
                                         const struct pd_snapshot *want,
                                         struct pd_snapshot *snapshot, uint8_t *image,
                                         size_t length, char *why, size_t why_size);

/* What a service's snapshot says of itself, from its first bytes alone: enough to know how far it
 * is, not that it is whole.  PD_ENOENT: there is none; PD_EOLD: another format, shard or service;
 * PD_EIO. */
PD_MUST_USE enum pd_err pd_snapshot_peek(const char *data_dir, uint32_t shard, const char *service,
                                         struct pd_snapshot *snapshot);

/* The same as pd_snapshot_read() over bytes in memory: for tests and fuzzing. */
PD_MUST_USE enum pd_err pd_snapshot_parse(const uint8_t *bytes, size_t size, const char *service,
                                          const struct pd_snapshot *want,
                                          struct pd_snapshot *snapshot, uint8_t *image,
                                          size_t length, char *why, size_t why_size);

#endif
