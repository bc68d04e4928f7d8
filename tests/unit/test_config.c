#include "common/io/config.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct values {
  struct pd_common_config common;
  char name[16];
  char word[32];
  uint64_t count;
  int64_t offset;
  bool loud;
  uint32_t colour;
};

#define AT(member) .offset = offsetof(struct values, member)

static struct pd_setting settings[PD_COMMON_SETTINGS + 6];
static struct pd_program program = {.name = "demo",
                                    .version = "1.2.3",
                                    .summary = "a program for tests.",
                                    .example = "demo --shard 370302",
                                    .settings = settings,
                                    .count = PD_COMMON_SETTINGS + 6};
static struct values values;
static char *out_text, *err_text;

static void set_up(void) {
  const struct pd_setting own[] = {
      {.name = "name",
       .kind = PD_SETTING_TEXT,
       AT(name),
       .size = 16,
       .fallback = "nobody",
       .help = "A name."},
      {.name = "pass_word",
       .kind = PD_SETTING_TEXT,
       AT(word),
       .size = 32,
       .secret = true,
       .help = "A word."},
      {.name = "count",
       .kind = PD_SETTING_UINT,
       AT(count),
       .min = 1,
       .max = 100,
       .fallback = "7",
       .help = "How many."},
      {.name = "offset",
       .kind = PD_SETTING_INT,
       AT(offset),
       .min = -5,
       .max = 5,
       .help = "How far off."},
      {.name = "loud", .kind = PD_SETTING_BOOL, AT(loud), .help = "Whether it shouts."},
      {.name = "colour",
       .kind = PD_SETTING_CHOICE,
       AT(colour),
       .choices = "red|green|blue",
       .fallback = "green",
       .help = "Which colour."}};
  pd_config_common(settings, offsetof(struct values, common));
  memcpy(settings + PD_COMMON_SETTINGS, own, sizeof own);
  unsetenv("PAIDAN_CONFIG");
}

static void tear_down(void) {
  free(out_text);
  free(err_text);
}

TestSuite(config, .init = set_up, .fini = tear_down);

/* Load with these arguments after the program's name. */
static int load(int count, const char *const *arguments) {
  char *argv[16] = {"demo"};
  size_t size;
  for (int i = 0; i < count; i++) argv[i + 1] = (char *)(uintptr_t)arguments[i];
  free(out_text);
  free(err_text);
  FILE *out = open_memstream(&out_text, &size);
  FILE *err = open_memstream(&err_text, &size);
  int code = pd_config_load(&program, count + 1, argv, &values, out, err);
  fclose(out);
  fclose(err);
  return code;
}

#define LOAD(...)                                                                                  \
  load((int)(sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)),                         \
       (const char *const[]){__VA_ARGS__})

static const char *write_file(const char *text) {
  static char path[64];
  strcpy(path, "/tmp/pd-config-XXXXXX");
  int fd = mkstemp(path);
  cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
  close(fd);
  return path;
}

/* Load this file; what stands behind its name in the first message must be `expected`. */
static void expect_fault(const char *yaml, const char *expected) {
  char why[512];
  enum pd_err err =
      pd_config_parse(&program, "f", (const uint8_t *)yaml, strlen(yaml), &values, why, sizeof why);
  cr_expect_eq(err, PD_EINVAL, "%s", yaml);
  cr_expect(strstr(why, expected) == why, "for <%s>\n  got    %s\n  wanted %s", yaml, why,
            expected);
}

Test(config, defaults_hold_where_nothing_is_given) {
  cr_assert_eq(LOAD("--shard", "370302"), -1, "%s", err_text);
  cr_expect_eq(values.common.shard, 370302);
  cr_expect_str_eq(values.common.zone, "+08:00");
  cr_expect_eq(values.common.clock_factor, 1);
  cr_expect_eq(values.common.log_level, 1);
  cr_expect_str_eq(values.name, "nobody");
  cr_expect_eq(values.count, 7);
  cr_expect_eq(values.offset, 0);
  cr_expect_eq(values.colour, 1);
  cr_expect(!values.loud);
}

Test(config, the_flag_wins_over_the_environment_over_the_file_over_the_default) {
  const char *path = write_file("shard: 370302\ncount: 20\nname: file\noffset: -3\nloud: true\n");
  setenv("PAIDAN_COUNT", "30", 1);
  setenv("PAIDAN_NAME", "environment", 1);
  cr_assert_eq(LOAD("--config", path, "--name=flag"), -1, "%s", err_text);
  cr_expect_str_eq(values.name, "flag");
  cr_expect_eq(values.count, 30);
  cr_expect_eq(values.offset, -3);
  cr_expect(values.loud);
  unlink(path);
}

Test(config, flags_may_be_written_with_hyphens_and_with_equals) {
  cr_assert_eq(
      LOAD("--shard=370302", "--clock-factor=50", "--clock_at_ms", "9", "--loud", "--offset=-5"),
      -1, "%s", err_text);
  cr_expect_eq(values.common.clock_factor, 50);
  cr_expect_eq(values.common.clock_at_ms, 9);
  cr_expect(values.loud);
  cr_expect_eq(values.offset, -5);
}

Test(config, a_command_line_that_is_not_understood_is_a_usage_error) {
  cr_expect_eq(LOAD("--shard", "370302", "--colur", "red"), PD_EXIT_USAGE);
  cr_expect(strstr(err_text, "--colur") != NULL, "%s", err_text);
  cr_expect_eq(LOAD("--count"), PD_EXIT_USAGE);
  cr_expect_eq(LOAD("--count", "--loud"), PD_EXIT_USAGE);
  cr_expect_eq(LOAD("stray"), PD_EXIT_USAGE);
  cr_expect_eq(LOAD("--"), PD_EXIT_USAGE);
  cr_expect_eq(LOAD("-x"), PD_EXIT_USAGE);
}

Test(config, bad_values_are_a_configuration_error_that_names_place_and_rule) {
  cr_expect_eq(LOAD("--shard", "370302", "--count", "101"), PD_EXIT_CONFIG);
  cr_expect(strstr(err_text, "--count: count must be a whole number from 1 to 100, not \"101\"") !=
                NULL,
            "%s", err_text);
  setenv("PAIDAN_COLOUR", "pink", 1);
  cr_expect_eq(LOAD("--shard", "370302"), PD_EXIT_CONFIG);
  cr_expect(strstr(err_text, "PAIDAN_COLOUR: colour must be one of red|green|blue") != NULL, "%s",
            err_text);
}

Test(config, what_must_be_given_is_asked_for) {
  settings[PD_COMMON_SETTINGS].required = true;
  cr_expect_eq(LOAD("--shard", "370302"), PD_EXIT_CONFIG);
  char wanted[64];
  snprintf(wanted, sizeof wanted, "%s is not given", settings[PD_COMMON_SETTINGS].name);
  cr_expect(strstr(err_text, wanted) != NULL, "%s", err_text);
}

static const char *check_count(const void *given) {
  return ((const struct values *)given)->count == 7 ? "not seven" : NULL;
}

Test(config, a_rule_over_several_settings_is_kept) {
  program.check = check_count;
  cr_expect_eq(LOAD("--shard", "370302", "--count", "6"), -1, "%s", err_text);
  cr_expect_eq(LOAD("--shard", "370302", "--count", "7", "--check-config"), PD_EXIT_CONFIG);
  cr_expect(strstr(err_text, "configuration: not seven") != NULL, "%s", err_text);
  expect_fault("count: 7\n", "configuration: not seven");
}

/* The shards that these two settings name; 0: refused. */
static size_t shards_of(uint64_t shard, const char *shards, uint32_t *codes) {
  struct pd_common_config config = {.shard = shard};
  snprintf(config.shards, sizeof config.shards, "%s", shards);
  size_t count = pd_config_shards(&config, codes);
  cr_expect_eq(pd_config_check_shards(&config) == NULL, count > 0);
  cr_expect_eq(pd_config_check_shard(&config) == NULL, count == 1 && shard != 0);
  return count;
}

Test(config, shards_are_one_or_a_list) {
  uint32_t codes[PD_SHARDS_MAX];
  cr_expect_eq(shards_of(370302, "", codes), 1);
  cr_expect_eq(codes[0], 370302);
  cr_expect_eq(shards_of(0, "370302, 370303 ,370304", codes), 3);
  cr_expect_eq(codes[1], 370303);
  cr_expect_eq(codes[2], 370304);
  static const char *const bad[] = {"",        "37030",          "370302;370303", "370302,370302",
                                    "3703022", "370302 370303", ",370302",       "012345"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    cr_expect_eq(shards_of(0, bad[i], codes), 0, "%s", bad[i]);
  cr_expect_eq(shards_of(370302, "370303", codes), 0, "both");
}

Test(config, more_shards_than_a_process_serves_are_refused) {
  uint32_t codes[PD_SHARDS_MAX];
  char text[512] = "";
  for (int i = 0; i < PD_SHARDS_MAX; i++)
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s%d", i > 0 ? "," : "", 100000 + i);
  cr_expect_eq(shards_of(0, text, codes), PD_SHARDS_MAX);
  snprintf(text + strlen(text), sizeof text - strlen(text), ",999999");
  cr_expect_eq(shards_of(0, text, codes), 0);
}

Test(config, a_missing_file_is_a_configuration_error) {
  cr_expect_eq(LOAD("--shard", "370302", "--config", "/nowhere/at/all"), PD_EXIT_CONFIG);
  cr_expect(strstr(err_text, "/nowhere/at/all: cannot be read") != NULL, "%s", err_text);
}

Test(config, an_unknown_key_is_named_with_its_line_and_column) {
  expect_fault("shard: 370302\n\n  # note\ncolur: red\n", "f:4:1: unknown setting \"colur\"");
  expect_fault("{shard: 370302, colur: red}", "f:1:17: unknown setting \"colur\"");
}

Test(config, a_wrong_type_is_named_with_its_line_and_column) {
  expect_fault("shard: 370302\ncount:   many\n",
               "f:2:10: count must be a whole number from 1 to 100, not \"many\"");
  expect_fault("count: [1, 2]\n", "f:1:8: count must be one plain value");
  expect_fault("count:\n  a: 1\n", "f:2:3: count must be one plain value");
  expect_fault("loud: yes\n", "f:1:7: loud must be true or false");
  expect_fault("count: 1.5\n", "f:1:8: count must be a whole number");
  expect_fault("count: 0x10\n", "f:1:8: count must be a whole number");
  expect_fault("offset: -6\n", "f:1:9: offset must be a whole number from -5 to 5");
  expect_fault("count: 99999999999999999999999\n", "f:1:8: count must be a whole number");
  expect_fault("count: -1\n", "f:1:8: count must be a whole number");
  expect_fault("name: abcdefghijklmnopq\n", "f:1:7: name must be at most 15 bytes long");
  expect_fault("shard: 12345\n", "f:1:8: shard must be a whole number from 100000 to 999999");
}

Test(config, what_is_not_a_list_of_settings_is_refused) {
  expect_fault("- a\n- b\n", "f:1:1: lines of `name: value` are expected");
  expect_fault("hello\n", "f:1:1: lines of `name: value` are expected");
  expect_fault("name: \"unfinished\n", "f:");
  expect_fault("name: a\nname: b\n", "f:2:1: is given twice");
  expect_fault("name: a\n---\nname: b\n", "f:2:1: one YAML document is expected");
  expect_fault("name: &x a\npass_word: *x\n", "f:2:12:");
  expect_fault("? [a, b]\n: c\n", "f:1:3: a setting's name is expected here");
  expect_fault("name: \"a\\0b\"\n", "f:1:7: holds a NUL byte");
  expect_fault("name: \"a\\tb\"\n", "f:1:7: name must be UTF-8 without control characters");
  expect_fault("\xff\xfe\x01", "f:");
}

Test(config, an_empty_file_and_a_comment_are_fine_where_nothing_is_needed) {
  char why[256];
  struct pd_program small = program;
  small.settings = settings + PD_COMMON_SETTINGS;
  small.count = 6;
  static const char *const texts[] = {"", "# nothing\n", "---\n", "{}", "name:\n", "name: \"\"\n"};
  for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
    enum pd_err err = pd_config_parse(&small, "f", (const uint8_t *)texts[i], strlen(texts[i]),
                                      &values, why, sizeof why);
    cr_expect_eq(err, PD_OK, "%s: %s", texts[i], why);
  }
}

Test(config, an_over_long_file_is_refused) {
  char why[256];
  size_t size = 70000;
  uint8_t *yaml = malloc(size);
  memset(yaml, '#', size);
  cr_expect_eq(pd_config_parse(&program, "f", yaml, size, &values, why, sizeof why), PD_EINVAL);
  cr_expect(strstr(why, "larger than") != NULL, "%s", why);
  free(yaml);
}

Test(config, deep_nesting_and_torn_files_are_refused_without_harm) {
  char why[256];
  size_t size = 60000;
  uint8_t *yaml = malloc(size);
  memset(yaml, '[', size);
  cr_expect_eq(pd_config_parse(&program, "f", yaml, size, &values, why, sizeof why), PD_EINVAL);
  memcpy(yaml, "name: ", 6);
  cr_expect_eq(pd_config_parse(&program, "f", yaml, size, &values, why, sizeof why), PD_EINVAL);
  free(yaml);
  static const char whole[] =
      "shard: 370302\nname: \"x \\u00e9\"\ncolour: {a: [b, &c d]}\npass_word: 'z'\n";
  for (size_t n = 0; n < sizeof whole; n++) {
    enum pd_err err =
        pd_config_parse(&program, "f", (const uint8_t *)whole, n, &values, why, sizeof why);
    cr_expect(err == PD_OK || why[0] != '\0');
  }
}

Test(config, rules_of_the_common_settings) {
  expect_fault("instance: B\n", "f:1:11: instance must be 1 to 16 of a-z and 0-9");
  expect_fault("instance: ../b\n", "f:1:11: instance must be");
  expect_fault("zone: 8\n", "f:1:7: zone must be a zone like +08:00");
  expect_fault("zone: \"+15:00\"\n", "f:1:7: zone must be a zone");
  expect_fault("http: 0.0.0.0:80\n", "f:1:7: http must be unix:/path, 127.0.0.1:port");
  expect_fault("http: 127.0.0.1\n", "f:1:7: http must be");
  expect_fault("http: \"[::]:80\"\n", "f:1:7: http must be");
  expect_fault("http: localhost:80\n", "f:1:7: http must be");
  expect_fault("log_redis: somewhere\n", "f:1:12: log_redis must be unix:/path or host:port");
  expect_fault("run_dir: here\n", "f:1:10: run_dir must be a path from the root");
  expect_fault("log_level: loud\n", "f:1:12: log_level must be one of debug|info|warn|error");
  expect_fault("clock_factor: 0\n", "f:1:15: clock_factor must be");
  cr_expect_eq(LOAD("--shard=370302", "--http", "127.0.0.1:9100", "--log-redis=redis.local:6379"),
               -1, "%s", err_text);
  cr_expect_eq(LOAD("--shard=370302", "--http", "unix:/run/x"), -1, "%s", err_text);
}

Test(config, zones) {
  int32_t zone_min;
  cr_expect(pd_config_zone("+08:00", &zone_min) && zone_min == 480);
  cr_expect(pd_config_zone("-05:30", &zone_min) && zone_min == -330);
  cr_expect(pd_config_zone("+14:00", &zone_min) && zone_min == 840);
  cr_expect(!pd_config_zone("+14:01", &zone_min));
  cr_expect(!pd_config_zone("-12:01", &zone_min));
  cr_expect(!pd_config_zone("+08:60", &zone_min));
  cr_expect(!pd_config_zone("08:00", &zone_min));
  cr_expect(!pd_config_zone("+0800", &zone_min));
  cr_expect(!pd_config_zone("", &zone_min));
}

Test(config, help_shows_every_setting_and_an_example) {
  cr_expect_eq(LOAD("--help"), PD_EXIT_OK);
  cr_expect(strstr(out_text, "Example: demo --shard 370302") != NULL);
  cr_expect(strstr(out_text, "--pass-word") != NULL);
  for (size_t i = 0; i < program.count; i++)
    cr_expect(strstr(out_text, settings[i].help) != NULL, "%s", settings[i].name);
  cr_expect_eq(LOAD("--version"), PD_EXIT_OK);
  cr_expect_str_eq(out_text, "demo 1.2.3\n");
}

Test(config, checks_without_starting) {
  cr_expect_eq(LOAD("--check-config", "--shard=370302"), PD_EXIT_OK);
  cr_expect(strstr(out_text, "good") != NULL);
  cr_expect_eq(LOAD("--check-config", "--shard=37030"), PD_EXIT_CONFIG);
}

Test(config, what_is_printed_can_be_read_again_and_holds_no_secret) {
  cr_expect_eq(LOAD("--print-config", "--shard=370302", "--name=a\"b\\c", "--pass-word=canary",
                    "--colour=blue", "--loud"),
               PD_EXIT_OK);
  cr_expect(strstr(out_text, "canary") == NULL, "%s", out_text);
  cr_expect(strstr(out_text, "colour: blue # flag\n") != NULL, "%s", out_text);
  cr_expect(strstr(out_text, "count: 7 # default\n") != NULL, "%s", out_text);
  const char *path = write_file(out_text);
  cr_expect_eq(LOAD("--config", path), -1, "%s", err_text);
  cr_expect_str_eq(values.name, "a\"b\\c");
  cr_expect_eq(values.colour, 2);
  cr_expect(values.loud);
  unlink(path);
}

Test(config, a_bad_secret_is_not_repeated) {
  cr_expect_eq(LOAD("--shard=370302", "--pass-word=canary-canary-canary-canary-canary"),
               PD_EXIT_CONFIG);
  cr_expect(strstr(err_text, "canary") == NULL, "%s", err_text);
}
