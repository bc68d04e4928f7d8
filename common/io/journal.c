#include "common/io/journal.h"

#include "common/base/err.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SOURCES = 256, TAIL = 4 /* room kept for: quote, brace, newline */ };

static struct {
  char service[32];
  uint32_t shard;
  enum pd_level level;
  int fd;
} journal = {.service = "paidan", .level = PD_LEVEL_INFO, .fd = STDERR_FILENO};

static struct source {
  uint64_t name; /* hash */
  uint64_t since_ms;
  uint64_t missed;
} sources[SOURCES];

/* A line under construction. */
struct line {
  char text[PD_JOURNAL_LINE];
  size_t length;
};

void pd_journal_init(const char *service, uint32_t shard, enum pd_level level, int fd) {
  (void)snprintf(journal.service, sizeof journal.service, "%s", service);
  journal.shard = shard;
  journal.level = level;
  journal.fd = fd;
}

/* Append if there is room. */
static bool put(struct line *line, const char *text, size_t length) {
  if (line->length + length + TAIL > sizeof line->text) return false;
  memcpy(line->text + line->length, text, length);
  line->length += length;
  return true;
}

/* How many bytes of well-formed UTF-8 stand here; 0 if what stands here is not (RFC 3629). */
static size_t utf8_length(const uint8_t *text) {
  uint8_t c = text[0];
  size_t length = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
  for (size_t i = 1; i < length; i++) {
    if ((text[i] & 0xc0) != 0x80) return 0;
  }
  bool bad = (c == 0xe0 && text[1] < 0xa0) || (c == 0xed && text[1] > 0x9f) ||
             (c == 0xf0 && text[1] < 0x90) || (c == 0xf4 && text[1] > 0x8f);
  return bad ? 0 : length;
}

/* One character as JSON has it; returns how many bytes of the text it took. */
static size_t escape(const uint8_t *text, char out[8], size_t *size) {
  size_t length = utf8_length(text);
  if (length == 0) {
    *size = (size_t)snprintf(out, 8, "\\ufffd");
    return 1;
  }
  if (text[0] == '"' || text[0] == '\\') {
    out[0] = '\\';
    out[1] = (char)text[0];
    *size = 2;
  } else if (text[0] < 0x20 || text[0] == 0x7f) {
    *size = (size_t)snprintf(out, 8, "\\u%04x", text[0]);
  } else {
    memcpy(out, text, length);
    *size = length;
  }
  return length;
}

/* The text as a JSON string, cut where the line is full. */
static void put_string(struct line *line, const char *text) {
  const uint8_t *at = (const uint8_t *)(text != NULL ? text : "");
  bool room = put(line, "\"", 1);
  while (room && *at != '\0') {
    char out[8];
    size_t size;
    at += escape(at, out, &size);
    room = put(line, out, size);
  }
  line->text[line->length++] = '"'; /* within TAIL */
}

static void put_value(struct line *line, const struct pd_kv *field) {
  char number[24];
  char id[PD_ID_TEXT];
  switch (field->kind) {
  case PD_KV_TEXT:
    put_string(line, field->text);
    break;
  case PD_KV_ID:
    put_string(line, pd_id_text(field->id, id));
    break;
  case PD_KV_UINT:
    (void)put(line, number, (size_t)snprintf(number, sizeof number, "%" PRIu64, field->number));
    break;
  case PD_KV_INT:
    (void)put(line, number, (size_t)snprintf(number, sizeof number, "%" PRId64, field->integer));
    break;
  case PD_KV_END:
    break;
  }
}

/* A field that has no room for its key and a number is left out. */
static void put_field(struct line *line, const struct pd_kv *field) {
  size_t length = strlen(field->key);
  if (line->length + length + 40 + TAIL > sizeof line->text) return;
  (void)put(line, ",\"", 2);
  (void)put(line, field->key, length);
  (void)put(line, "\":", 2);
  put_value(line, field);
}

static void put_time(struct line *line) {
  struct timespec now;
  struct tm utc;
  char text[64];
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &utc);
  size_t length = strftime(text, sizeof text, "{\"time\":\"%Y-%m-%dT%H:%M:%S", &utc);
  (void)put(line, text, length);
  (void)put(line, text, (size_t)snprintf(text, sizeof text, ".%03ldZ\"", now.tv_nsec / 1000000));
}

void pd_journal_write(enum pd_level level, const struct pd_kv *fields) {
  static const char *const levels[] = {"debug", "info", "warn", "error"};
  if (level < journal.level) return;
  struct line line;
  line.length = 0;
  put_time(&line);
  put_field(&line, &(struct pd_kv){.key = "level", .kind = PD_KV_TEXT, .text = levels[level]});
  put_field(&line, &(struct pd_kv){.key = "service", .kind = PD_KV_TEXT, .text = journal.service});
  char shard[16];
  (void)snprintf(shard, sizeof shard, "%06u", journal.shard);
  if (journal.shard != 0)
    put_field(&line, &(struct pd_kv){.key = "shard", .kind = PD_KV_TEXT, .text = shard});
  for (; fields->kind != PD_KV_END; fields++) put_field(&line, fields);
  line.text[line.length++] = '}';
  line.text[line.length++] = '\n';
  /* One write a line, so that lines of several processes do not mix; a full or broken pipe must not
   * stop a daemon. */
  ssize_t written = write(journal.fd, line.text, line.length);
  (void)written;
}

/* ---- once per source and window ---- */

static uint64_t name_of(const char *source) {
  uint64_t hash = 14695981039346656037u; /* FNV-1a */
  for (; *source != '\0'; source++) hash = (hash ^ (uint8_t)*source) * 1099511628211u;
  return hash | 1; /* never 0: that is an empty place */
}

/* The source's place, or the one that was used the longest ago. */
static struct source *place_of(uint64_t name) {
  struct source *oldest = &sources[0];
  for (size_t i = 0; i < SOURCES; i++) {
    if (sources[i].name == name) return &sources[i];
    if (sources[i].since_ms < oldest->since_ms) oldest = &sources[i];
  }
  *oldest = (struct source){.name = 0};
  return oldest;
}

bool pd_journal_once(const char *source, uint64_t window_ms, uint64_t now_ms, uint64_t *missed) {
  uint64_t name = name_of(source);
  struct source *place = place_of(name);
  bool held_back = place->name == name && now_ms - place->since_ms < window_ms;
  if (held_back) {
    place->missed++;
    return false;
  }
  if (missed != NULL) *missed = place->missed;
  *place = (struct source){.name = name, .since_ms = now_ms};
  return true;
}
