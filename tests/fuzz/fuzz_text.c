/* Any text as what people and programs write: times, zones, codes, ids, degrees, hours, skills.
 * What is understood keeps its rule, and comes back the same when it is written and read again.
 */
#include "common/base/calendar.h"
#include "common/base/codes.h"
#include "common/base/err.h"
#include "common/base/utf8.h"
#include "common/io/config.h"
#include "common/wire/entry.h"
#include "services/paidan/data.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

static void try_times(const char *text) {
  int64_t time_ms, again;
  int32_t zone_min;
  char written[PD_TIME_TEXT];
  if (pd_zone_parse(text, &zone_min)) pd_assert(abs(zone_min) < 1440);
  if (pd_config_zone(text, &zone_min)) pd_assert(zone_min >= -720 && zone_min <= 840);
  if (!pd_time_parse(text, &time_ms)) return;
  pd_time_text(time_ms, 480, written);
  bool read = pd_time_parse(written, &again);
  pd_assert(read);
  bool inside = time_ms >= INT64_C(-62135596800000) && time_ms < INT64_C(253402200000000);
  if (inside) pd_assert(again == time_ms - ((time_ms % 1000) + 1000) % 1000);
  struct pd_date date = pd_date_of(time_ms, 480);
  pd_assert(pd_date_valid(date) && pd_date_ms(date, 480) <= time_ms);
}

static void try_codes(const char *text) {
  struct pd_id id, again;
  char written[PD_ID_TEXT];
  if (pd_id_parse(text, &id)) {
    pd_assert(strlen(text) == 32 && pd_id_parse(pd_id_text(&id, written), &again));
    pd_assert(pd_id_equal(&id, &again));
  }
  if (pd_code12_valid(text, FUZZ_SHARD)) pd_assert(strlen(text) == 12);
  if (pd_resident_id_valid(text)) pd_assert(strlen(text) == 18);
  if (pd_credit_code_valid(text)) pd_assert(strlen(text) == 18);
  if (pd_log_named(text) != PD_LOG_UNSPECIFIED)
    pd_assert(strcmp(pd_log_name(pd_log_named(text)), text) == 0);
}

static void try_tables(const char *text) {
  uint32_t available[7];
  int32_t e7;
  if (data_degrees(text, 180, &e7)) {
    pd_assert(e7 >= -1800000000 && e7 <= 1800000000);
    pd_assert(labs((long)(strtod(text, NULL) * 1e7) - e7) <= 1);
  }
  if (data_availability(text, available))
    for (int i = 0; i < 7; i++) pd_assert(available[i] < 1u << 24);
  pd_assert(data_skill(text) <= PD_SKILL_SIGN_LANGUAGE);
  pd_assert(data_order_kind(text) != PD_ORDER_KIND_UNSPECIFIED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *text = malloc(size + 1);
  pd_assert(text != NULL);
  if (size > 0) memcpy(text, data, size);
  text[size] = '\0';
  if (pd_utf8_valid(text, size)) pd_assert(strlen(text) == size);
  try_times(text);
  try_codes(text);
  try_tables(text);
  free(text);
  return 0;
}

/* ---- seeds ---- */

size_t fuzz_seed(uint32_t index, uint8_t *data, size_t max) {
  static const char *const texts[] = {
      "2025-03-01T00:59:46+08:00", "2024-02-29T23:59:59.999Z", "0000-01-01T00:00Z",
      "9999-12-31T23:59:59-23:59", "+08:00", "Z", "-12:00", "370302001001", "11010519491231002X",
      "91350100M000100Y43", "0123456789abcdef0123456789ABCDEF", "-73.7488", "180", "0.0000001",
      "1:8-11|4:14-17", "7:0-24", "first_aid", "elder_escort", "scheduling", "é€𝄞\t"};
  if (index >= sizeof texts / sizeof *texts || strlen(texts[index]) > max) return 0;
  memcpy(data, texts[index], strlen(texts[index]));
  return strlen(texts[index]);
}
