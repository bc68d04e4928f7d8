#include "common/io/config.h"

#include "common/base/utf8.h"
#include "common/io/config_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* What the command line said. */
struct arguments {
  const char *config;
  bool help;
  bool version;
  bool check;
  bool print;
  const char *texts[PD_SETTINGS_MAX];
};

void config_fault(struct config_load *load, const char *place, const char *format, ...) {
  char text[512];
  va_list list;
  va_start(list, format);
  (void)vsnprintf(text, sizeof text, format, list);
  va_end(list);
  if (load->err != NULL) fprintf(load->err, "%s: %s: %s\n", load->program->name, place, text);
  if (load->why != NULL && load->faults == 0)
    (void)snprintf(load->why, load->why_size, "%s: %s", place, text);
  load->faults++;
}

static bool same_name(const char *name, const char *given, size_t length) {
  if (strlen(name) != length) return false;
  for (size_t i = 0; i < length; i++) {
    char c = given[i] == '-' ? '_' : given[i];
    if (c != name[i]) return false;
  }
  return true;
}

int config_find(const struct pd_program *program, const char *name, size_t length) {
  for (size_t i = 0; i < program->count; i++) {
    if (same_name(program->settings[i].name, name, length)) return (int)i;
  }
  return -1;
}

/* ---- values ---- */

/* Each of these stores the text's value, or returns what it should have been. */

static const char *set_text(const struct pd_setting *setting, char *at, const char *text) {
  static _Thread_local char rule[64];
  size_t length = strlen(text);
  if (length >= setting->size) {
    (void)snprintf(rule, sizeof rule, "must be at most %zu bytes long", setting->size - 1);
    return rule;
  }
  if (!pd_utf8_valid(text, length) || strchr(text, '\t') != NULL)
    return "must be UTF-8 without control characters";
  memcpy(at, text, length + 1);
  return NULL;
}

static bool is_number(const char *text) {
  size_t digits = strspn(text, "0123456789");
  return digits > 0 && text[digits] == '\0';
}

static const char *range_rule(const struct pd_setting *setting) {
  static _Thread_local char rule[96];
  (void)snprintf(rule, sizeof rule, "must be a whole number from %" PRId64 " to %" PRId64,
                 setting->min, setting->max);
  return rule;
}

static const char *set_number(const struct pd_setting *setting, char *at, const char *text) {
  bool negative = setting->kind == PD_SETTING_INT && text[0] == '-';
  if (!is_number(text + negative)) return range_rule(setting);
  errno = 0;
  long long value = strtoll(text, NULL, 10);
  if (errno != 0 || value < setting->min || value > setting->max) return range_rule(setting);
  int64_t number = value;
  memcpy(at, &number, sizeof number); /* an uint64_t has the same bytes: min is not below 0 */
  return NULL;
}

static const char *set_bool(char *at, const char *text) {
  bool value = strcmp(text, "true") == 0;
  if (!value && strcmp(text, "false") != 0) return "must be true or false";
  memcpy(at, &value, sizeof value);
  return NULL;
}

static const char *set_choice(const struct pd_setting *setting, char *at, const char *text) {
  static _Thread_local char rule[160];
  size_t length = strlen(text);
  uint32_t index = 0;
  for (const char *word = setting->choices; length > 0; index++) {
    size_t size = strcspn(word, "|");
    if (size == length && memcmp(word, text, size) == 0) {
      memcpy(at, &index, sizeof index);
      return NULL;
    }
    if (word[size] == '\0') break;
    word += size + 1;
  }
  (void)snprintf(rule, sizeof rule, "must be one of %s", setting->choices);
  return rule;
}

static const char *set_value(const struct pd_setting *setting, char *at, const char *text) {
  switch (setting->kind) {
  case PD_SETTING_TEXT:
  case PD_SETTING_LIST:
    return set_text(setting, at, text);
  case PD_SETTING_UINT:
    return set_number(setting, at, text);
  case PD_SETTING_INT:
    return set_number(setting, at, text);
  case PD_SETTING_BOOL:
    return set_bool(at, text);
  case PD_SETTING_CHOICE:
    return set_choice(setting, at, text);
  }
  return "is of no known kind";
}

void config_set(struct config_load *load, int index, const char *text, const char *source,
                const char *place) {
  const struct pd_setting *setting = &load->program->settings[index];
  const char *rule = setting->check != NULL && text[0] != '\0' ? setting->check(text) : NULL;
  if (rule == NULL) rule = set_value(setting, load->values + setting->offset, text);
  if (rule == NULL) {
    load->sources[index] = source;
  } else if (setting->secret) {
    config_fault(load, place, "%s %s", setting->name, rule);
  } else {
    config_fault(load, place, "%s %s, not \"%.64s\"", setting->name, rule, text);
  }
}

/* ---- sources ---- */

static void zero_values(struct config_load *load) {
  static const size_t sizes[] = {[PD_SETTING_UINT] = sizeof(uint64_t),
                                 [PD_SETTING_INT] = sizeof(int64_t),
                                 [PD_SETTING_BOOL] = sizeof(bool),
                                 [PD_SETTING_CHOICE] = sizeof(uint32_t)};
  for (size_t i = 0; i < load->program->count; i++) {
    const struct pd_setting *setting = &load->program->settings[i];
    bool text = setting->kind == PD_SETTING_TEXT || setting->kind == PD_SETTING_LIST;
    size_t size = text ? setting->size : sizes[setting->kind];
    memset(load->values + setting->offset, 0, size);
  }
}

static void set_defaults(struct config_load *load) {
  pd_assert(load->program->count <= PD_SETTINGS_MAX);
  zero_values(load);
  for (size_t i = 0; i < load->program->count; i++) {
    const struct pd_setting *setting = &load->program->settings[i];
    pd_assert(setting->kind != PD_SETTING_TEXT ||
              (setting->size > 0 && setting->size <= CONFIG_TEXT_MAX));
    pd_assert(setting->kind != PD_SETTING_UINT || setting->min >= 0);
    if (setting->required) continue;
    load->sources[i] = "default";
    if (setting->fallback != NULL)
      config_set(load, (int)i, setting->fallback, "default", "default");
  }
}

static void set_from_file(struct config_load *load, const char *path) {
  FILE *file = fopen(path, "re");
  uint8_t *bytes = malloc(CONFIG_FILE_MAX + 1);
  if (file == NULL || bytes == NULL) {
    config_fault(load, path, "cannot be read: %s", strerror(errno));
  } else {
    size_t size = fread(bytes, 1, CONFIG_FILE_MAX + 1, file);
    if (ferror(file)) {
      config_fault(load, path, "cannot be read");
    } else {
      config_read_yaml(load, path, bytes, size);
    }
  }
  free(bytes);
  if (file != NULL) fclose(file);
}

static void set_from_environment(struct config_load *load) {
  for (size_t i = 0; i < load->program->count; i++) {
    char name[96];
    (void)snprintf(name, sizeof name, "PAIDAN_%s", load->program->settings[i].name);
    for (char *c = name; *c != '\0'; c++) {
      if (*c >= 'a' && *c <= 'z') *c = (char)(*c - 'a' + 'A');
    }
    const char *text = getenv(name);
    if (text != NULL) config_set(load, (int)i, text, "environment", name);
  }
}

static void set_from_flags(struct config_load *load, const struct arguments *arguments) {
  for (size_t i = 0; i < load->program->count; i++) {
    char place[96];
    (void)snprintf(place, sizeof place, "--%s", load->program->settings[i].name);
    if (arguments->texts[i] != NULL) config_set(load, (int)i, arguments->texts[i], "flag", place);
  }
}

static void check_required(struct config_load *load) {
  for (size_t i = 0; i < load->program->count; i++) {
    const char *name = load->program->settings[i].name;
    if (load->sources[i] == NULL && load->faults == 0) {
      config_fault(load, "configuration",
                   "%s is not given: use --%s, or `%s:` in the file of --config", name, name, name);
    }
  }
}

static void check_together(struct config_load *load) {
  if (load->faults > 0 || load->program->check == NULL) return;
  const char *wrong = load->program->check(load->values);
  if (wrong != NULL) config_fault(load, "configuration", "%s", wrong);
}

/* ---- the command line ---- */

/* A flag without a setting behind it; true if it was one. */
static bool take_special(struct arguments *arguments, const char *flag) {
  struct {
    const char *name;
    bool *value;
  } specials[] = {{"--help", &arguments->help},
                  {"-h", &arguments->help},
                  {"--version", &arguments->version},
                  {"--check-config", &arguments->check},
                  {"--print-config", &arguments->print}};
  for (size_t i = 0; i < sizeof specials / sizeof *specials; i++) {
    if (strcmp(flag, specials[i].name) == 0) return *specials[i].value = true;
  }
  return false;
}

/* The setting's or --config's value: after `=`, or the next argument.  NULL: it is missing. */
static const char *take_value(int argc, char *const *argv, int *at, bool needed) {
  const char *equals = strchr(argv[*at], '=');
  if (equals != NULL) return equals + 1;
  if (!needed) return "true";
  if (*at + 1 >= argc || strncmp(argv[*at + 1], "--", 2) == 0) return NULL;
  return argv[++*at];
}

static bool take_argument(const struct pd_program *program, struct arguments *arguments, int argc,
                          char *const *argv, int *at, FILE *err) {
  const char *flag = argv[*at];
  if (take_special(arguments, flag)) return true;
  size_t length = strcspn(flag, "=");
  bool dashed = length > 2 && strncmp(flag, "--", 2) == 0;
  bool config = length == 8 && strncmp(flag, "--config", 8) == 0;
  int index = dashed && !config ? config_find(program, flag + 2, length - 2) : -1;
  if (index < 0 && !config) {
    fprintf(err, "%s: %.64s is not understood; see --help\n", program->name, flag);
    return false;
  }
  const char *value =
      take_value(argc, argv, at, config || program->settings[index].kind != PD_SETTING_BOOL);
  if (value == NULL) {
    fprintf(err, "%s: %s needs a value; see --help\n", program->name, flag);
    return false;
  }
  *(config ? &arguments->config : &arguments->texts[index]) = value;
  return true;
}

static int finish(struct config_load *load, const struct arguments *arguments, FILE *out) {
  check_required(load);
  check_together(load);
  if (load->faults > 0) return PD_EXIT_CONFIG;
  if (arguments->print) config_print_values(load, out);
  if (arguments->check) fprintf(out, "%s: the configuration is good\n", load->program->name);
  return arguments->print || arguments->check ? PD_EXIT_OK : -1;
}

int pd_config_load(const struct pd_program *program, int argc, char *const *argv, void *values,
                   FILE *out, FILE *err) {
  struct arguments arguments = {0};
  for (int i = 1; i < argc; i++) {
    if (!take_argument(program, &arguments, argc, argv, &i, err)) return PD_EXIT_USAGE;
  }
  if (arguments.help) {
    config_print_help(program, out);
    return PD_EXIT_OK;
  }
  if (arguments.version) {
    fprintf(out, "%s %s\n", program->name, program->version);
    return PD_EXIT_OK;
  }
  struct config_load load = {.program = program, .values = values, .err = err};
  set_defaults(&load);
  const char *path = arguments.config != NULL ? arguments.config : getenv("PAIDAN_CONFIG");
  if (path != NULL && path[0] != '\0') set_from_file(&load, path);
  set_from_environment(&load);
  set_from_flags(&load, &arguments);
  return finish(&load, &arguments, out);
}

enum pd_err pd_config_parse(const struct pd_program *program, const char *name, const uint8_t *yaml,
                            size_t size, void *values, char *why, size_t why_size) {
  struct config_load load = {
      .program = program, .values = values, .why = why, .why_size = why_size};
  if (why_size > 0) why[0] = '\0';
  set_defaults(&load);
  config_read_yaml(&load, name, yaml, size);
  check_required(&load);
  check_together(&load);
  return load.faults == 0 ? PD_OK : PD_EINVAL;
}
