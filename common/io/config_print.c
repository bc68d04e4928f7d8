#include "common/io/config_parts.h"

#include <inttypes.h>
#include <string.h>

static void print_flag(FILE *out, const char *name) {
  for (; *name != '\0'; name++) fputc(*name == '_' ? '-' : *name, out);
}

/* The words behind a setting's help: kind, range, default. */
static void print_facts(const struct pd_setting *setting, FILE *out) {
  switch (setting->kind) {
  case PD_SETTING_UINT:
  case PD_SETTING_INT:
    fprintf(out, "%" PRId64 " to %" PRId64, setting->min, setting->max);
    break;
  case PD_SETTING_BOOL:
    fprintf(out, "true or false");
    break;
  case PD_SETTING_CHOICE:
    fprintf(out, "%s", setting->choices);
    break;
  case PD_SETTING_TEXT:
    fprintf(out, "text");
    break;
  case PD_SETTING_LIST:
    fprintf(out, "words joined by ','");
    break;
  }
  if (setting->required) {
    fprintf(out, "; must be given");
  } else if (setting->fallback != NULL && setting->fallback[0] != '\0') {
    fprintf(out, "; default %s", setting->fallback);
  } else {
    fprintf(out, "; default none");
  }
}

void config_print_help(const struct pd_program *program, FILE *out) {
  fprintf(out, "%s - %s\n\nUsage: %s [--config FILE] [--NAME VALUE | --NAME=VALUE]...\n",
          program->name, program->summary, program->name);
  fprintf(out, "Example: %s\n\n", program->example);
  fprintf(
      out,
      "  --config FILE    YAML, one `name: value` a line (or PAIDAN_CONFIG)\n"
      "  --check-config   check everything that was given, then end: 0 good, 78 bad\n"
      "  --print-config   print every setting and where it came from, then end\n"
      "  --version        print the version, then end\n"
      "  --help           print this, then end\n\n"
      "Settings: a flag wins over the environment (PAIDAN_NAME), that over the file,\n"
      "that over the default.\n");
  for (size_t i = 0; i < program->count; i++) {
    const struct pd_setting *setting = &program->settings[i];
    fprintf(out, "  --");
    print_flag(out, setting->name);
    fprintf(out, "\n      %s\n      (", setting->help);
    print_facts(setting, out);
    fprintf(out, ")\n");
  }
}

/* A double-quoted YAML scalar; values hold no control characters. */
static void print_quoted(FILE *out, const char *text) {
  fputc('"', out);
  for (; *text != '\0'; text++) {
    if (*text == '"' || *text == '\\') fputc('\\', out);
    fputc(*text, out);
  }
  fputc('"', out);
}

static void print_choice(FILE *out, const char *word, uint32_t index) {
  while (index-- > 0) word += strcspn(word, "|") + 1;
  fprintf(out, "%.*s", (int)strcspn(word, "|"), word);
}

static void print_value(const struct pd_setting *setting, const char *at, FILE *out) {
  int64_t number = 0;
  uint32_t index = 0;
  switch (setting->kind) {
  case PD_SETTING_TEXT:
    print_quoted(out, setting->secret && at[0] != '\0' ? "***" : at);
    break;
  case PD_SETTING_LIST:
    fprintf(out, "[%s]", at);
    break;
  case PD_SETTING_UINT:
  case PD_SETTING_INT:
    memcpy(&number, at, sizeof number);
    fprintf(out, "%" PRId64, number);
    break;
  case PD_SETTING_BOOL:
    fprintf(out, "%s", at[0] ? "true" : "false");
    break;
  case PD_SETTING_CHOICE:
    memcpy(&index, at, sizeof index);
    print_choice(out, setting->choices, index);
    break;
  }
}

void config_print_values(const struct config_load *load, FILE *out) {
  for (size_t i = 0; i < load->program->count; i++) {
    const struct pd_setting *setting = &load->program->settings[i];
    fprintf(out, "%s: ", setting->name);
    print_value(setting, load->values + setting->offset, out);
    fprintf(out, " # %s\n", load->sources[i]);
  }
}
