#include "services/paidan/zone.h"

#include "common/base/calendar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ZONES "/usr/share/zoneinfo"
#define DAY_MS INT64_C(86400000)
#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/"

/* A name of a file of rules, and of nothing else in or outside that folder. */
static bool is_known(const char *name) {
  char path[160], magic[4] = "";
  if (strspn(name, LETTERS) != strlen(name) || strchr("+-/", name[0]) != NULL) return false;
  if (snprintf(path, sizeof path, ZONES "/%s", name) >= (int)sizeof path) return false;
  FILE *file = fopen(path, "rbe");
  if (file == NULL) return false;
  bool known = fread(magic, 1, sizeof magic, file) == sizeof magic && memcmp(magic, "TZif", 4) == 0;
  (void)fclose(file);
  return known;
}

static long offset_at(int64_t time_ms) {
  time_t seconds = (time_t)(time_ms / 1000);
  struct tm local;
  return localtime_r(&seconds, &local) == NULL ? 0 : local.tm_gmtoff;
}

/* The day on which the offset is another one; 0: none. */
static int64_t changes(int64_t from_ms, int64_t to_ms, long *offset) {
  *offset = offset_at(from_ms);
  for (int64_t at = from_ms; at <= to_ms; at += DAY_MS)
    if (offset_at(at) != *offset) return at;
  return 0;
}

char *zone_text(int32_t zone_min, char *text) {
  int minutes = abs(zone_min) % 1440;
  (void)snprintf(text, 8, "%c%02d:%02d", zone_min < 0 ? '-' : '+', minutes / 60, minutes % 60);
  return text;
}

bool zone_find(const char *text, int64_t from_ms, int64_t to_ms, int32_t *zone_min, char *why,
               size_t why_size) {
  if (pd_zone_parse(text, zone_min)) return true;
  if (!is_known(text)) {
    (void)snprintf(why, why_size, "must be like +08:00, or a name like Asia/Shanghai that is in %s",
                   ZONES);
    return false;
  }
  char *before = getenv("TZ"), *kept = before == NULL ? NULL : strdup(before), time_now[64];
  long offset;
  (void)snprintf(time_now, sizeof time_now, ":%s", text);
  (void)setenv("TZ", time_now, 1);
  tzset();
  int64_t change = changes(from_ms, to_ms, &offset);
  if (kept != NULL) (void)setenv("TZ", kept, 1);
  if (kept == NULL) (void)unsetenv("TZ");
  tzset();
  free(kept);
  *zone_min = (int32_t)(offset / 60);
  if (change == 0 && offset % 60 == 0) return true;
  (void)snprintf(why, why_size,
                 "%s is not one offset (it changes by %.10s), and a district's days are counted by "
                 "one: give an offset like +08:00",
                 text, pd_time_text(change, 0, time_now));
  return false;
}
