/* Any bytes as a configuration file: refused with a reason, or taken with every value in range. */
#include "common/io/config.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct pd_setting rows[PD_COMMON_SETTINGS];
  static struct pd_common_config values;
  char why[256];
  pd_config_common(rows, 0);
  struct pd_program program = {
      .name = "fuzz", .version = "0", .settings = rows, .count = PD_COMMON_SETTINGS};
  enum pd_err err = pd_config_parse(&program, "f", data, size, &values, why, sizeof why);
  if (err != PD_OK && why[0] == '\0') abort();
  uint32_t shards[PD_SHARDS_MAX];
  bool refused = err != PD_OK || pd_config_check_shards(&values) != NULL;
  size_t count = refused ? 0 : pd_config_shards(&values, shards);
  if (!refused && (count == 0 || count > PD_SHARDS_MAX)) abort();
  for (size_t i = 0; i < count; i++)
    if (shards[i] < 100000 || shards[i] > 999999) abort();
  if (err == PD_OK && (values.clock_factor < 1 || values.log_level > 3)) abort();
  return 0;
}

/* ---- seeds: the settings of a daemon as YAML, and what is not quite that ---- */

size_t fuzz_seed(uint32_t index, uint8_t *data, size_t max) {
  static const char *const texts[] = {
      "shard: 370302\nzone: \"+08:00\"\nrun_dir: /run/paidan\ndata_dir: /var/lib/paidan\n",
      "shard: 370302\nlog_redis: unix:/run/r.sock\nhttp: 127.0.0.1:8080\nlog_level: debug\n",
      "shard: 370302\nclock_factor: 3600\nclock_anchor_ms: -1\nsnapshot_every: 100000\n",
      "\n", "shards: 370302,370303\n", "shards: 370302,370302\nshard: 370302\n",
      "shard: 37030\n", "shard: [1, 2]\n", "shard: 370302\nshard: 370303\n", "nothing: 1\n",
      "&a shard: *a\n", "shard: !!int \"370302\"\n", "--- 1\n---\n2\n", "zone: \"\\xff\"\n",
      "? {a: b}\n: c\n", "shard: 0x5a67e\n", "vault_user: |\n  a\n  b\n"};
  if (index >= sizeof texts / sizeof *texts || strlen(texts[index]) > max) return 0;
  memcpy(data, texts[index], strlen(texts[index]));
  return strlen(texts[index]);
}
