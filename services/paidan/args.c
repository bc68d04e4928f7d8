#include "services/paidan/args.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct option_row *find(const struct option_row *rows, const char *name,
                                     size_t length) {
  for (; rows != NULL && rows->name != NULL; rows++) {
    if (strlen(rows->name) == length && memcmp(rows->name, name, length) == 0) return rows;
  }
  return NULL;
}

/* Take the option at argv[*at]; *at moves over its value. */
static enum pd_err take_option(struct args *args, int argc, char *const *argv, int *at) {
  const char *name = argv[*at] + 2;
  size_t length = strcspn(name, "=");
  const struct option_row *row = find(args->own, name, length);
  if (row == NULL) row = find(args->global, name, length);
  const char *text = name[length] == '=' ? name + length + 1 : NULL;
  if (row == NULL) {
    snprintf(args->wrong, sizeof args->wrong, "there is no option --%.*s here", (int)length, name);
    return PD_EINVAL;
  }
  if (row->value == NULL && text != NULL) {
    snprintf(args->wrong, sizeof args->wrong, "--%s takes no value", row->name);
    return PD_EINVAL;
  }
  if (row->value == NULL) text = "";
  if (text == NULL && *at + 1 < argc) text = argv[++*at];
  if (text == NULL || args->given_count >= ARGS_OPTIONS) {
    snprintf(args->wrong, sizeof args->wrong, "--%s needs a value: %s", row->name, row->value);
    return PD_EINVAL;
  }
  args->given[args->given_count].row = row;
  args->given[args->given_count++].text = text;
  return PD_OK;
}

enum pd_err args_parse(struct args *args, int argc, char *const *argv) {
  bool options = true;
  for (int at = 0; at < argc; at++) {
    if (options && strcmp(argv[at], "--") == 0) {
      options = false;
    } else if (options && strncmp(argv[at], "--", 2) == 0) {
      enum pd_err err = take_option(args, argc, argv, &at);
      if (err != PD_OK) return err;
    } else if (args->count < ARGS_WORDS) {
      args->words[args->count++] = argv[at];
    } else {
      snprintf(args->wrong, sizeof args->wrong, "there are more than %d words", ARGS_WORDS);
      return PD_EINVAL;
    }
  }
  return PD_OK;
}

const char *args_get(const struct args *args, const char *name) {
  for (size_t i = args->given_count; i > 0; i--) {
    if (strcmp(args->given[i - 1].row->name, name) == 0) return args->given[i - 1].text;
  }
  return NULL;
}

bool args_digits(const char *text, uint64_t max, uint64_t *value) {
  size_t length = strlen(text);
  if (length == 0 || length > 20 || strspn(text, "0123456789") != length) return false;
  errno = 0;
  *value = strtoull(text, NULL, 10);
  return errno == 0 && *value <= max;
}

enum pd_err args_number(struct args *args, const char *name, uint64_t min, uint64_t max,
                        uint64_t fallback, uint64_t *value) {
  const char *text = args_get(args, name);
  *value = fallback;
  if (text == NULL || (args_digits(text, max, value) && *value >= min)) return PD_OK;
  snprintf(args->wrong, sizeof args->wrong, "--%s must be a whole number from %llu to %llu", name,
           (unsigned long long)min, (unsigned long long)max);
  return PD_EINVAL;
}
