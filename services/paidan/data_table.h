/* data_table - one table of a data set being read: its columns by name, and checked values out of
 * the row at hand.
 *
 * Each reader below returns false after it has reported the problem with the column's place; a
 * column that is absent reads as the empty text.
 */
#ifndef PAIDAN_DATA_TABLE_H
#define PAIDAN_DATA_TABLE_H

#include "services/paidan/csv.h"
#include "services/paidan/data.h"

#define TABLE_COLUMNS 24

struct table_column {
  const char *name;
  bool required;
};

struct table_word { /* a word of a column, and the number it stands for */
  const char *word;
  int value;
};

struct table {
  struct csv csv;
  const char *path;
  const struct data_listener *listener;
  const struct table_column *columns;
  uint32_t count;
  int place[TABLE_COLUMNS]; /* of each column in the file, or -1 */
};

/* Open a file and find the columns; notes the ones that nobody reads.  Errors as csv_open(), and
 * PD_EFORMAT for a missing column.  table_close() is right after each of them. */
PD_MUST_USE enum pd_err table_open(struct table *table, const char *path,
                                   const struct data_listener *listener,
                                   const struct table_column *columns, uint32_t count);
void table_close(struct table *table);

/* The next good row into the fields; false at the end. */
bool table_next(struct table *table);

/* Where the row at hand stands, with its column `ref` as its id. */
struct data_row table_row(const struct table *table, uint32_t ref);

/* The text of a column. */
char *table_text(const struct table *table, uint32_t column);

/* Report the row at hand; always false. */
bool table_complain(const struct table *table, uint32_t column, const char *reason);

/* Text of min .. max bytes, on one line. */
bool table_string(const struct table *table, uint32_t column, size_t min, size_t max, char **text);
/* A whole number within min .. max. */
bool table_number(const struct table *table, uint32_t column, uint32_t min, uint32_t max,
                  uint32_t *value);
/* "1" or "0"; the empty text is 0. */
bool table_flag(const struct table *table, uint32_t column, protobuf_c_boolean *value);
/* One of the words; `what` says in the problem which they are. */
bool table_choice(const struct table *table, uint32_t column, const struct table_word *words,
                  const char *what, int *value);
/* Longitude and latitude in degrees, WGS-84. */
bool table_point(const struct table *table, uint32_t lon, uint32_t lat, struct pd_point *point);
/* An ISO 8601 time with its zone, in Unix milliseconds. */
bool table_time(const struct table *table, uint32_t column, int64_t *time_ms);
/* Skills joined by "|", each once, at most max. */
bool table_skills(const struct table *table, uint32_t column, size_t max, enum pd_skill *skills,
                  size_t *count);

#endif
