/* fuzz - what the fuzz targets share: how an input is read, and how one is made and changed.
 *
 * Most targets read their input as records: a tag byte, a length (16 bits, little endian), and so
 * many bytes; what tag and bytes mean is the target's business.  Any bytes are records: the last
 * one is cut where the input ends.  The messages in records are made and changed by their
 * descriptors, with values of a small world (few orders, few people), so that inputs get past the
 * first check and mean something to one another; the other half of the changes is libFuzzer's own,
 * which knows nothing and keeps nothing valid.
 */
#ifndef PD_TESTS_FUZZ_H
#define PD_TESTS_FUZZ_H

#include "common/base/id.h"
#include "common/base/rng.h"

#include "pd_names.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FUZZ_SHARD 370302u
#define FUZZ_START_MS INT64_C(1741017600000) /* Tuesday 2025-03-04 00:00 at +08:00 */
#define FUZZ_ZONE_MIN 480
#define FUZZ_LON_E7 1180000000
#define FUZZ_LAT_E7 368000000

/* One input of a target; libFuzzer's, or the replay program's. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- records ---- */

struct fuzz_record {
  uint8_t tag;
  const uint8_t *bytes;
  size_t size;
};

/* The next record of an input: *at starts at 0; false at the end. */
bool fuzz_next(const uint8_t *data, size_t size, size_t *at, struct fuzz_record *record);

/* Append a record (at most 65,535 bytes) if there is room; where the data ends then. */
size_t fuzz_put(uint8_t *data, size_t size, size_t max, uint8_t tag, const uint8_t *bytes,
                size_t length);

/* ---- messages ---- */

/* What a target's records hold, so that the mutator can make some.  NULL: none, plain bytes. */
const ProtobufCMessageDescriptor *fuzz_type(uint8_t tag);

/* A tag that the target understands. */
uint8_t fuzz_tag(struct pd_rng *rng);

/* Write a random message of this type; returns its size, at most max. */
size_t fuzz_make(struct pd_rng *rng, const ProtobufCMessageDescriptor *type, uint8_t *bytes,
                 size_t max);

/* The same with this member of its oneof (a field number). */
size_t fuzz_make_kind(struct pd_rng *rng, const ProtobufCMessageDescriptor *type, uint32_t kind,
                      uint8_t *bytes, size_t max);

/* Copy a message with one of its fields, or one of a message inside, changed, dropped or doubled.
 */
size_t fuzz_change(struct pd_rng *rng, const ProtobufCMessageDescriptor *type, const uint8_t *from,
                   size_t size, uint8_t *bytes, size_t max);

/* The person of a number; messages name 1 .. 8. */
struct pd_id fuzz_person(uint64_t number);

/* ---- seeds ---- */

/* A target's own seeds: input number `index`; 0 when there are no more. */
size_t fuzz_seed(uint32_t index, uint8_t *data, size_t max);

#endif
