/* args - a command's line: its options from one table, which also makes its help. */
#ifndef PAIDAN_ARGS_H
#define PAIDAN_ARGS_H

#include "common/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARGS_OPTIONS 32
#define ARGS_WORDS   64

/* One option, `--name VALUE` or `--name=VALUE`; value NULL: a flag without a value. */
struct option_row {
  const char *name;
  const char *value; /* what the help calls it, e.g. "FILE" */
  const char *help;  /* one sentence, with the default */
};

struct args {
  const struct option_row *own; /* the command's; ends with a NULL name; may be NULL */
  const struct option_row *global;
  struct {
    const struct option_row *row;
    const char *text;
  } given[ARGS_OPTIONS];
  size_t given_count;
  const char *words[ARGS_WORDS]; /* what is not an option, in order */
  size_t count;
  char wrong[160]; /* what is not understood, when args_parse() fails */
};

/* Take argv[0 .. argc - 1] apart; `own` and `global` are set.  Texts are borrowed.  `--` ends the
 * options. */
PD_MUST_USE enum pd_err args_parse(struct args *args, int argc, char *const *argv);

/* The last value given for an option; NULL if none.  A flag that was given is "". */
const char *args_get(const struct args *args, const char *name);

/* A whole number: the option's, or `fallback` when it was not given.  PD_EINVAL: not a number
 * within min .. max; `wrong` says so. */
PD_MUST_USE enum pd_err args_number(struct args *args, const char *name, uint64_t min, uint64_t max,
                                    uint64_t fallback, uint64_t *value);

/* Digits as a number; false for anything else, or more than max. */
bool args_digits(const char *text, uint64_t max, uint64_t *value);

#endif
