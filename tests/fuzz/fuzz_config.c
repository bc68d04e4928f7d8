/* Any bytes as a configuration file: refused with a reason, or taken with every value in range. */
#include "common/io/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct pd_setting rows[PD_COMMON_SETTINGS];
  static struct pd_common_config values;
  char why[256];
  pd_config_common(rows, 0);
  struct pd_program program = {
      .name = "fuzz", .version = "0", .settings = rows, .count = PD_COMMON_SETTINGS};
  enum pd_err err = pd_config_parse(&program, "f", data, size, &values, why, sizeof why);
  if (err != PD_OK && why[0] == '\0') abort();
  if (err == PD_OK && (values.shard < 100000 || values.shard > 999999)) abort();
  if (err == PD_OK && (values.clock_factor < 1 || values.log_level > 3)) abort();
  return 0;
}
