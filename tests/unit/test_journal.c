#include "common/io/journal.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int pipes[2];

static void set_up(void) {
  cr_assert_eq(pipe(pipes), 0);
  pd_journal_init("intake", 370302, PD_LEVEL_INFO, pipes[1]);
}

TestSuite(journal, .init = set_up);

/* The lines written so far, as JSON. */
static json_t *line(void) {
  static char text[2 * PD_JOURNAL_LINE];
  json_error_t error;
  ssize_t size = read(pipes[0], text, sizeof text - 1);
  cr_assert_gt(size, 0);
  text[size] = '\0';
  cr_assert_eq(text[size - 1], '\n');
  cr_assert_leq(size, PD_JOURNAL_LINE);
  json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &error);
  cr_assert_not_null(object, "%s in %s", error.text, text);
  return object;
}

static const char *text_of(json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text != NULL ? text : "(none)";
}

Test(journal, a_line_is_one_json_object) {
  struct pd_id id = {{0xab, 0xcd}};
  pd_say(PD_LEVEL_WARN, pd_kv_text("msg", "log opened"), pd_kv_uint("seq", UINT64_MAX >> 1),
         pd_kv_int("lag", -3), pd_kv_id("person", &id));
  json_t *object = line();
  cr_expect_str_eq(text_of(object, "level"), "warn");
  cr_expect_str_eq(text_of(object, "service"), "intake");
  cr_expect_str_eq(text_of(object, "shard"), "370302");
  cr_expect_str_eq(text_of(object, "msg"), "log opened");
  cr_expect_eq(json_integer_value(json_object_get(object, "seq")), (json_int_t)(UINT64_MAX >> 1));
  cr_expect_eq(json_integer_value(json_object_get(object, "lag")), -3);
  cr_expect_str_eq(text_of(object, "person"), "abcd0000000000000000000000000000");
  cr_expect_eq(strlen(text_of(object, "time")), strlen("2025-01-01T00:00:00.000Z"));
  json_decref(object);
}

Test(journal, lines_below_the_level_are_not_written) {
  pd_say(PD_LEVEL_DEBUG, pd_kv_text("msg", "quiet"));
  pd_say(PD_LEVEL_ERROR, pd_kv_text("msg", "loud"));
  json_t *object = line();
  cr_expect_str_eq(text_of(object, "msg"), "loud");
  json_decref(object);
}

Test(journal, hostile_text_stays_one_valid_line) {
  pd_say(PD_LEVEL_INFO,
         pd_kv_text("msg", "a\"b\\c\n\r\t\x01\x7f 中文 \xff\xc0\xaf\xed\xa0\x80 end"),
         pd_kv_text("none", NULL));
  json_t *object = line();
  const char *msg = text_of(object, "msg");
  cr_expect(strstr(msg, "a\"b\\c\n\r\t\x01\x7f 中文 \xef\xbf\xbd") == msg, "%s", msg);
  cr_expect_str_eq(text_of(object, "none"), "");
  json_decref(object);
}

Test(journal, an_over_long_text_is_cut_between_characters) {
  static char text[9000];
  for (size_t shift = 0; shift < 4; shift++) {
    memset(text, 'x', shift);
    for (size_t i = shift; i + 4 < sizeof text; i += 3) memcpy(text + i, "中", 4);
    pd_say(PD_LEVEL_INFO, pd_kv_text("msg", text), pd_kv_uint("lost", 1),
           pd_kv_text("also", "lost"));
    json_t *object = line();
    cr_expect_gt(strlen(text_of(object, "msg")), 3900);
    cr_expect_null(json_object_get(object, "lost"));
    json_decref(object);
  }
}

Test(journal, many_fields_fill_a_line_and_no_more) {
  struct pd_kv fields[201] = {{0}};
  static char keys[200][32];
  for (int i = 0; i < 200; i++) {
    snprintf(keys[i], sizeof keys[i], "key_number_%d", i);
    fields[i] =
        i % 2 ? pd_kv_text(keys[i], "some text or other") : pd_kv_uint(keys[i], UINT64_MAX >> 1);
  }
  pd_journal_write(PD_LEVEL_INFO, fields);
  json_decref(line());
}

Test(journal, a_broken_pipe_does_not_stop_the_program) {
  close(pipes[0]);
  signal(SIGPIPE, SIG_IGN);
  pd_say(PD_LEVEL_INFO, pd_kv_text("msg", "into the void"));
}

Test(journal, speaks_once_per_source_and_window) {
  uint64_t missed = 99;
  cr_expect(pd_journal_once("peer a", 1000, 5000, &missed));
  cr_expect_eq(missed, 0);
  cr_expect(!pd_journal_once("peer a", 1000, 5001, &missed));
  cr_expect(!pd_journal_once("peer a", 1000, 5999, &missed));
  cr_expect(pd_journal_once("peer b", 1000, 5999, NULL));
  cr_expect(pd_journal_once("peer a", 1000, 6000, &missed));
  cr_expect_eq(missed, 2);
}

Test(journal, many_sources_push_out_the_oldest_only) {
  char name[32];
  for (uint64_t i = 0; i < 257; i++) {
    snprintf(name, sizeof name, "source %d", (int)i);
    cr_expect(pd_journal_once(name, 1000000, 10 + i, NULL));
  }
  cr_expect(pd_journal_once("source 0", 1000000, 500, NULL), "was pushed out");
  cr_expect(!pd_journal_once("source 200", 1000000, 500, NULL), "is remembered");
}
