/* Any bytes as a snapshot.  The checksum is made right first, so that what it guards is reached. */
#include "common/io/snapshot.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  enum { LENGTH = 4096 };
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
