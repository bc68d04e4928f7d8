#include "services/paidan/out.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>
#include <wchar.h>

void out_text(const struct out *out, const char *format, ...) {
  if (out->json) return;
  va_list list;
  va_start(list, format);
  vprintf(format, list);
  va_end(list);
  putchar('\n');
}

void out_object(const struct out *out, json_t *object) {
  if (out->json && object != NULL) {
    json_dumpf(object, stdout, JSON_COMPACT | JSON_REAL_PRECISION(15));
    putchar('\n');
    fflush(stdout);
  }
  json_decref(object);
}

int out_fail(const struct out *out, enum pd_exit code, const char *what, const char *why,
             const char *next) {
  fflush(stdout);
  if (out->json) {
    json_t *error =
        json_pack("{s:{s:s, s:s, s:s, s:i}}", "error", "what", what, "why", why == NULL ? "" : why,
                  "next", next == NULL ? "" : next, "exit", (int)code);
    json_dumpf(error, stderr, JSON_COMPACT);
    fputc('\n', stderr);
    json_decref(error);
    return (int)code;
  }
  fprintf(stderr, "paidan: %s", what);
  if (why != NULL && why[0] != '\0') fprintf(stderr, ": %s", why);
  fputc('\n', stderr);
  if (next != NULL && next[0] != '\0') fprintf(stderr, "  next: %s\n", next);
  return (int)code;
}

int out_failf(const struct out *out, enum pd_exit code, const char *what, const char *next,
              const char *why, ...) {
  char text[512];
  va_list list;
  va_start(list, why);
  vsnprintf(text, sizeof text, why, list);
  va_end(list);
  return out_fail(out, code, what, text, next);
}

/* ---- tables ---- */

static void add_cell(struct out_table *table, char *text) {
  if (table->count == table->room) {
    table->room = table->room == 0 ? 64 : table->room * 2;
    table->cells = realloc(table->cells, table->room * sizeof table->cells[0]);
    pd_assert(table->cells != NULL);
  }
  pd_assert(text != NULL);
  table->cells[table->count++] = text;
}

void out_table_begin(struct out_table *table, const char *const *heads) {
  *table = (struct out_table){0};
  for (; heads[table->columns] != NULL; table->columns++)
    add_cell(table, strdup(heads[table->columns]));
  pd_assert(table->columns > 0 && table->columns <= OUT_COLUMNS);
}

void out_cell(struct out_table *table, const char *format, ...) {
  va_list list;
  char *text = NULL;
  va_start(list, format);
  int length = vasprintf(&text, format, list);
  va_end(list);
  add_cell(table, length < 0 ? NULL : text);
}

/* How many terminal cells a text takes. */
static size_t width_of(const char *text) {
  wchar_t wide[256];
  size_t length = mbstowcs(wide, text, 256);
  if (length == (size_t)-1) return strlen(text);
  int width = wcswidth(wide, length);
  return width < 0 ? length : (size_t)width;
}

void out_table_end(struct out_table *table, const struct out *out) {
  size_t widths[OUT_COLUMNS] = {0};
  for (size_t i = 0; i < table->count; i++) {
    size_t width = width_of(table->cells[i]);
    if (width > widths[i % table->columns]) widths[i % table->columns] = width;
  }
  for (size_t i = 0; i < table->count; i++) {
    size_t column = i % table->columns;
    bool last = column + 1 == table->columns;
    if (!out->json) {
      int gap = last ? 0 : (int)(widths[column] - width_of(table->cells[i]) + 2);
      printf("%s%*s%s", table->cells[i], gap, "", last ? "\n" : "");
    }
  }
  out_table_drop(table);
}

void out_table_drop(struct out_table *table) {
  for (size_t i = 0; i < table->count; i++) free(table->cells[i]);
  free(table->cells);
  *table = (struct out_table){0};
}

/* ---- progress ---- */

void out_progress(const struct out *out, const char *what, double done, uint64_t count) {
  static uint64_t last_ms;
  uint64_t now = uv_hrtime() / 1000000;
  if (out->json || !isatty(STDERR_FILENO) || (done < 1.0 && now < last_ms + 50)) return;
  last_ms = now;
  char bar[31];
  int full = (int)(done * 30.0);
  for (int i = 0; i < 30; i++) bar[i] = i < full ? '#' : '.';
  bar[30] = '\0';
  fprintf(stderr, "\r%-14s [%s] %3d%%  %llu", what, bar, (int)(done * 100.0),
          (unsigned long long)count);
  fflush(stderr);
}

void out_progress_end(const struct out *out) {
  if (!out->json && isatty(STDERR_FILENO)) fputc('\n', stderr);
}
