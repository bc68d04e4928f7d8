/* The YAML file of a configuration.  libcyaml reads it against the table of settings; since the
 * places it names are those of the event before, a first pass with libyaml notes where each key and
 * value really stands. */
#include "common/io/config_parts.h"

#include <cyaml/cyaml.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define LIST_MAX 1024 /* bytes of a list's words, with its NUL */

/* Where a key of the top level and its value stand. */
struct spot {
  char key[64];
  yaml_mark_t key_mark;
  yaml_mark_t value_mark;
  char words[LIST_MAX]; /* of a word or a plain list of words: joined by ',' */
  bool nested;          /* the value is anything else */
};

struct survey {
  struct config_load *load;
  const char *name;
  yaml_parser_t parser;
  struct spot spots[PD_SETTINGS_MAX];
  size_t count;
  bool bad;
};

/* ---- first pass: places ---- */

static void place_text(char place[256], const char *name, yaml_mark_t mark) {
  (void)snprintf(place, 256, "%s:%zu:%zu", name, mark.line + 1, mark.column + 1);
}

static void survey_fault(struct survey *survey, yaml_mark_t mark, const char *text) {
  char place[256];
  place_text(place, survey->name, mark);
  config_fault(survey->load, place, "%s", text);
  survey->bad = true;
}

static bool next_event(struct survey *survey, yaml_event_t *event) {
  if (yaml_parser_parse(&survey->parser, event)) return true;
  const char *problem =
      survey->parser.problem != NULL ? survey->parser.problem : "not readable as YAML";
  survey_fault(survey, survey->parser.problem_mark, problem);
  return false;
}

static int depth_of(const yaml_event_t *event) {
  switch ((int)event->type) {
  case YAML_SEQUENCE_START_EVENT:
  case YAML_MAPPING_START_EVENT:
    return 1;
  case YAML_SEQUENCE_END_EVENT:
  case YAML_MAPPING_END_EVENT:
    return -1;
  default:
    return 0;
  }
}

/* Keep a word of a list; what is longer than a list may be is one word that no check lets through.
 */
static void note_word(struct spot *spot, const yaml_event_t *event, bool first) {
  size_t used = strlen(spot->words);
  (void)snprintf(spot->words + used, sizeof spot->words - used, "%s%s", first ? "" : ",",
                 (char *)event->data.scalar.value);
}

static bool skip_value(struct survey *survey, struct spot *spot) {
  int depth = 0, words = 0;
  bool first = true;
  do {
    yaml_event_t event;
    if (!next_event(survey, &event)) return false;
    if (first) spot->value_mark = event.start_mark;
    if (event.type == YAML_SCALAR_EVENT && depth <= 1) note_word(spot, &event, words++ == 0);
    spot->nested = spot->nested || event.type == YAML_MAPPING_START_EVENT || depth > 1;
    if (event.type == YAML_SCALAR_EVENT &&
        strlen((char *)event.data.scalar.value) != event.data.scalar.length) {
      survey_fault(survey, event.start_mark, "holds a NUL byte");
    }
    depth += depth_of(&event);
    /* libyaml's time grows with the square of the depth. */
    if (depth > 4) survey_fault(survey, event.start_mark, "one plain value is expected here");
    first = false;
    yaml_event_delete(&event);
  } while (depth > 0 && !survey->bad);
  return !survey->bad;
}

static bool note_key(struct survey *survey, const yaml_event_t *event) {
  struct spot *spot = &survey->spots[survey->count];
  if (event->type != YAML_SCALAR_EVENT || event->data.scalar.length >= sizeof spot->key) {
    survey_fault(survey, event->start_mark, "a setting's name is expected here");
    return false;
  }
  if (survey->count == PD_SETTINGS_MAX) {
    survey_fault(survey, event->start_mark, "more settings than there are");
    return false;
  }
  (void)snprintf(spot->key, sizeof spot->key, "%s", (char *)event->data.scalar.value);
  spot->key_mark = event->start_mark;
  for (size_t i = 0; i < survey->count; i++) {
    if (strcmp(survey->spots[i].key, spot->key) == 0)
      survey_fault(survey, event->start_mark, "is given twice");
  }
  survey->count++;
  return !survey->bad;
}

/* Everything between the braces of the one mapping. */
static bool walk_mapping(struct survey *survey) {
  for (;;) {
    yaml_event_t event;
    if (!next_event(survey, &event)) return false;
    bool end = event.type == YAML_MAPPING_END_EVENT;
    bool ok = end || note_key(survey, &event);
    yaml_event_delete(&event);
    if (end || !ok) return ok;
    if (!skip_value(survey, &survey->spots[survey->count - 1])) return false;
  }
}

/* One event of the stream around the mapping; false at the end or on a fault. */
static bool walk_stream(struct survey *survey, int *documents) {
  yaml_event_t event;
  if (!next_event(survey, &event)) return false;
  bool more = event.type != YAML_STREAM_END_EVENT;
  switch ((int)event.type) {
  case YAML_DOCUMENT_START_EVENT:
    if (++*documents > 1)
      survey_fault(survey, event.start_mark, "one YAML document is expected, not two");
    break;
  case YAML_MAPPING_START_EVENT:
    more = walk_mapping(survey);
    break;
  case YAML_SCALAR_EVENT:
    if (event.data.scalar.length > 0)
      survey_fault(survey, event.start_mark, "lines of `name: value` are expected");
    break;
  case YAML_SEQUENCE_START_EVENT:
  case YAML_ALIAS_EVENT:
    survey_fault(survey, event.start_mark, "lines of `name: value` are expected");
    break;
  default:
    break;
  }
  yaml_event_delete(&event);
  return more && !survey->bad;
}

static void take_survey(struct survey *survey, const uint8_t *yaml, size_t size) {
  int documents = 0;
  if (!yaml_parser_initialize(&survey->parser)) {
    survey_fault(survey, (yaml_mark_t){0}, "no memory");
    return;
  }
  yaml_parser_set_input_string(&survey->parser, yaml, size);
  while (walk_stream(survey, &documents)) continue;
  yaml_parser_delete(&survey->parser);
}

static const struct spot *find_spot(const struct survey *survey, const char *key) {
  for (size_t i = 0; i < survey->count; i++) {
    if (strcmp(survey->spots[i].key, key) == 0) return &survey->spots[i];
  }
  return NULL;
}

/* ---- second pass: libcyaml against the table ---- */

/* libcyaml's own words about a fault, in the order in which they come. */
struct complaint {
  char text[192];
  char key[64];
};

__attribute__((format(printf, 3, 0))) static void on_cyaml(cyaml_log_t level, void *context,
                                                           const char *format, va_list list) {
  struct complaint *complaint = context;
  char line[256];
  if (level < CYAML_LOG_ERROR) return;
  (void)vsnprintf(line, sizeof line, format, list);
  line[strcspn(line, "\n")] = '\0';
  const char *text = strncmp(line, "Load: ", 6) == 0 ? line + 6 : line;
  if (sscanf(text, " in mapping field '%63[^']'", complaint->key) == 1) return;
  if (complaint->text[0] != '\0' || strstr(text, "Backtrace") != NULL) return;
  (void)snprintf(complaint->text, sizeof complaint->text, "%.191s", text);
  (void)sscanf(text, "Unexpected key: %63s", complaint->key);
}

static void report(struct survey *survey, const struct complaint *complaint, cyaml_err_t err) {
  const struct spot *spot = find_spot(survey, complaint->key);
  bool unknown = err == CYAML_ERR_INVALID_KEY;
  yaml_mark_t mark = {0};
  if (spot != NULL) mark = unknown ? spot->key_mark : spot->value_mark;
  char place[256];
  place_text(place, survey->name, mark);
  const char *detail = complaint->text[0] != '\0' ? complaint->text : cyaml_strerror(err);
  if (unknown) {
    config_fault(survey->load, place, "unknown setting \"%s\"; --help lists them", complaint->key);
  } else {
    config_fault(survey->load, place, "%s must be one plain value (%s)", complaint->key, detail);
  }
}

static void set_all(struct survey *survey, char *const *texts) {
  const struct pd_program *program = survey->load->program;
  for (size_t i = 0; i < program->count; i++) {
    const struct spot *spot = find_spot(survey, program->settings[i].name);
    bool list = program->settings[i].kind == PD_SETTING_LIST;
    if (spot == NULL || (texts[i] == NULL && !list)) continue;
    char place[256];
    place_text(place, survey->name, spot->value_mark);
    if (list && spot->nested)
      config_fault(survey->load, place, "%s must be a list of words: [a, b]", spot->key);
    else
      config_set(survey->load, (int)i, list ? spot->words : texts[i], "file", place);
  }
}

/* Every setting is an optional string here: one reader of values serves file, environment and
 * flags. */
static void make_schema(const struct pd_program *program, cyaml_schema_field_t *fields) {
  for (size_t i = 0; i < program->count; i++) {
    if (program->settings[i].kind == PD_SETTING_LIST) { /* read in the first pass */
      fields[i] = (cyaml_schema_field_t)CYAML_FIELD_IGNORE(program->settings[i].name,
                                                           CYAML_FLAG_OPTIONAL);
      continue;
    }
    fields[i] = (cyaml_schema_field_t){
        .key = program->settings[i].name,
        .data_offset = (uint32_t)(i * sizeof(char *)),
        .value = {CYAML_VALUE_STRING(CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL, char, 0,
                                     CONFIG_TEXT_MAX - 1)}};
  }
  fields[program->count] = (cyaml_schema_field_t){.key = NULL};
}

static void load_all(struct survey *survey, const uint8_t *yaml, size_t size) {
  cyaml_schema_field_t fields[PD_SETTINGS_MAX + 1];
  struct complaint complaint = {0};
  cyaml_config_t config = {.log_fn = on_cyaml,
                           .log_ctx = &complaint,
                           .mem_fn = cyaml_mem,
                           .log_level = CYAML_LOG_ERROR,
                           .flags = CYAML_CFG_NO_ALIAS};
  make_schema(survey->load->program, fields);
  cyaml_schema_value_t top = {
      CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, char *[PD_SETTINGS_MAX], fields)};
  char **texts = NULL;
  cyaml_err_t err = cyaml_load_data(yaml, size, &config, &top, (cyaml_data_t **)&texts, NULL);
  if (err != CYAML_OK) {
    report(survey, &complaint, err);
  } else if (texts != NULL) {
    set_all(survey, texts);
    (void)cyaml_free(&config, &top, texts, 0);
  }
}

void config_read_yaml(struct config_load *load, const char *name, const uint8_t *yaml,
                      size_t size) {
  if (size > CONFIG_FILE_MAX) {
    config_fault(load, name, "is larger than %d bytes", CONFIG_FILE_MAX);
    return;
  }
  struct survey *survey = calloc(1, sizeof *survey);
  pd_assert(survey != NULL);
  survey->load = load;
  survey->name = name;
  take_survey(survey, yaml, size);
  if (!survey->bad && survey->count > 0) load_all(survey, yaml, size);
  free(survey);
}
