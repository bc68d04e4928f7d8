#include "services/paidan/data_table.h"

#include "common/base/calendar.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void report(const struct table *table, uint32_t line, uint32_t column, const char *name,
                   const char *reason) {
  struct data_problem problem = {
      .file = table->path, .line = line, .column = column, .name = name, .reason = reason};
  if (table->listener->problem != NULL)
    table->listener->problem(table->listener->context, &problem);
}

static bool is_read(const struct table *table, const char *name) {
  for (uint32_t i = 0; i < table->count; i++) {
    if (strcmp(table->columns[i].name, name) == 0) return true;
  }
  return false;
}

static void note_ignored(const struct table *table) {
  char text[512] = "";
  size_t used = 0;
  for (uint32_t i = 0; i < table->csv.columns && used < sizeof text; i++) {
    const char *name = table->csv.names[i].text;
    if (is_read(table, name)) continue;
    int wrote = snprintf(text + used, sizeof text - used, "%s%s",
                         used == 0 ? "columns not used: " : ", ", name);
    used += wrote > 0 ? (size_t)wrote : 0;
  }
  if (used > 0 && table->listener->note != NULL)
    table->listener->note(table->listener->context, table->path, text);
}

static enum pd_err find_columns(struct table *table) {
  for (uint32_t i = 0; i < table->count; i++) {
    table->place[i] = csv_column(&table->csv, table->columns[i].name);
    if (table->place[i] >= 0 || !table->columns[i].required) continue;
    report(table, 1, 1, table->columns[i].name, "the table lacks this column");
    return PD_EFORMAT;
  }
  note_ignored(table);
  return PD_OK;
}

enum pd_err table_open(struct table *table, const char *path, const struct data_listener *listener,
                       const struct table_column *columns, uint32_t count) {
  pd_assert(count <= TABLE_COLUMNS);
  *table = (struct table){.path = path, .listener = listener, .columns = columns, .count = count};
  enum pd_err err = csv_open(&table->csv, path);
  if (err == PD_EFORMAT)
    report(table, table->csv.bad_line, table->csv.bad_column, NULL, table->csv.bad_reason);
  return err == PD_OK ? find_columns(table) : err;
}

void table_close(struct table *table) { csv_close(&table->csv); }

bool table_next(struct table *table) {
  for (;;) {
    enum csv_step step = csv_next(&table->csv);
    if (step != CSV_BAD) return step == CSV_ROW;
    report(table, table->csv.bad_line, table->csv.bad_column, NULL, table->csv.bad_reason);
  }
}

struct data_row table_row(const struct table *table, uint32_t ref) {
  double done = table->csv.size == 0 ? 1.0 : (double)table->csv.at / (double)table->csv.size;
  return (struct data_row){
      .ref = table_text(table, ref), .line = table->csv.fields[0].line, .done = done};
}

char *table_text(const struct table *table, uint32_t column) {
  static char empty[1];
  int place = table->place[column];
  return place < 0 ? empty : table->csv.fields[place].text;
}

bool table_complain(const struct table *table, uint32_t column, const char *reason) {
  int place = table->place[column];
  const struct csv_field *field = &table->csv.fields[place < 0 ? 0 : place];
  report(table, field->line, field->column, table->columns[column].name, reason);
  return false;
}

bool table_string(const struct table *table, uint32_t column, size_t min, size_t max, char **text) {
  *text = table_text(table, column);
  size_t length = strlen(*text);
  if (length < min) return table_complain(table, column, "must not be empty");
  if (strpbrk(*text, "\r\n") != NULL) return table_complain(table, column, "must be on one line");
  return length <= max || table_complain(table, column, "is longer than allowed");
}

/* Digits only; false for anything else or more than a uint32_t holds. */
static bool parse_number(const char *text, uint32_t *value) {
  if (text[0] == '\0' || strspn(text, "0123456789") != strlen(text) || strlen(text) > 10)
    return false;
  unsigned long long number = strtoull(text, NULL, 10);
  *value = (uint32_t)number;
  return number <= UINT32_MAX;
}

bool table_number(const struct table *table, uint32_t column, uint32_t min, uint32_t max,
                  uint32_t *value) {
  static char reason[64]; /* the tool has one thread, and the listener copies what it keeps */
  if (parse_number(table_text(table, column), value) && *value >= min && *value <= max) return true;
  snprintf(reason, sizeof reason, "must be a whole number from %u to %u", min, max);
  return table_complain(table, column, reason);
}

bool table_flag(const struct table *table, uint32_t column, protobuf_c_boolean *value) {
  const char *text = table_text(table, column);
  *value = strcmp(text, "1") == 0;
  return *value || text[0] == '\0' || strcmp(text, "0") == 0 ||
         table_complain(table, column, "must be 0 or 1");
}

bool table_choice(const struct table *table, uint32_t column, const struct table_word *words,
                  const char *what, int *value) {
  const char *text = table_text(table, column);
  for (; words->word != NULL; words++) {
    if (strcmp(words->word, text) != 0) continue;
    *value = words->value;
    return true;
  }
  return table_complain(table, column, what);
}

/* Up to 7 decimals behind the point, as units of 1e-7; false for anything else. */
static bool parse_fraction(const char *text, int64_t *fraction) {
  int64_t value = 0;
  size_t digits = 0;
  for (; text[digits] >= '0' && text[digits] <= '9'; digits++) {
    if (digits < 7) value = value * 10 + (text[digits] - '0');
  }
  if (digits == 0 || text[digits] != '\0') return false;
  for (; digits < 7; digits++) value *= 10;
  *fraction = value;
  return true;
}

bool data_degrees(const char *text, int32_t limit_deg, int32_t *e7) {
  bool negative = text[0] == '-';
  if (negative) text++;
  size_t digits = strspn(text, "0123456789");
  if (digits == 0 || digits > 3) return false;
  int64_t whole = 0, fraction = 0;
  for (size_t i = 0; i < digits; i++) whole = whole * 10 + (text[i] - '0');
  if (text[digits] != '\0' &&
      (text[digits] != '.' || !parse_fraction(text + digits + 1, &fraction)))
    return false;
  int64_t value = whole * 10000000 + fraction;
  if (value > (int64_t)limit_deg * 10000000) return false;
  *e7 = (int32_t)(negative ? -value : value);
  return true;
}

bool table_point(const struct table *table, uint32_t lon, uint32_t lat, struct pd_point *point) {
  *point = (struct pd_point)PD_POINT_INIT;
  point->datum = PD_DATUM_WGS84;
  if (!data_degrees(table_text(table, lon), 180, &point->lon_e7)) {
    return table_complain(table, lon, "must be a longitude in degrees, -180 to 180");
  }
  if (data_degrees(table_text(table, lat), 90, &point->lat_e7)) return true;
  return table_complain(table, lat, "must be a latitude in degrees, -90 to 90");
}

bool table_time(const struct table *table, uint32_t column, int64_t *time_ms) {
  if (pd_time_parse(table_text(table, column), time_ms)) return true;
  return table_complain(table, column,
                        "must be a time with its zone, like 2025-03-01T08:00:00+08:00");
}

/* Take the skill that the next `length` bytes name. */
static bool take_skill(const struct table *table, uint32_t column, const char *text, size_t length,
                       size_t max, enum pd_skill *skills, size_t *count) {
  static char reason[96]; /* as in table_number() */
  char name[32] = "";
  if (length < sizeof name) memcpy(name, text, length);
  enum pd_skill skill = data_skill(name);
  if (skill == PD_SKILL_UNSPECIFIED) {
    snprintf(reason, sizeof reason, "'%.*s' is no skill that Paidan knows",
             (int)(length < 32 ? length : 32), text);
    return table_complain(table, column, reason);
  }
  for (size_t i = 0; i < *count; i++) {
    if (skills[i] == skill) return table_complain(table, column, "names a skill twice");
  }
  if (*count >= max) return table_complain(table, column, "names too many skills");
  skills[(*count)++] = skill;
  return true;
}

bool table_skills(const struct table *table, uint32_t column, size_t max, enum pd_skill *skills,
                  size_t *count) {
  const char *text = table_text(table, column);
  *count = 0;
  while (*text != '\0') {
    size_t length = strcspn(text, "|");
    if (!take_skill(table, column, text, length, max, skills, count)) return false;
    text += length;
    if (*text == '|' && *++text == '\0') return table_complain(table, column, "ends with '|'");
  }
  return true;
}
