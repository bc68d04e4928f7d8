/* out - what the tool says: text for people, JSON for programs (--output json), errors with what,
 * why and what next.
 *
 * In JSON mode every command prints one object a line with stable keys; texts are left out.
 */
#ifndef PAIDAN_OUT_H
#define PAIDAN_OUT_H

#include "common/base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct out {
  bool json;
  bool zero[7];
};

/* A line for people; nothing in JSON mode. */
void out_text(const struct out *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* An object for programs; nothing in text mode.  Takes the reference. */
void out_object(const struct out *out, json_t *object);

/* Print an error: what went wrong, why, and what to do next (why and next may be NULL).  Returns
 * `code`. */
int out_fail(const struct out *out, enum pd_exit code, const char *what, const char *why,
             const char *next);

/* The same with a formatted `why`. */
int out_failf(const struct out *out, enum pd_exit code, const char *what, const char *next,
              const char *why, ...) __attribute__((format(printf, 5, 6)));

/* ---- tables ---- */

#define OUT_COLUMNS 12

/* Rows are collected, then printed with columns as wide as their widest cell (in terminal cells: a
 * CJK one takes two). */
struct out_table {
  char **cells; /* owned texts */
  size_t columns;
  size_t count; /* of cells */
  size_t room;
};

/* The heads of the columns, as many as there are until NULL; at most OUT_COLUMNS. */
void out_table_begin(struct out_table *table, const char *const *heads);

/* The next cell. */
void out_cell(struct out_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Print (in text mode) and free. */
void out_table_end(struct out_table *table, const struct out *out);

/* Free without printing: an error has been said instead. */
void out_table_drop(struct out_table *table);

/* ---- progress ---- */

/* A bar on standard error if that is a terminal, else nothing.  done: 0 .. 1. */
void out_progress(const struct out *out, const char *what, double done, uint64_t count);
void out_progress_end(const struct out *out);

#endif
