#include "services/paidan/csv.h"

#include "common/base/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum pd_err read_file(const char *path, char **bytes, size_t *size) {
  FILE *file = fopen(path, "rbe");
  if (file == NULL) return errno == ENOENT ? PD_ENOENT : PD_EIO;
  enum pd_err err = PD_EIO;
  char *buffer = NULL;
  if (fseek(file, 0, SEEK_END) != 0) goto done;
  long length = ftell(file);
  if (length < 0 || fseek(file, 0, SEEK_SET) != 0) goto done;
  err = PD_EBOUNDS;
  if (length > CSV_FILE_MAX) goto done;
  buffer = malloc((size_t)length + 1);
  err = PD_EIO;
  if (buffer == NULL || fread(buffer, 1, (size_t)length, file) != (size_t)length) goto done;
  buffer[length] = '\0';
  *bytes = buffer;
  *size = (size_t)length;
  buffer = NULL;
  err = PD_OK;
done:
  free(buffer);
  fclose(file);
  return err;
}

static void bad(struct csv *csv, size_t at, const char *reason) {
  if (csv->bad_reason != NULL) return;
  csv->bad_reason = reason;
  csv->bad_line = csv->line;
  csv->bad_column = (uint32_t)(at - csv->line_began + 1);
}

static void line_end(struct csv *csv) {
  csv->line++;
  csv->line_began = csv->at;
}

/* How long the line end at `at` is: 0, 1 or 2 bytes. */
static size_t line_break(const struct csv *csv, size_t at) {
  if (at < csv->size && csv->bytes[at] == '\n') return 1;
  return at + 1 < csv->size && csv->bytes[at] == '\r' && csv->bytes[at + 1] == '\n' ? 2 : 0;
}

static bool ends_field(const struct csv *csv, size_t at) {
  return at >= csv->size || csv->bytes[at] == ',' || line_break(csv, at) > 0;
}

static void skip_line(struct csv *csv) {
  while (csv->at < csv->size && csv->bytes[csv->at] != '\n') csv->at++;
  if (csv->at < csv->size) csv->at++;
  line_end(csv);
}

/* Where the quote that closes the field stands; csv->size if there is none.  Nothing is changed
 * yet, so that a quote which is never closed costs one row and not the rest of the file. */
static size_t closing_quote(const struct csv *csv) {
  for (size_t at = csv->at; at < csv->size; at++) {
    if (csv->bytes[at] != '"') continue;
    if (at + 1 >= csv->size || csv->bytes[at + 1] != '"') return at;
    at++;
  }
  return csv->size;
}

/* A quoted field: `at` is behind the opening quote; afterwards it is behind the closing one. */
static char *read_quoted(struct csv *csv, size_t *length) {
  char *out = csv->bytes + csv->at, *to = out;
  size_t end = closing_quote(csv);
  *length = 0;
  if (end == csv->size) {
    bad(csv, csv->at - 1, "a quoted field is never closed");
    return out;
  }
  while (csv->at < end) {
    char c = csv->bytes[csv->at++];
    if (c == '"') csv->at++;
    *to++ = c;
    if (c == '\n') line_end(csv);
  }
  csv->at++;
  *length = (size_t)(to - out);
  if (!ends_field(csv, csv->at)) bad(csv, csv->at, "text stands behind a closing quote");
  return out;
}

static char *read_plain(struct csv *csv, size_t *length) {
  char *out = csv->bytes + csv->at;
  while (!ends_field(csv, csv->at)) {
    if (csv->bytes[csv->at] == '"') bad(csv, csv->at, "a quote stands inside an unquoted field");
    csv->at++;
  }
  *length = (size_t)(csv->bytes + csv->at - out);
  return out;
}

/* UTF-8 without control characters; a quoted field may also hold line ends. */
static bool clean(const struct csv_field *field) {
  size_t from = 0;
  for (size_t at = 0; at <= field->length; at++) {
    bool end = at == field->length || field->text[at] == '\n' || field->text[at] == '\r';
    if (!end) continue;
    if (!pd_utf8_valid(field->text + from, at - from)) return false;
    from = at + 1;
  }
  return true;
}

static void bad_field(struct csv *csv, const struct csv_field *field, const char *reason) {
  if (csv->bad_reason != NULL) return;
  csv->bad_reason = reason;
  csv->bad_line = field->line;
  csv->bad_column = field->column;
}

static void keep_field(struct csv *csv, const struct csv_field *field) {
  if (!clean(field)) bad_field(csv, field, "the field is not clean UTF-8 text");
  if (csv->count < CSV_COLUMNS)
    csv->fields[csv->count] = *field;
  else
    bad_field(csv, field, "the row has more than 64 fields");
  csv->count++;
}

/* One field and what ends it; true when the row goes on. */
static bool read_field(struct csv *csv) {
  struct csv_field field = {.line = csv->line, .column = (uint32_t)(csv->at - csv->line_began + 1)};
  if (csv->at < csv->size && csv->bytes[csv->at] == '"') {
    csv->at++;
    field.text = read_quoted(csv, &field.length);
  } else {
    field.text = read_plain(csv, &field.length);
  }
  keep_field(csv, &field);
  if (csv->bad_reason != NULL) return false;
  size_t broken = line_break(csv, csv->at);
  bool more = broken == 0 && csv->at < csv->size;
  csv->at += more ? 1 : broken;
  if (broken > 0) line_end(csv);
  field.text[field.length] =
      '\0'; /* over the quote, comma or line end, or the NUL behind the file */
  return more;
}

static enum csv_step read_row(struct csv *csv) {
  csv->count = 0;
  csv->bad_reason = NULL;
  while (line_break(csv, csv->at) > 0) { /* an empty line is no row */
    csv->at += line_break(csv, csv->at);
    line_end(csv);
  }
  if (csv->at >= csv->size) return CSV_END;
  while (read_field(csv)) continue;
  if (csv->bad_reason == NULL) return CSV_ROW;
  skip_line(csv);
  return CSV_BAD;
}

enum csv_step csv_next(struct csv *csv) {
  uint32_t line = csv->line;
  enum csv_step step = read_row(csv);
  if (step != CSV_ROW || csv->count == csv->columns) return step;
  csv->bad_line = csv->count > 0 ? csv->fields[0].line : line;
  csv->bad_column = 1;
  csv->bad_reason = csv->count < csv->columns
                        ? "the row has fewer fields than the table has columns"
                        : "the row has more fields than the table has columns";
  return CSV_BAD;
}

enum pd_err csv_open(struct csv *csv, const char *path) {
  *csv = (struct csv){.line = 1};
  csv->path = strdup(path);
  if (csv->path == NULL) return PD_EIO;
  enum pd_err err = read_file(path, &csv->bytes, &csv->size);
  if (err != PD_OK) return err;
  if (csv->size >= 3 && memcmp(csv->bytes, "\xef\xbb\xbf", 3) == 0) csv->at = csv->line_began = 3;
  enum csv_step step = read_row(csv);
  if (step == CSV_BAD) return PD_EFORMAT;
  if (step == CSV_END) {
    bad(csv, csv->line_began, "the file has no row of column names");
    return PD_EFORMAT;
  }
  memcpy(csv->names, csv->fields, sizeof csv->names);
  csv->columns = csv->count;
  return PD_OK;
}

int csv_column(const struct csv *csv, const char *name) {
  for (uint32_t i = 0; i < csv->columns; i++) {
    if (strcmp(csv->names[i].text, name) == 0) return (int)i;
  }
  return -1;
}

void csv_close(struct csv *csv) {
  if (csv == NULL) return;
  free(csv->path);
  free(csv->bytes);
  *csv = (struct csv){0};
}
