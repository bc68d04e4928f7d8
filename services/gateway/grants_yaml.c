/* The grants file as YAML.  libyaml's events say where each thing stands; the shape is fixed (a
 * mapping, a list, mappings, lists of texts), so every place can be named exactly. */
#include "services/gateway/grants.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct reader {
  yaml_parser_t parser;
  yaml_event_t event; /* the one at hand; deleted before the next */
  bool held;
  bool bad;
  const char *file;
  char *why;
  size_t why_size;
  struct grants *grants;
};

__attribute__((format(printf, 3, 4))) static bool fault(struct reader *reader, yaml_mark_t mark,
                                                        const char *format, ...) {
  char text[256];
  va_list list;
  va_start(list, format);
  (void)vsnprintf(text, sizeof text, format, list);
  va_end(list);
  if (!reader->bad)
    (void)snprintf(reader->why, reader->why_size, "%s:%zu:%zu: %s", reader->file, mark.line + 1,
                   mark.column + 1, text);
  reader->bad = true;
  return false;
}

static bool next(struct reader *reader) {
  if (reader->held) yaml_event_delete(&reader->event);
  reader->held = false;
  if (!yaml_parser_parse(&reader->parser, &reader->event)) {
    const char *problem = reader->parser.problem;
    yaml_mark_t mark = reader->parser.problem_mark;
    return fault(reader, mark, "%s", problem != NULL ? problem : "not readable as YAML");
  }
  reader->held = true;
  return true;
}

/* The next event must be of this type. */
static bool expect(struct reader *reader, yaml_event_type_t type, const char *what) {
  if (!next(reader)) return false;
  if (reader->event.type == type) return true;
  return fault(reader, reader->event.start_mark, "%s is expected here", what);
}

/* The scalar at hand as a text without NUL, of at most size - 1 bytes. */
static bool take_text(struct reader *reader, const char *what, char *text, size_t size) {
  const yaml_event_t *event = &reader->event;
  if (event->type != YAML_SCALAR_EVENT)
    return fault(reader, event->start_mark, "%s is expected here", what);
  size_t length = event->data.scalar.length;
  const char *value = (const char *)event->data.scalar.value;
  if (length >= size || strlen(value) != length)
    return fault(reader, event->start_mark, "%s is longer than %zu bytes, or holds a NUL", what,
                 size - 1);
  memcpy(text, value, length + 1);
  return true;
}

static bool read_list(struct reader *reader, struct grant *grant, const char *name) {
  char text[GRANTS_TEXT];
  if (!expect(reader, YAML_SEQUENCE_START_EVENT, "a list, [a, b],")) return false;
  for (;;) {
    if (!next(reader)) return false;
    if (reader->event.type == YAML_SEQUENCE_END_EVENT) return true;
    if (!take_text(reader, "a text", text, sizeof text)) return false;
    const char *wrong = grant_add(grant, name, text);
    if (wrong != NULL) return fault(reader, reader->event.start_mark, "%s: %s", name, wrong);
  }
}

static bool read_text(struct reader *reader, struct grant *grant, bool is_key) {
  char text[GRANTS_TEXT];
  if (!next(reader) || !take_text(reader, is_key ? "a public key" : "a name", text, sizeof text))
    return false;
  const char *wrong = is_key ? grant_set_key(grant, text) : grant_set_name(grant, text);
  bool there = grants_named(reader->grants, grant->name) != NULL;
  if (is_key) there = grants_keyed(reader->grants, grant->key) != NULL;
  if (wrong == NULL && there) wrong = "stands here twice";
  return wrong == NULL || fault(reader, reader->event.start_mark, "%s", wrong);
}

static const char *const members[] = {"name", "key", "roles", "hear", "redact", "publish"};
#define MEMBERS (sizeof members / sizeof members[0])

/* One member of a key: its name is at hand. */
static bool read_member(struct reader *reader, struct grant *grant, unsigned *given) {
  char name[GRANTS_TEXT];
  yaml_mark_t mark = reader->event.start_mark;
  if (!take_text(reader, "name, key, roles, hear, redact or publish", name, sizeof name))
    return false;
  unsigned which = 0;
  while (which < MEMBERS && strcmp(name, members[which]) != 0) which++;
  if (which == MEMBERS)
    return fault(reader, mark, "unknown \"%s\": name, key, roles, hear, redact, publish are known",
                 name);
  if ((*given & 1u << which) != 0) return fault(reader, mark, "%s is given twice", name);
  *given |= 1u << which;
  return which < 2 ? read_text(reader, grant, which == 1) : read_list(reader, grant, name);
}

static bool read_grant(struct reader *reader) {
  struct grants *grants = reader->grants;
  yaml_mark_t mark = reader->event.start_mark;
  unsigned given = 0;
  if (reader->event.type != YAML_MAPPING_START_EVENT)
    return fault(reader, mark, "a key with name, key, hear ... is expected here");
  if (grants->count == GRANTS_KEYS) return fault(reader, mark, "more than %d keys", GRANTS_KEYS);
  struct grant *grant = &grants->keys[grants->count];
  memset(grant, 0, sizeof *grant);
  for (;;) {
    if (!next(reader)) return false;
    if (reader->event.type == YAML_MAPPING_END_EVENT) break;
    if (!read_member(reader, grant, &given)) return false;
  }
  if ((given & 3) != 3) return fault(reader, mark, "a key needs name and key");
  grants->count++;
  return true;
}

static bool read_keys(struct reader *reader) {
  if (!expect(reader, YAML_SEQUENCE_START_EVENT, "a list of keys")) return false;
  for (;;) {
    if (!next(reader)) return false;
    if (reader->event.type == YAML_SEQUENCE_END_EVENT) return true;
    if (!read_grant(reader)) return false;
  }
}

static bool read_top(struct reader *reader) {
  char name[GRANTS_TEXT];
  bool seen = false;
  for (;;) {
    if (!next(reader)) return false;
    if (reader->event.type == YAML_MAPPING_END_EVENT) return true;
    if (!take_text(reader, "keys", name, sizeof name)) return false;
    if (strcmp(name, "keys") != 0 || seen)
      return fault(reader, reader->event.start_mark, "one list called keys is expected here");
    seen = true;
    if (!read_keys(reader)) return false;
  }
}

static bool read_stream(struct reader *reader) {
  if (!expect(reader, YAML_STREAM_START_EVENT, "a YAML file") || !next(reader)) return false;
  if (reader->event.type == YAML_STREAM_END_EVENT) return true; /* only comments */
  return expect(reader, YAML_MAPPING_START_EVENT, "keys:") && read_top(reader) &&
         expect(reader, YAML_DOCUMENT_END_EVENT, "the end of the file") &&
         expect(reader, YAML_STREAM_END_EVENT, "the end of the file");
}

enum pd_err grants_parse(const char *file, const uint8_t *yaml, size_t size, struct grants *grants,
                         char *why, size_t why_size) {
  grants->count = 0;
  why[0] = '\0';
  if (size > GRANTS_FILE) {
    (void)snprintf(why, why_size, "%s: larger than %u bytes", file, GRANTS_FILE);
    return PD_EBOUNDS;
  }
  struct reader reader = {.file = file, .why = why, .why_size = why_size, .grants = grants};
  if (!yaml_parser_initialize(&reader.parser)) return PD_EINVAL;
  yaml_parser_set_input_string(&reader.parser, yaml, size);
  bool good = read_stream(&reader);
  if (reader.held) yaml_event_delete(&reader.event);
  yaml_parser_delete(&reader.parser);
  if (!good) grants->count = 0;
  return good ? PD_OK : PD_EINVAL;
}

enum pd_err grants_load(const char *path, struct grants *grants, char *why, size_t why_size) {
  grants->count = 0;
  FILE *file = fopen(path, "rbe");
  if (file == NULL) {
    (void)snprintf(why, why_size, "%s cannot be read: nobody is let in", path);
    return PD_ENOENT;
  }
  uint8_t *text = malloc(GRANTS_FILE + 1);
  size_t size = text == NULL ? 0 : fread(text, 1, GRANTS_FILE + 1, file);
  (void)fclose(file);
  enum pd_err err = PD_EIO;
  if (text != NULL) err = grants_parse(path, text, size, grants, why, why_size);
  free(text);
  return err;
}
