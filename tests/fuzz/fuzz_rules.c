/* Any bytes as a rules file: refused with a reason, or taken with every number in its range. */
#include "common/base/err.h"
#include "services/matching/policy.h"
#include "services/matching/policy_file.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static struct matching_rules rules;
  char why[256] = "";
  memset(&rules, 0, sizeof rules);
  enum pd_err err = policy_parse("f", data, size, &rules, why, sizeof why);
  pd_assert(err == PD_OK || why[0] != '\0');
  for (unsigned kind = 0; err == PD_OK && kind < MATCHING_KINDS; kind++)
    for (unsigned row = 0; row < POLICY_ROWS; row++) {
      uint32_t value = policy_get(&rules.of[kind], &policy_rows[row]);
      pd_assert(value >= policy_rows[row].min && value <= policy_rows[row].max);
    }
  return 0;
}

size_t fuzz_seed(uint32_t index, uint8_t *data, size_t max) {
  static const char *const texts[] = {
      "offers_per_slot: 3\nemergency.offers_per_slot: 8\n", "wave_max: 5\noffers_per_slot: 6\n",
      "wave_max: 2\n", "fill_percent: 0\nvisit.fill_percent: 100\nmenu.wave_max: 9\n", "\n",
      "offers_per_slot: -1\n", "offers_per_slot: 3.5\n", "picnic.offers_per_slot: 3\n",
      "offers_per_slot: 3\noffers_per_slot: 4\n", "offers_per_slot: [3]\n",
      "&a offers_per_slot: 18446744073709551616\n", "? {offers_per_slot: 1}\n: 1\n"};
  if (index >= sizeof texts / sizeof *texts || strlen(texts[index]) > max) return 0;
  memcpy(data, texts[index], strlen(texts[index]));
  return strlen(texts[index]);
}
