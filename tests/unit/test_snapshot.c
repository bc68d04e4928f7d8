#include "common/io/snapshot.h"

#include "common/base/rng.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LENGTH = 100000 };

static char dir[64];
static uint8_t image[LENGTH], back[LENGTH];
static struct pd_snapshot saved, loaded;
static char why[160];

static void set_up(void) {
  struct pd_rng rng;
  pd_rng_seed(&rng, 1);
  for (size_t i = 0; i < LENGTH / 10; i++) image[i * 7 % LENGTH] = (uint8_t)pd_rng_next(&rng);
  strcpy(dir, "/tmp/pd-snapshot-XXXXXX");
  cr_assert_not_null(mkdtemp(dir));
  strcat(dir, "/data");
  saved = (struct pd_snapshot){
      .shard = 370302, .log = 2, .last_seq = 77, .epoch = 3, .time_ms = 123456789};
  saved.layout = pd_snapshot_layout("matching", &pd_limits_district, LENGTH, 1);
  saved.upto[1] = 55;
  saved.last_of_kind[PD_EVENT_KINDS - 1] = 66;
  memset(saved.hash, 0xee, sizeof saved.hash);
}

static void tear_down(void) {
  char command[96];
  dir[strlen(dir) - 5] = '\0';
  snprintf(command, sizeof command, "rm -rf %s", dir);
  cr_expect_eq(system(command), 0);
}

TestSuite(snapshot, .init = set_up, .fini = tear_down, .timeout = 120);

static enum pd_err save(void) {
  return pd_snapshot_write(dir, "matching", &saved, image, LENGTH);
}

static enum pd_err load(void) {
  return pd_snapshot_read(dir, "matching", &saved, &loaded, back, LENGTH, why, sizeof why);
}

static const char *path(void) {
  static char text[128];
  snprintf(text, sizeof text, "%s/370302/matching.snapshot", dir);
  return text;
}

static uint8_t *slurp(size_t *size) {
  struct stat status;
  FILE *file = fopen(path(), "r");
  cr_assert_not_null(file);
  cr_assert_eq(fstat(fileno(file), &status), 0);
  *size = (size_t)status.st_size;
  uint8_t *bytes = malloc(*size);
  cr_assert_eq(fread(bytes, 1, *size, file), *size);
  fclose(file);
  return bytes;
}

Test(snapshot, comes_back_as_it_was_written) {
  cr_assert_eq(save(), PD_OK);
  cr_assert_eq(load(), PD_OK, "%s", why);
  cr_expect_arr_eq(&loaded, &saved, sizeof saved);
  cr_expect_arr_eq(back, image, LENGTH);
}

Test(snapshot, there_is_none_at_first) {
  cr_expect_eq(load(), PD_ENOENT);
}

Test(snapshot, a_later_one_replaces_it_and_leaves_nothing_beside) {
  cr_assert_eq(save(), PD_OK);
  saved.last_seq = 78;
  image[5] ^= 1;
  cr_assert_eq(save(), PD_OK);
  cr_assert_eq(load(), PD_OK);
  cr_expect_eq(loaded.last_seq, 78);
  cr_expect_arr_eq(back, image, LENGTH);
  char folder[128];
  int files = 0;
  snprintf(folder, sizeof folder, "%s/370302", dir);
  DIR *listing = opendir(folder);
  for (struct dirent *entry = readdir(listing); entry != NULL; entry = readdir(listing))
    files += entry->d_name[0] != '.';
  closedir(listing);
  cr_expect_eq(files, 1);
}

Test(snapshot, a_file_that_cannot_be_written_leaves_the_old_one) {
  char blocked[160];
  cr_assert_eq(save(), PD_OK);
  snprintf(blocked, sizeof blocked, "%s.new", path());
  cr_assert_eq(mkdir(blocked, 0700), 0);
  saved.last_seq = 99;
  cr_expect_eq(save(), PD_EIO);
  cr_assert_eq(load(), PD_OK);
  cr_expect_eq(loaded.last_seq, 77);
}

Test(snapshot, every_flipped_bit_is_noticed) {
  size_t size;
  cr_assert_eq(save(), PD_OK);
  uint8_t *bytes = slurp(&size);
  for (size_t at = 0; at < size; at++) {
    bytes[at] ^= (uint8_t)(1 << at % 8);
    enum pd_err err =
        pd_snapshot_parse(bytes, size, "matching", &saved, &loaded, back, LENGTH, why, sizeof why);
    cr_assert_eq(err, PD_ECORRUPT, "byte %zu", at);
    bytes[at] ^= (uint8_t)(1 << at % 8);
  }
  free(bytes);
}

Test(snapshot, every_cut_is_noticed) {
  size_t size;
  cr_assert_eq(save(), PD_OK);
  uint8_t *bytes = slurp(&size);
  for (size_t cut = 0; cut < size; cut++) {
    uint8_t *part = malloc(cut + 1); /* so that a sanitizer sees a read behind the end */
    memcpy(part, bytes, cut);
    cr_assert_eq(
        pd_snapshot_parse(part, cut, "matching", &saved, &loaded, back, LENGTH, why, sizeof why),
        PD_ECORRUPT);
    free(part);
    if (cut > 2000) cut += 37;
  }
  free(bytes);
}

Test(snapshot, another_build_shard_service_or_log_is_told_apart) {
  struct pd_snapshot want;
  cr_assert_eq(save(), PD_OK);
  size_t size;
  uint8_t *bytes = slurp(&size);
#define EXPECT(service, length, text)                                                              \
  do {                                                                                             \
    enum pd_err err =                                                                              \
        pd_snapshot_parse(bytes, size, service, &want, &loaded, back, length, why, sizeof why);    \
    cr_expect_eq(err, PD_EOLD);                                                                    \
    cr_expect(strstr(why, text) != NULL, "%s", why);                                               \
  } while (0)
  want = saved;
  want.layout ^= 1;
  EXPECT("matching", LENGTH, "layout");
  want = saved;
  EXPECT("matching", LENGTH - 1, "layout");
  EXPECT("points", LENGTH, "service");
  want.shard = 370303;
  EXPECT("matching", LENGTH, "shard");
  want = saved;
  want.log = 3;
  EXPECT("matching", LENGTH, "log");
  free(bytes);
}

Test(snapshot, the_layout_depends_on_service_limits_length_and_salt) {
  uint64_t layout = pd_snapshot_layout("matching", &pd_limits_district, 100, 1);
  cr_expect_eq(pd_snapshot_layout("matching", &pd_limits_district, 100, 1), layout);
  cr_expect_neq(pd_snapshot_layout("points", &pd_limits_district, 100, 1), layout);
  cr_expect_neq(pd_snapshot_layout("matching", &pd_limits_small, 100, 1), layout);
  cr_expect_neq(pd_snapshot_layout("matching", &pd_limits_district, 101, 1), layout);
  cr_expect_neq(pd_snapshot_layout("matching", &pd_limits_district, 100, 2), layout);
}

Test(snapshot, a_large_image_of_mostly_zeros_is_a_small_file) {
  size_t length = 64 << 20, size;
  uint8_t *large = calloc(1, length), *again = malloc(length);
  large[length - 1] = 9;
  cr_assert_eq(pd_snapshot_write(dir, "matching", &saved, large, length), PD_OK);
  free(slurp(&size));
  cr_expect_lt(size, 100000);
  cr_assert_eq(pd_snapshot_read(dir, "matching", &saved, &loaded, again, length, why, sizeof why),
               PD_OK, "%s", why);
  cr_expect_eq(memcmp(large, again, length), 0);
  free(large);
  free(again);
}
