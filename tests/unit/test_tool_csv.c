#include "services/paidan/csv.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/paidan-csv.XXXXXX";
static struct csv csv;

static enum pd_err given(const char *text, size_t size) {
  int fd = mkstemp(path);
  cr_assert(fd >= 0 && write(fd, text, size) == (ssize_t)size);
  close(fd);
  enum pd_err err = csv_open(&csv, path);
  unlink(path);
  return err;
}

static void given_table(const char *text) { cr_assert_eq(given(text, strlen(text)), PD_OK); }

static void expect_row(const char *first, const char *second) {
  cr_assert_eq(csv_next(&csv), CSV_ROW, "%s", csv.bad_reason == NULL ? "end" : csv.bad_reason);
  cr_assert_str_eq(csv.fields[0].text, first);
  cr_assert_str_eq(csv.fields[1].text, second);
}

static void expect_bad(uint32_t line, uint32_t column) {
  cr_assert_eq(csv_next(&csv), CSV_BAD);
  cr_assert_eq(csv.bad_line, line, "line %u: %s", csv.bad_line, csv.bad_reason);
  cr_assert_eq(csv.bad_column, column, "column %u: %s", csv.bad_column, csv.bad_reason);
}

static void expect_end(void) {
  cr_assert_eq(csv_next(&csv), CSV_END);
  csv_close(&csv);
}

Test(csv, reads_rows_that_end_in_crlf_or_lf) {
  given_table("a,b\r\n1,2\r\n3,4\n5,6");
  expect_row("1", "2");
  expect_row("3", "4");
  expect_row("5", "6");
  expect_end();
}

Test(csv, skips_a_byte_order_mark_and_empty_lines) {
  given_table(
      "\xef\xbb\xbf"
      "a,b\r\n\r\n1,2\r\n\r\n");
  cr_assert_eq(csv_column(&csv, "a"), 0);
  expect_row("1", "2");
  expect_end();
}

Test(csv, takes_commas_line_ends_and_doubled_quotes_inside_quotes) {
  given_table("a,b\r\n\"x,y\",\"he said \"\"no\"\"\"\r\n\"two\r\nlines\",\r\nlast,\"\"\r\n");
  expect_row("x,y", "he said \"no\"");
  expect_row("two\r\nlines", "");
  expect_row("last", "");
  cr_assert_eq(csv.fields[0].line, 5u);
  expect_end();
}

Test(csv, names_the_place_of_a_quote_inside_an_unquoted_field) {
  given_table("a,b\r\n1,2\"3\r\n4,5\r\n");
  expect_bad(2, 4);
  expect_row("4", "5");
  expect_end();
}

Test(csv, loses_one_row_to_a_quote_that_is_never_closed) {
  given_table("a,b\r\n1,\"2\r\n3,4\r\n5,6\r\n");
  expect_bad(2, 3);
  expect_row("3", "4");
  expect_row("5", "6");
  expect_end();
}

Test(csv, refuses_text_behind_a_closing_quote) {
  given_table("a,b\r\n\"1\"x,2\r\n3,4\r\n");
  expect_bad(2, 4);
  expect_row("3", "4");
  expect_end();
}

Test(csv, refuses_rows_with_too_few_or_too_many_fields) {
  given_table("a,b\r\n1\r\n1,2,3\r\n4,5\r\n");
  expect_bad(2, 1);
  expect_bad(3, 1);
  expect_row("4", "5");
  expect_end();
}

Test(csv, refuses_broken_utf8_and_nul) {
  static const char text[] = "a,b\r\n1,\xff\r\n\x00,2\r\n志,愿\r\n";
  cr_assert_eq(given(text, sizeof text - 1), PD_OK);
  expect_bad(2, 3);
  expect_bad(3, 1);
  expect_row("志", "愿");
  expect_end();
}

Test(csv, needs_a_row_of_names) {
  cr_assert_eq(given("", 0), PD_EFORMAT);
  cr_assert_not_null(csv.bad_reason);
  csv_close(&csv);
}

Test(csv, says_that_a_file_is_not_there) {
  cr_assert_eq(csv_open(&csv, "/tmp/there-is-no-such-file.csv"), PD_ENOENT);
  csv_close(&csv);
}
