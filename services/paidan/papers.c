/* How credentials are written on a command line and in a table. */
#include "services/paidan/papers.h"

#include "common/base/calendar.h"
#include "services/paidan/data.h"

#include <stdio.h>
#include <string.h>

static const char *const kinds[] = {"?",        "qualification", "insurance",
                                    "guardian", "automated",     "health"};
static const char *const demands[] = {"?",        "heavy", "heights", "stairs", "standing",
                                      "outdoors", "night", "animals", "dust"};

static size_t find(const char *const *words, size_t count, const char *word, size_t length) {
  for (size_t i = 1; i < count; i++)
    if (strlen(words[i]) == length && memcmp(words[i], word, length) == 0) return i;
  return 0;
}

enum pd_credential_kind papers_kind(const char *word, size_t length) {
  return (enum pd_credential_kind)find(kinds, sizeof kinds / sizeof kinds[0], word, length);
}

const char *papers_kind_word(enum pd_credential_kind kind) {
  return (size_t)kind < sizeof kinds / sizeof kinds[0] ? kinds[kind] : "?";
}

const char *papers_demand_word(enum pd_demand demand) {
  return (size_t)demand < sizeof demands / sizeof demands[0] ? demands[demand] : "?";
}

bool papers_demands(const char *text, enum pd_demand *list, size_t *count) {
  *count = 0;
  while (*text != '\0') {
    size_t length = strcspn(text, "|");
    size_t demand = find(demands, sizeof demands / sizeof demands[0], text, length);
    for (size_t i = 0; i < *count; i++)
      if (list[i] == (enum pd_demand)demand) return false;
    if (demand == 0) return false;
    list[(*count)++] = (enum pd_demand)demand;
    text += length;
    if (*text == '|' && *++text == '\0') return false;
  }
  return true;
}

bool papers_time(const char *text, int32_t zone_min, bool end, int64_t *time_ms) {
  char full[32];
  if (strlen(text) != strlen("2026-03-01")) return pd_time_parse(text, time_ms);
  snprintf(full, sizeof full, "%sT00:00:00+00:00", text);
  if (!pd_time_parse(full, time_ms)) return false;
  *time_ms += (end ? PD_DAY_MS : 0) - zone_min * PD_MINUTE_MS;
  return true;
}

bool papers_entry(const char *text, size_t length, int32_t zone_min,
                  struct pd_record_credential *paper) {
  char kind[64], *until, *skill;
  if (length >= sizeof kind) return false;
  memcpy(kind, text, length);
  kind[length] = '\0';
  until = strchr(kind, ':');
  if (until == NULL) return false;
  *until++ = '\0';
  skill = strchr(kind, '.');
  if (skill != NULL) *skill++ = '\0';
  paper->kind = papers_kind(kind, strlen(kind));
  paper->skill = skill != NULL ? data_skill(skill) : PD_SKILL_UNSPECIFIED;
  bool of_skill = paper->kind == PD_CREDENTIAL_KIND_QUALIFICATION;
  if (paper->kind == 0 || of_skill != (paper->skill != 0) || (!of_skill && skill != NULL))
    return false;
  return strcmp(until, "no") == 0 || papers_time(until, zone_min, true, &paper->until_ms);
}
