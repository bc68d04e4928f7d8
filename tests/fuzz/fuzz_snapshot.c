/* Any bytes as a snapshot.  The checksum is made right first, so that what it guards is reached. */
#include "common/io/snapshot.h"
#include "tests/fuzz/fuzz.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LENGTH = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct pd_snapshot want = {.shard = 370302, .log = 2, .layout = 0}, got;
  uint8_t image[LENGTH];
  char why[160] = "";
  uint8_t *bytes = malloc(size + 40);
  memcpy(bytes, data, size);
  memcpy(bytes, "PaidanS1", size < 8 ? size : 8);
  (void)crypto_generichash(bytes + size, 32, bytes, size, NULL, 0);
  enum pd_err err =
      pd_snapshot_parse(bytes, size + 32, "matching", &want, &got, image, LENGTH, why, sizeof why);
  if (err != PD_OK && why[0] == '\0') abort();
  free(bytes);
  return 0;
}

/* ---- seeds: a whole one, written and read back, without its hash ---- */

size_t fuzz_seed(uint32_t index, uint8_t *data, size_t max) {
  static uint8_t image[LENGTH];
  struct pd_snapshot snapshot = {.shard = 370302, .log = 2, .last_seq = 7, .epoch = 1};
  char folder[] = "/tmp/paidan-fuzz.XXXXXX", path[128];
  if (index > 1 || mkdtemp(folder) == NULL) return 0;
  for (size_t i = 0; index == 1 && i < sizeof image; i++) image[i] = (uint8_t)(i * i >> 8);
  size_t size = 0;
  if (pd_snapshot_write(folder, "matching", &snapshot, image, sizeof image) == PD_OK) {
    snprintf(path, sizeof path, "%s/370302/matching.snapshot", folder);
    FILE *file = fopen(path, "rb");
    if (file != NULL) size = fread(data, 1, max, file);
    if (file != NULL) fclose(file);
    unlink(path);
  }
  snprintf(path, sizeof path, "%s/370302", folder);
  rmdir(path);
  rmdir(folder);
  return size > 32 ? size - 32 : 0;
}
