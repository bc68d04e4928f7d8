#include "common/io/archive.h"

#include "common/base/rng.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SHARD = 370302, NOTES = 3, ENTRY_ROOM = 1 << 20 };

static char dir[64], why[160];
static struct pd_archive_place place;
static struct pd_archive_writer *writer;
static uint8_t memory[ENTRY_ROOM];
static uint64_t next_seq;
static struct pd_hash last_hash;

static void set_up(void) {
  strcpy(dir, "/tmp/pd-archive-XXXXXX");
  cr_assert_not_null(mkdtemp(dir));
  place = (struct pd_archive_place){.dir = dir, .shard = SHARD, .log = PD_LOG_INTAKE};
  next_seq = 1;
  memset(&last_hash, 0, sizeof last_hash);
}

static void tear_down(void) {
  char command[96];
  snprintf(command, sizeof command, "rm -rf %s", dir);
  cr_expect_eq(system(command), 0);
}

TestSuite(archive, .init = set_up, .fini = tear_down, .timeout = 120);

/* The next entry of the log: NOTES events, in memory until the next call. */
static struct pd_stored make_entry(void) {
  struct pd_packer packer;
  static struct pd_packed packed;
  pd_packer_init(&packer, memory, sizeof memory);
  for (unsigned i = 0; i < NOTES; i++) {
    struct pd_inputs_noted body = PD_INPUTS_NOTED_INIT;
    struct pd_event event = PD_EVENT_INIT;
    event.log = PD_LOG_INTAKE;
    event.shard = SHARD;
    event.seq = next_seq + i;
    event.time_ms = 1000 + (int64_t)event.seq;
    event.body_case = PD_EVENT_INPUTS_NOTED;
    event.inputs_noted = &body;
    pd_pack_event(&packer, &event);
  }
  struct pd_entry_head head = {.shard = SHARD, .log = PD_LOG_INTAKE, .epoch = 2};
  head.first_seq = next_seq;
  head.last_seq = next_seq + NOTES - 1;
  head.time_ms = 1000;
  head.prev = last_hash;
  pd_pack_end(&packer, &head, &packed);
  next_seq += NOTES;
  last_hash = packed.hash;
  return (struct pd_stored){.last_seq = head.last_seq,
                            .epoch = head.epoch,
                            .bytes = packed.bytes,
                            .size = packed.size,
                            .hash = packed.hash.bytes};
}

static void begin(void) { cr_assert_eq(pd_archive_begin(&writer, &place), PD_OK); }

static void add(unsigned entries) {
  for (unsigned i = 0; i < entries; i++) {
    struct pd_stored entry = make_entry();
    cr_assert_eq(pd_archive_add(writer, &entry), PD_OK);
  }
}

static void end(void) {
  cr_assert_eq(pd_archive_end(writer), PD_OK);
  pd_archive_close(writer);
  writer = NULL;
}

static void archive_entries(unsigned entries) {
  begin();
  add(entries);
  end();
}

static struct pd_archive *open_archive(void) {
  struct pd_archive *archive;
  cr_assert_eq(pd_archive_open(&archive, &place), PD_OK);
  return archive;
}

/* The first segment that does not hold, or -1. */
static int first_bad(void) {
  struct pd_archive *archive = open_archive();
  int bad = -1;
  for (size_t i = 0; i < pd_archive_count(archive) && bad < 0; i++)
    if (pd_archive_verify(archive, i, why, sizeof why) != PD_OK) bad = (int)i;
  pd_archive_shut(archive);
  return bad;
}

static char *segment_path(uint64_t first, uint64_t last) {
  static char path[160];
  snprintf(path, sizeof path, "%s/%06u/intake/%012llu-%012llu.seg", dir, SHARD,
           (unsigned long long)first, (unsigned long long)last);
  return path;
}

static uint8_t *slurp(const char *path, size_t *size) {
  struct stat status;
  FILE *file = fopen(path, "rb");
  cr_assert_not_null(file);
  cr_assert_eq(fstat(fileno(file), &status), 0);
  *size = (size_t)status.st_size;
  uint8_t *bytes = malloc(*size);
  cr_assert_eq(fread(bytes, 1, *size, file), *size);
  fclose(file);
  return bytes;
}

static void spill(const char *path, const uint8_t *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  cr_assert_not_null(file);
  cr_assert_eq(fwrite(bytes, 1, size, file), size);
  fclose(file);
}

Test(archive, an_empty_one_has_nothing_and_wants_the_first_event) {
  struct pd_archive *archive = open_archive();
  struct pd_stored entry;
  cr_expect_eq(pd_archive_count(archive), 0);
  cr_expect_eq(pd_archive_last(archive), 0);
  cr_expect_eq(pd_archive_read(archive, 1, &entry), PD_ENOENT);
  pd_archive_shut(archive);
  begin();
  cr_expect_eq(pd_archive_wanted(writer), 1);
  end();
  cr_expect_eq(first_bad(), -1);
}

Test(archive, every_event_is_read_back_from_the_entry_that_holds_it) {
  archive_entries(5000);
  archive_entries(1);
  archive_entries(700);
  struct pd_archive *archive = open_archive();
  cr_assert_eq(pd_archive_count(archive), 3);
  cr_expect_eq(pd_archive_last(archive), 5701 * NOTES);
  struct pd_hash before = {0};
  for (uint64_t seq = 1; seq <= 5701 * NOTES; seq++) {
    struct pd_stored entry;
    struct pd_entry_view view;
    cr_assert_eq(pd_archive_read(archive, seq, &entry), PD_OK);
    cr_assert_eq(pd_entry_open(entry.bytes, entry.size, &view), PD_OK);
    cr_assert(view.head.first_seq <= seq && seq <= entry.last_seq);
    cr_assert_eq(entry.epoch, 2);
    if (seq != view.head.first_seq) continue;
    cr_assert(pd_hash_equal(&view.head.prev, &before));
    memcpy(before.bytes, entry.hash, sizeof before.bytes);
  }
  struct pd_stored entry;
  cr_expect_eq(pd_archive_read(archive, 5701 * NOTES + 1, &entry), PD_ENOENT);
  cr_expect_eq(pd_archive_read(archive, 7, &entry), PD_OK, "backwards, into another segment");
  cr_expect_eq(entry.last_seq, 9);
  pd_archive_shut(archive);
  cr_expect_eq(first_bad(), -1, "%s", why);
}

Test(archive, a_reader_finds_segments_that_were_written_after_it_opened) {
  struct pd_archive *archive = open_archive();
  struct pd_stored entry;
  cr_expect_eq(pd_archive_read(archive, 2, &entry), PD_ENOENT);
  archive_entries(2);
  cr_expect_eq(pd_archive_read(archive, 2, &entry), PD_OK);
  pd_archive_shut(archive);
}

Test(archive, takes_only_entries_that_follow_and_have_their_hash) {
  begin();
  add(3);
  struct pd_stored entry = make_entry();
  uint8_t hash[PD_HASH_SIZE];
  memcpy(hash, entry.hash, sizeof hash);
  hash[5] ^= 1;
  struct pd_stored bad = entry;
  bad.hash = hash;
  cr_expect_eq(pd_archive_add(writer, &bad), PD_ECORRUPT);
  entry = make_entry();
  cr_expect_eq(pd_archive_add(writer, &entry), PD_ECORRUPT, "one was left out");
  pd_archive_close(writer);
  cr_expect_eq(first_bad(), -1);
  struct pd_archive *archive = open_archive();
  cr_expect_eq(pd_archive_count(archive), 0, "what was not ended is not there");
  pd_archive_shut(archive);
}

Test(archive, goes_on_only_with_the_log_it_has) {
  archive_entries(4);
  memset(&last_hash, 7, sizeof last_hash); /* another log with the same numbers */
  begin();
  cr_expect_eq(pd_archive_wanted(writer), 4 * NOTES + 1);
  struct pd_stored entry = make_entry();
  cr_expect_eq(pd_archive_add(writer, &entry), PD_ECORRUPT);
  pd_archive_close(writer);
}

Test(archive, has_one_writer_at_a_time) {
  struct pd_archive_writer *second;
  begin();
  cr_expect_eq(pd_archive_begin(&second, &place), PD_EEXIST);
  end();
  begin();
  end();
}

Test(archive, a_file_half_written_is_not_seen_and_the_next_one_takes_its_place) {
  archive_entries(2);
  begin();
  add(2);
  char path[160];
  snprintf(path, sizeof path, "%s/%06u/intake/segment.new", dir, SHARD);
  cr_expect_eq(access(path, R_OK), 0);
  uint8_t torn[100] = {1};
  pd_archive_close(writer);
  spill(path, torn, sizeof torn);
  cr_expect_eq(first_bad(), -1);
  begin();
  cr_expect_eq(pd_archive_wanted(writer), 2 * NOTES + 1);
  pd_archive_close(writer);
}

Test(archive, a_flipped_bit_anywhere_is_found) {
  archive_entries(40);
  size_t size;
  char *path = segment_path(1, 40 * NOTES);
  uint8_t *bytes = slurp(path, &size);
  for (size_t bit = 0; bit < 8 * size; bit += 7) {
    bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    spill(path, bytes, size);
    cr_assert_eq(first_bad(), 0, "bit %zu of %zu bytes was missed", bit, size);
    bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  spill(path, bytes, size);
  cr_expect_eq(first_bad(), -1);
  free(bytes);
}

Test(archive, a_flipped_bit_is_never_served) {
  archive_entries(40);
  size_t size;
  char *path = segment_path(1, 40 * NOTES);
  uint8_t *bytes = slurp(path, &size);
  struct pd_rng rng;
  pd_rng_seed(&rng, 4);
  for (int round = 0; round < 300; round++) {
    size_t bit = pd_rng_next(&rng) % (8 * size);
    bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    spill(path, bytes, size);
    struct pd_archive *archive = open_archive();
    struct pd_stored entry;
    uint64_t seq = 1;
    while (seq <= 40 * NOTES && pd_archive_read(archive, seq, &entry) == PD_OK) {
      struct pd_hash hash = pd_hash_of(entry.bytes, entry.size);
      cr_assert_eq(memcmp(hash.bytes, entry.hash, sizeof hash.bytes), 0);
      seq = entry.last_seq + 1;
    }
    pd_archive_shut(archive);
    bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  free(bytes);
}

Test(archive, a_file_cut_off_anywhere_is_found) {
  archive_entries(40);
  size_t size;
  char *path = segment_path(1, 40 * NOTES);
  uint8_t *bytes = slurp(path, &size);
  for (size_t cut = 0; cut < size; cut += 3) {
    spill(path, bytes, cut);
    cr_assert_eq(first_bad(), 0, "cut at %zu", cut);
  }
  free(bytes);
}

Test(archive, a_missing_segment_is_found) {
  archive_entries(5);
  archive_entries(5);
  archive_entries(5);
  cr_expect_eq(first_bad(), -1);
  cr_assert_eq(unlink(segment_path(5 * NOTES + 1, 10 * NOTES)), 0);
  cr_expect_eq(first_bad(), 1);
  struct pd_archive *archive = open_archive();
  struct pd_stored entry;
  cr_expect_eq(pd_archive_read(archive, 5 * NOTES, &entry), PD_OK);
  cr_expect_eq(pd_archive_read(archive, 5 * NOTES + 1, &entry), PD_ENOENT);
  pd_archive_shut(archive);
}

Test(archive, a_segment_under_another_name_or_of_another_log_is_found) {
  archive_entries(5);
  char from[160];
  strcpy(from, segment_path(1, 5 * NOTES));
  cr_assert_eq(rename(from, segment_path(1, 5 * NOTES - 1)), 0);
  cr_expect_eq(first_bad(), 0);
  cr_assert_eq(rename(segment_path(1, 5 * NOTES - 1), from), 0);
  cr_expect_eq(first_bad(), -1);
  char other[256];
  snprintf(other, sizeof other, "mv %s/%06u/intake %s/%06u/points", dir, SHARD, dir, SHARD);
  cr_assert_eq(system(other), 0);
  place.log = PD_LOG_POINTS;
  cr_expect_eq(first_bad(), 0);
}
