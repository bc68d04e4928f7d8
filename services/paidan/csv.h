/* csv - reads comma-separated tables as RFC 4180 has them, and says exactly where one is wrong.
 *
 * Lines end in CRLF or LF; a field may stand in quotes, and then hold commas, line ends and doubled
 * quotes.  The first row names the columns.  A byte order mark is skipped.  A bad row does not end
 * the reading: the next line is tried.
 *
 * The file is read into memory once, and fields are unescaped where they stand: they live until
 * csv_close().
 */
#ifndef PAIDAN_CSV_H
#define PAIDAN_CSV_H

#include "common/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CSV_COLUMNS  64         /* at most, in one table */
#define CSV_FILE_MAX (1L << 30) /* bytes of one file: 1 GiB */

struct csv_field {
  char *text;      /* unescaped, ends with NUL; UTF-8 without control characters */
  size_t length;   /* in bytes */
  uint32_t line;   /* where the field begins, from 1 */
  uint32_t column; /* in bytes of that line, from 1 */
};

struct csv {
  char *path;  /* owned copy */
  char *bytes; /* owned; the whole file and one NUL */
  size_t size;
  size_t at;
  size_t line_began;
  uint32_t line; /* of the byte at `at`, from 1 */
  uint32_t columns;
  struct csv_field names[CSV_COLUMNS];
  struct csv_field fields[CSV_COLUMNS]; /* of the row at hand */
  uint32_t count;                       /* of fields in the row at hand */
  uint32_t bad_line;                    /* of the row that csv_next() found bad */
  uint32_t bad_column;
  const char *bad_reason; /* static text */
};

enum csv_step {
  CSV_ROW, /* fields[0 .. columns - 1] hold a row */
  CSV_BAD, /* bad_line, bad_column and bad_reason say what is wrong; the row is skipped */
  CSV_END
};

/* Read the file and its first row.  PD_ENOENT, PD_EIO, PD_EBOUNDS (over CSV_FILE_MAX), or
 * PD_EFORMAT: the first row is bad (bad_line, bad_column, bad_reason say how).  csv_close() is
 * right after each of them. */
PD_MUST_USE enum pd_err csv_open(struct csv *csv, const char *path);

/* The next row. */
enum csv_step csv_next(struct csv *csv);

/* The place of a column by its name, 0 .. columns - 1; -1 if there is none. */
int csv_column(const struct csv *csv, const char *name);

/* Give the memory back; NULL is nothing. */
void csv_close(struct csv *csv);

#endif
