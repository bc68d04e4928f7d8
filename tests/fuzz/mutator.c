/* libFuzzer's mutator for inputs made of records: half of the changes keep the records and their
 * messages whole, the others are libFuzzer's own. */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define RECORDS_MAX 256
#define ROOM 65536

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

static uint8_t message[ROOM], made[ROOM], built[1 << 20];

static size_t fresh_record(struct pd_rng *rng, size_t at, size_t max) {
  uint8_t tag = fuzz_tag(rng);
  const ProtobufCMessageDescriptor *type = fuzz_type(tag);
  size_t size = 0;
  if (type != NULL)
    size = fuzz_make(rng, type, message, sizeof message - 1);
  else
    while (size < 1 + pd_rng_below(rng, 24)) message[size++] = (uint8_t)pd_rng_next(rng);
  return fuzz_put(built, at, max, tag, message, size);
}

static size_t changed_record(struct pd_rng *rng, const struct fuzz_record *record, size_t at,
                             size_t max) {
  const ProtobufCMessageDescriptor *type = fuzz_type(record->tag);
  uint8_t tag = pd_rng_below(rng, 10) == 0 ? fuzz_tag(rng) : record->tag;
  if (type != NULL && pd_rng_below(rng, 6) > 0) {
    size_t size = fuzz_change(rng, type, record->bytes, record->size, made, sizeof made - 1);
    return fuzz_put(built, at, max, tag, made, size);
  }
  memcpy(message, record->bytes, record->size);
  size_t size = LLVMFuzzerMutate(message, record->size, sizeof message - 1);
  return fuzz_put(built, at, max, tag, message, size);
}

/* Copy all records; one is changed, dropped, doubled, moved to the end, or a new one put before
 * it. */
static size_t rebuild(struct pd_rng *rng, const struct fuzz_record *records, uint64_t count,
                      size_t max) {
  uint64_t chosen = pd_rng_below(rng, count), way = pd_rng_below(rng, 10);
  size_t size = 0;
  for (uint64_t i = 0; i < count; i++) {
    const struct fuzz_record *record = &records[i];
    bool here = i == chosen;
    if (here && way < 5) size = changed_record(rng, record, size, max);
    if (here && way >= 7) size = fresh_record(rng, size, max);
    if (!here || way == 6 || way >= 7)
      size = fuzz_put(built, size, max, record->tag, record->bytes, record->size);
    if (here && way == 6)
      size = fuzz_put(built, size, max, record->tag, record->bytes, record->size);
  }
  if (way == 5)
    size = fuzz_put(built, size, max, records[chosen].tag, records[chosen].bytes,
                    records[chosen].size);
  return size;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed) {
  static struct fuzz_record records[RECORDS_MAX];
  struct pd_rng rng;
  pd_rng_seed(&rng, seed);
  if (pd_rng_below(&rng, 3) == 0) return LLVMFuzzerMutate(data, size, max);
  if (max > sizeof built) max = sizeof built;
  uint64_t count = 0;
  for (size_t at = 0; count < RECORDS_MAX && fuzz_next(data, size, &at, &records[count]);) count++;
  size_t grown = count == 0 ? fresh_record(&rng, 0, max) : rebuild(&rng, records, count, max);
  if (grown == 0) return LLVMFuzzerMutate(data, size, max);
  memcpy(data, built, grown);
  return grown;
}
