/* journal - structured logs: one JSON object a line on standard error.
 *
 *     pd_say(PD_LEVEL_INFO, pd_kv_text("msg", "log opened"), pd_kv_uint("seq", 17));
 *
 * gives
 * {"time":"2025-01-01T00:00:00.000Z","level":"info","service":"intake","shard":"370302","msg":"log
 * opened","seq":17}. No personal data: callers pass ids, never names, numbers, addresses or free
 * text of a person.  A line is at most PD_JOURNAL_LINE bytes; longer texts are cut (and stay valid
 * UTF-8).  For the loop's thread only.
 */
#ifndef PD_IO_JOURNAL_H
#define PD_IO_JOURNAL_H

#include "common/base/id.h"

#include <stdbool.h>
#include <stdint.h>

#define PD_JOURNAL_LINE 4096

enum pd_level { PD_LEVEL_DEBUG, PD_LEVEL_INFO, PD_LEVEL_WARN, PD_LEVEL_ERROR };

enum pd_kv_kind { PD_KV_END, PD_KV_TEXT, PD_KV_UINT, PD_KV_INT, PD_KV_ID };

/* One key and its value; borrowed for the call. */
struct pd_kv {
  const char *key;
  enum pd_kv_kind kind;
  uint32_t zero;
  union {
    const char *text;
    uint64_t number;
    int64_t integer;
    const struct pd_id *id;
  };
};

/* A text, NULL standing for "". */
static inline struct pd_kv pd_kv_text(const char *key, const char *text) {
  return (struct pd_kv){.key = key, .kind = PD_KV_TEXT, .text = text};
}
/* A number from 0. */
static inline struct pd_kv pd_kv_uint(const char *key, uint64_t number) {
  return (struct pd_kv){.key = key, .kind = PD_KV_UINT, .number = number};
}
/* A number that may be negative. */
static inline struct pd_kv pd_kv_int(const char *key, int64_t integer) {
  return (struct pd_kv){.key = key, .kind = PD_KV_INT, .integer = integer};
}
/* An id, as 32 digits. */
static inline struct pd_kv pd_kv_id(const char *key, const struct pd_id *id) {
  return (struct pd_kv){.key = key, .kind = PD_KV_ID, .id = id};
}

/* Set who speaks, once at start.  Texts are copied; shard 0 is left out of the lines.  fd is 2 but
 * in tests. */
void pd_journal_init(const char *service, uint32_t shard, enum pd_level level, int fd);

/* Write one line; fields end with a PD_KV_END.  By custom the first is "msg". */
void pd_journal_write(enum pd_level level, const struct pd_kv *fields);

#define pd_say(level, ...) pd_journal_write((level), (const struct pd_kv[]){__VA_ARGS__, {0}})

/* True at most once per source and window: for what hostile or broken input can provoke without
 * end.  Keeps the latest 256 sources; *missed (may be NULL) is how many were held back since the
 * last true.  now_ms: any steady clock. */
bool pd_journal_once(const char *source, uint64_t window_ms, uint64_t now_ms, uint64_t *missed);

#endif
