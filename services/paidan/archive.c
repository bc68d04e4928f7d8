/* archive - what keeps Redis small and loses nothing.
 *
 * One pass of `archive run` copies each log's entries into the archive as far as the snapshots of
 * the log's owner and of all its followers reach, and then takes out of the stream what is in the
 * archive and is older than the events that subscribers may still ask for.  It may be killed at any
 * moment: what it has not finished, the next pass does.
 */
#include "common/base/calendar.h"
#include "common/io/archive.h"
#include "common/io/snapshot.h"
#include "services/intake/intake_core.h"
#include "services/matching/matching_core.h"
#include "services/notification/notification_core.h"
#include "services/paidan/backup.h"
#include "services/paidan/proto_json.h"
#include "services/points/points_core.h"
#include "services/scheduling/scheduling_core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEGMENT_BYTES ((uint64_t)64 << 20) /* of entries, before compression */
#define PAGE_ENTRIES  256

static const struct pd_core *const cores[] = {&intake_core, &matching_core, &scheduling_core,
                                              &points_core, &notification_core};
#define CORES (sizeof cores / sizeof cores[0])

struct pass {
  struct tool *tool;
  struct pd_store_now *store;
  char snapshots[TOOL_PATH];
  uint64_t retain;
  bool trims;
  bool zero[3];
  uint32_t segments;
  uint64_t archived[PD_LOGS]; /* last seq in the archive */
  uint64_t first[PD_LOGS];    /* first seq left in the stream */
  const char *what;           /* went wrong, in `bad` */
  enum pd_log bad;
};

/* ---- how far the snapshots are ---- */

/* `paidan up` gives the daemons a folder of their own inside the data folder. */
static void find_snapshots(struct pass *pass) {
  const struct tool *tool = pass->tool;
  snprintf(pass->snapshots, sizeof pass->snapshots, "%.200s/snapshots/%06u", tool->data_dir,
           tool->shard);
  bool inside = access(pass->snapshots, F_OK) == 0;
  snprintf(pass->snapshots, sizeof pass->snapshots, "%.200s%s", tool->data_dir,
           inside ? "/snapshots" : "");
}

/* The last seq of a log that its owner's and every follower's snapshot holds; 0: somebody has
 * none. */
static uint64_t horizon(const struct pass *pass, enum pd_log log) {
  uint64_t least = UINT64_MAX;
  for (size_t i = 0; i < CORES; i++) {
    const struct pd_core *core = cores[i];
    struct pd_snapshot snapshot;
    if (core->log != log && !(core->inputs & PD_LOG_BIT(log))) continue;
    if (pd_snapshot_peek(pass->snapshots, pass->tool->shard, core->name, &snapshot) != PD_OK)
      return 0;
    uint64_t upto = core->log == log ? snapshot.last_seq : snapshot.upto[log];
    if (upto < least) least = upto;
  }
  return least;
}

/* ---- one pass ---- */

static enum pd_err wrong(struct pass *pass, enum pd_log log, enum pd_err err, const char *what) {
  if (err != PD_OK && pass->what == NULL) {
    pass->what = what;
    pass->bad = log;
  }
  return err;
}

/* Add the entries of one page that end within the limit; *more: there may be others behind. */
static enum pd_err add_page(struct pass *pass, struct pd_archive_writer *writer,
                            const struct pd_store_page *page, uint64_t limit, bool *more) {
  *more = page->count > 0;
  for (size_t i = 0; i < page->count; i++) {
    if (page->entries[i].last_seq > limit) {
      *more = false;
      return PD_OK;
    }
    enum pd_err err = pd_archive_add(writer, &page->entries[i]);
    if (err == PD_OK && pd_archive_pending(writer) >= SEGMENT_BYTES) {
      err = pd_archive_end(writer);
      pass->segments++;
    }
    if (err != PD_OK) return err;
  }
  return PD_OK;
}

static enum pd_err copy_log(struct pass *pass, struct pd_archive_writer *writer, enum pd_log log,
                            uint64_t limit) {
  bool more = pd_archive_wanted(writer) <= limit;
  enum pd_err err = PD_OK;
  while (err == PD_OK && more) {
    struct pd_store_page page;
    err = pd_store_read_now(pass->store, pd_log_name(log), pd_archive_wanted(writer), PAGE_ENTRIES,
                            &page);
    if (err != PD_OK) return wrong(pass, log, err, "the log cannot be read");
    err = add_page(pass, writer, &page, limit, &more);
    pd_store_page_free(&page);
  }
  if (err == PD_OK && pd_archive_pending(writer) > 0) {
    err = pd_archive_end(writer);
    pass->segments++;
  }
  return wrong(pass, log, err, "the log does not go on where its archive ends");
}

static enum pd_err archive_log(struct pass *pass, enum pd_log log, uint64_t limit) {
  struct pd_archive_place place = {
      .dir = tool_archive(pass->tool), .shard = pass->tool->shard, .log = log};
  struct pd_archive_writer *writer;
  enum pd_err err = pd_archive_begin(&writer, &place);
  if (err != PD_OK)
    return wrong(pass, log, err,
                 err == PD_EEXIST ? "somebody else is archiving" : "its archive cannot be written");
  err = copy_log(pass, writer, log, limit);
  pass->archived[log] = pd_archive_wanted(writer) - 1;
  pd_archive_close(writer);
  return err;
}

/* Trim behind archive, snapshots and what subscribers may ask for. */
static enum pd_err trim_log(struct pass *pass, enum pd_log log, uint64_t limit, uint64_t tail) {
  uint64_t keep = tail > pass->retain ? tail - pass->retain + 1 : 1;
  if (keep > limit + 1) keep = limit + 1;
  if (keep > pass->archived[log] + 1) keep = pass->archived[log] + 1;
  if (!pass->trims || keep <= 1) return PD_OK;
  return wrong(pass, log, pd_store_trim_now(pass->store, pd_log_name(log), keep),
               "the stream cannot be trimmed");
}

static enum pd_err find_first(struct pass *pass, enum pd_log log) {
  struct pd_store_page page;
  struct pd_entry_view view;
  enum pd_err err = pd_store_read_now(pass->store, pd_log_name(log), 1, 1, &page);
  if (err != PD_OK) return wrong(pass, log, err, "the log cannot be read");
  if (page.count == 1 && pd_entry_open(page.entries[0].bytes, page.entries[0].size, &view) == PD_OK)
    pass->first[log] = view.head.first_seq;
  pd_store_page_free(&page);
  return PD_OK;
}

static enum pd_err pass_log(struct pass *pass, enum pd_log log) {
  struct pd_tail tail;
  enum pd_err err = pd_store_tail_now(pass->store, pd_log_name(log), &tail);
  if (err != PD_OK) return wrong(pass, log, err, "the log cannot be read");
  uint64_t limit = horizon(pass, log);
  if (limit > tail.last_seq) limit = tail.last_seq;
  err = archive_log(pass, log, limit);
  if (err == PD_OK && pass->archived[log] > tail.last_seq)
    err = wrong(pass, log, PD_ECORRUPT, "the log ends before its archive: Redis has lost events");
  if (err == PD_OK) err = trim_log(pass, log, limit, tail.last_seq);
  return err == PD_OK ? find_first(pass, log) : err;
}

/* The only user that may shorten a log. */
static int open_store(struct pass *pass) {
  char file[TOOL_PATH], why[200] = "";
  struct pd_redis_options options = tool_log_redis(pass->tool);
  const char *user = getenv("PAIDAN_LOG_USER");
  if (user == NULL) options.user = "archivist";
  if (getenv("PAIDAN_LOG_PASSWORD_FILE") == NULL)
    options.password_file = tool_path(pass->tool, "secrets/archivist", file);
  if (pd_store_now_open(&pass->store, &options, pass->tool->shard, why, sizeof why) == PD_OK)
    return 0;
  return out_fail(&pass->tool->out, PD_EXIT_DOWN, "the log server does not answer", why,
                  tool_advice);
}

static void say_pass(const struct pass *pass) {
  static const char *const heads[] = {"log", "archived to", "stream from", NULL};
  struct out_table table;
  const struct out *out = &pass->tool->out;
  out_table_begin(&table, heads);
  for (unsigned log = 1; log < PD_LOGS; log++) {
    out_cell(&table, "%s", pd_log_name(log));
    out_cell(&table, "%llu", (unsigned long long)pass->archived[log]);
    out_cell(&table, "%llu", (unsigned long long)pass->first[log]);
    out_object(out, json_pack("{s:s, s:I, s:I}", "log", pd_log_name(log), "archived",
                              (json_int_t)pass->archived[log], "stream_from",
                              (json_int_t)pass->first[log]));
  }
  /* `paidan up` keeps what is said here: a pass without news says nothing. */
  if (pass->segments == 0) {
    out_table_drop(&table);
    return;
  }
  out_table_end(&table, out);
  out_text(out, "%u new segments", pass->segments);
}

static int cmd_run(struct tool *tool) {
  struct pass pass = {.tool = tool, .trims = args_get(&tool->args, "no-trim") == NULL};
  if (args_number(&tool->args, "retain", 1, UINT64_MAX / 2, 1000000, &pass.retain) != PD_OK)
    return tool_usage(tool, tool->args.wrong);
  int code = tool_need_shard(tool);
  if (code == 0) code = open_store(&pass);
  if (code != 0) return code;
  find_snapshots(&pass);
  enum pd_err err = PD_OK;
  for (unsigned log = 1; log < PD_LOGS && err == PD_OK; log++)
    err = pass_log(&pass, (enum pd_log)log);
  pd_store_now_close(pass.store);
  if (err == PD_OK) {
    say_pass(&pass);
    return 0;
  }
  return out_failf(&tool->out, err == PD_EDOWN ? PD_EXIT_DOWN : PD_EXIT_FAULT, pass.what,
                   "`paidan archive verify` and `paidan verify` say where damage is", "%s: %s",
                   pd_log_name(pass.bad), pd_err_text(err));
}

/* ---- ls, verify ---- */

static int fail(struct tool *tool, enum pd_log log, enum pd_err err) {
  return out_failf(&tool->out, PD_EXIT_FAULT, "the archive cannot be read",
                   "`paidan archive verify` says where it is damaged", "%s: %s", pd_log_name(log),
                   pd_err_text(err));
}

static enum pd_err open_log(const struct tool *tool, enum pd_log log, struct pd_archive **archive) {
  struct pd_archive_place place = {
      .dir = tool_archive(tool), .shard = tool->shard, .log = log};
  return pd_archive_open(archive, &place);
}

static enum pd_err ls_log(struct tool *tool, enum pd_log log, struct out_table *table) {
  struct pd_archive *archive;
  struct pd_segment one;
  enum pd_err err = open_log(tool, log, &archive);
  if (err != PD_OK) return err;
  for (size_t i = 0; i < pd_archive_count(archive) && err == PD_OK; i++) {
    err = pd_archive_segment(archive, i, &one);
    if (err != PD_OK) break;
    out_cell(table, "%s", pd_log_name(log));
    out_cell(table, "%llu", (unsigned long long)one.first_seq);
    out_cell(table, "%llu", (unsigned long long)one.last_seq);
    out_cell(table, "%llu", (unsigned long long)one.entries);
    out_cell(table, "%llu", (unsigned long long)one.bytes);
    out_cell(table, "%llu", (unsigned long long)one.size);
    out_object(&tool->out,
               json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "log", pd_log_name(log), "first",
                         (json_int_t)one.first_seq, "last", (json_int_t)one.last_seq, "entries",
                         (json_int_t)one.entries, "bytes", (json_int_t)one.bytes, "size",
                         (json_int_t)one.size));
  }
  pd_archive_shut(archive);
  return err;
}

static int cmd_ls(struct tool *tool) {
  static const char *const heads[] = {"log", "first", "last", "entries", "bytes", "file", NULL};
  struct out_table table;
  int code = tool_need_shard(tool);
  if (code != 0) return code;
  out_table_begin(&table, heads);
  for (unsigned log = 1; log < PD_LOGS && code == 0; log++) {
    enum pd_err err = ls_log(tool, (enum pd_log)log, &table);
    if (err != PD_OK) code = fail(tool, (enum pd_log)log, err);
  }
  if (code == 0)
    out_table_end(&table, &tool->out);
  else
    out_table_drop(&table);
  return code;
}

struct totals {
  uint64_t segments;
  uint64_t faults;
};

static enum pd_err verify_log(struct tool *tool, enum pd_log log, struct totals *totals) {
  struct pd_archive *archive;
  char why[160];
  enum pd_err err = open_log(tool, log, &archive);
  if (err != PD_OK) return err;
  size_t count = pd_archive_count(archive);
  for (size_t i = 0; i < count; i++) {
    out_progress(&tool->out, "archive verify", (double)i / (double)count, totals->segments);
    totals->segments++;
    if (pd_archive_verify(archive, i, why, sizeof why) == PD_OK) continue;
    totals->faults++;
    out_text(&tool->out, "FAULT %s, segment %zu: %s", pd_log_name(log), i + 1, why);
    out_object(&tool->out, json_pack("{s:{s:s, s:I, s:s}}", "fault", "log", pd_log_name(log),
                                     "segment", (json_int_t)i + 1, "what", why));
  }
  pd_archive_shut(archive);
  return PD_OK;
}

static int cmd_verify(struct tool *tool) {
  struct totals totals = {0};
  int code = tool_need_shard(tool);
  for (unsigned log = 1; log < PD_LOGS && code == 0; log++) {
    enum pd_err err = verify_log(tool, (enum pd_log)log, &totals);
    if (err != PD_OK) code = fail(tool, (enum pd_log)log, err);
  }
  out_progress_end(&tool->out);
  if (code != 0) return code;
  bool good = totals.faults == 0;
  out_text(&tool->out, "%s: %llu segments, faults: %llu", good ? "ok" : "FAULTS",
           (unsigned long long)totals.segments, (unsigned long long)totals.faults);
  out_object(&tool->out,
             json_pack("{s:s, s:I, s:I}", "archive", good ? "ok" : "fault", "segments",
                       (json_int_t)totals.segments, "faults", (json_int_t)totals.faults));
  return good ? PD_EXIT_OK : PD_EXIT_FAULT;
}

/* ---- export ---- */

struct export {
  struct tool *tool;
  FILE *raw; /* NULL: JSON on standard output */
  uint64_t from;
  uint64_t to;
  int64_t since_ms;
  int64_t until_ms;
};

static enum pd_err print_events(const struct export *export, const struct pd_entry_view *view) {
  static uint8_t memory[512u << 10];
  struct pd_entry_item item;
  for (size_t at = 0; pd_entry_next(view, &at, &item);) {
    struct pd_arena arena;
    if (item.log != PD_LOG_UNSPECIFIED) continue;
    pd_arena_init(&arena, memory, sizeof memory);
    const struct pd_event *event = pd_event_unpack(&arena, item.event, item.size);
    if (event == NULL) return PD_EFORMAT;
    if (event->seq < export->from || event->seq > export->to) continue;
    if (event->time_ms < export->since_ms || event->time_ms > export->until_ms) continue;
    json_t *json = proto_json_event(event, export->tool->zone_min);
    json_dumpf(json, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(json);
  }
  return PD_OK;
}

static enum pd_err export_entry(const struct export *export, const struct pd_stored *stored) {
  struct pd_entry_view view;
  enum pd_err err = pd_entry_open(stored->bytes, stored->size, &view);
  if (err != PD_OK || view.head.time_ms < export->since_ms) return err;
  if (export->raw == NULL) return print_events(export, &view);
  struct backup_record record = {
      .last_seq = stored->last_seq, .epoch = stored->epoch, .size = (uint32_t)stored->size};
  memcpy(record.hash, stored->hash, sizeof record.hash);
  bool good = fwrite(&record, sizeof record, 1, export->raw) == 1 &&
              fwrite(stored->bytes, 1, stored->size, export->raw) == stored->size;
  return good ? PD_OK : PD_EIO;
}

static enum pd_err export_log(const struct export *export, enum pd_log log) {
  struct pd_archive *archive;
  struct pd_stored stored = {0};
  enum pd_err err = open_log(export->tool, log, &archive);
  uint64_t last = err == PD_OK ? pd_archive_last(archive) : 0, seq = export->from;
  while (err == PD_OK && seq <= last && seq <= export->to) {
    err = pd_archive_read(archive, seq, &stored);
    if (err == PD_OK) err = export_entry(export, &stored);
    seq = stored.last_seq + 1;
  }
  if (err == PD_OK && export->raw != NULL && (fflush(export->raw) != 0)) err = PD_EIO;
  pd_archive_shut(archive);
  return err == PD_ENOENT ? PD_ECORRUPT : err; /* a segment in the middle is missing */
}

static bool read_time(struct tool *tool, const char *option, int64_t *time_ms) {
  const char *text = args_get(&tool->args, option);
  return text == NULL || pd_time_parse(text, time_ms);
}

static int cmd_export(struct tool *tool) {
  struct export export = {.tool = tool, .since_ms = INT64_MIN, .until_ms = INT64_MAX};
  enum pd_log log = pd_log_named(tool->args.words[0]);
  const char *raw = args_get(&tool->args, "raw");
  if (log == PD_LOG_UNSPECIFIED)
    return tool_usage(tool, "the logs are intake matching scheduling points notification");
  if (args_number(&tool->args, "from", 1, UINT64_MAX, 1, &export.from) != PD_OK ||
      args_number(&tool->args, "to", 1, UINT64_MAX, UINT64_MAX, &export.to) != PD_OK)
    return tool_usage(tool, tool->args.wrong);
  if (!read_time(tool, "since", &export.since_ms) || !read_time(tool, "until", &export.until_ms))
    return tool_usage(tool, "--since and --until take a time like 2025-03-01T08:00:00+08:00");
  int code = tool_need_shard(tool);
  if (code != 0) return code;
  if (raw != NULL) {
    export.raw = fopen(raw, "wbe");
    if (export.raw == NULL ||
        fwrite(BACKUP_MAGIC, sizeof BACKUP_MAGIC, 1, export.raw) != 1)
      return out_fail(&tool->out, PD_EXIT_FAULT, "the file cannot be written", raw, NULL);
  }
  enum pd_err err = export_log(&export, log);
  if (export.raw != NULL && fclose(export.raw) != 0 && err == PD_OK) err = PD_EIO;
  return err == PD_OK ? 0 : fail(tool, log, err);
}

static const struct option_row run_options[] = {
    {"retain", "EVENTS", "leave so many events of each log in Redis (default 1000000)"},
    {"no-trim", NULL, "leave all of them there"},
    {NULL, NULL, NULL},
};

static const struct option_row export_options[] = {
    {"from", "SEQ", "begin with this event (default 1)"},
    {"to", "SEQ", "end with this one (default the last)"},
    {"since", "TIME", "no event before this time, e.g. 2025-03-01T08:00:00+08:00"},
    {"until", "TIME", "and none after this"},
    {"raw", "FILE", "whole entries as a backup has them, into this file"},
    {NULL, NULL, NULL},
};

const struct command archive_commands[] = {
    {"archive run", "",
     "Copies what every snapshot holds into the archive, then takes it out of Redis.",
     "paidan archive run --retain 1000000", run_options, 0, 0, cmd_run},
    {"archive ls", "", "Lists the archive's segments.", "paidan archive ls", NULL, 0, 0, cmd_ls},
    {"archive verify", "", "Reads the whole archive: hashes, blocks, entries, and that all chains.",
     "paidan archive verify", NULL, 0, 0, cmd_verify},
    {"archive export", "LOG", "Prints archived events as JSON, one a line, or copies the entries.",
     "paidan archive export intake --from 1 --to 1000", export_options, 1, 1, cmd_export},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
