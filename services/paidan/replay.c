/* replay - what if: a recorded stretch under other rules, beside what happened. */
#include "services/paidan/backup.h"
#include "services/paidan/cursor.h"
#include "services/paidan/labels.h"
#include "services/paidan/proto_json.h"
#include "services/paidan/whatif.h"

#include "common/base/calendar.h"
#include "common/io/archive.h"
#include "services/matching/policy_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define COLUMNS 3

struct replay {
  struct tool *tool;
  struct whatif_record *record;
  struct matching_rules rules;
  int64_t since_ms;
  int64_t until_ms;
  const char *from; /* a folder; NULL: the logs */
  const char *kind; /* of what is read */
  struct whatif_figures figures[COLUMNS]; /* recorded, modelled under the old and the new rules */
};

static const enum pd_log read_logs[] = {PD_LOG_INTAKE, PD_LOG_MATCHING};

/* ---- reading ---- */

/* Take in the events of one entry. */
static enum pd_err take_entry(struct replay *replay, const uint8_t *bytes, size_t size) {
  struct pd_entry_view view;
  struct pd_entry_item item;
  size_t at = 0;
  enum pd_err err = pd_entry_open(bytes, size, &view);
  while (err == PD_OK && pd_entry_next(&view, &at, &item))
    if (item.log == PD_LOG_UNSPECIFIED) err = whatif_add(replay->record, item.event, item.size);
  return err;
}

static enum pd_err take_log(struct replay *replay, struct pd_store_now *store, enum pd_log log) {
  struct cursor cursor;
  enum pd_err err;
  cursor_open(&cursor, store, log, 1);
  while ((err = cursor_entry(&cursor)) == PD_OK) {
    err = take_entry(replay, cursor.stored->bytes, cursor.stored->size);
    if (err != PD_OK) break;
  }
  cursor_close(&cursor);
  return err == PD_ENOENT ? PD_OK : err;
}

static enum pd_err take_backup(struct replay *replay, enum pd_log log) {
  char path[TOOL_PATH], magic[sizeof BACKUP_MAGIC];
  struct backup_record record;
  snprintf(path, sizeof path, "%.200s/logs/%s.entries", replay->from, pd_log_name(log));
  FILE *file = fopen(path, "rbe");
  if (file == NULL) return PD_ENOENT;
  uint8_t *bytes = malloc(PD_ENTRY_MAX);
  pd_assert(bytes != NULL);
  bool good = fread(magic, sizeof magic, 1, file) == 1 &&
              memcmp(magic, BACKUP_MAGIC, sizeof magic) == 0;
  enum pd_err err = good ? PD_OK : PD_EFORMAT;
  while (err == PD_OK && fread(&record, sizeof record, 1, file) == 1) {
    bool whole = record.size <= PD_ENTRY_MAX && fread(bytes, record.size, 1, file) == 1;
    err = whole ? take_entry(replay, bytes, record.size) : PD_EFORMAT;
  }
  free(bytes);
  fclose(file);
  return err;
}

static enum pd_err take_archive(struct replay *replay, enum pd_log log) {
  struct pd_archive_place place = {.dir = replay->from, .shard = replay->tool->shard, .log = log};
  struct pd_archive *archive = NULL;
  struct pd_stored entry;
  enum pd_err err = pd_archive_open(&archive, &place);
  for (uint64_t seq = 1; err == PD_OK && seq <= pd_archive_last(archive);) {
    err = pd_archive_read(archive, seq, &entry);
    if (err != PD_OK) break;
    err = take_entry(replay, entry.bytes, entry.size);
    seq = entry.last_seq + 1;
  }
  pd_archive_shut(archive);
  return err;
}

static bool is_backup(const char *folder) {
  char path[TOOL_PATH];
  struct stat found;
  snprintf(path, sizeof path, "%.200s/logs/intake.entries", folder);
  return stat(path, &found) == 0;
}

static int take_all(struct replay *replay) {
  struct tool *tool = replay->tool;
  struct pd_store_now *store = NULL;
  enum pd_err err = PD_OK;
  int code = replay->from == NULL ? tool_store(tool, &store) : 0;
  if (code != 0) return code;
  replay->kind = replay->from == NULL ? "logs" : is_backup(replay->from) ? "backup" : "archive";
  for (size_t i = 0; i < sizeof read_logs / sizeof *read_logs && err == PD_OK; i++) {
    if (replay->from == NULL)
      err = take_log(replay, store, read_logs[i]);
    else
      err = is_backup(replay->from) ? take_backup(replay, read_logs[i])
                                    : take_archive(replay, read_logs[i]);
  }
  pd_store_now_close(store);
  if (err == PD_OK) return 0;
  return out_fail(&tool->out, PD_EXIT_FAULT, "the record cannot be read", pd_err_text(err),
                  "`paidan verify` says where a log is damaged; --from takes a backup or "
                  "an archive");
}

/* ---- telling ---- */

static json_t *figures_json(const struct whatif_figures *figures) {
  json_t *reasons = json_object();
  char name[PROTO_NAME];
  for (unsigned reason = 1; reason < WHATIF_REASONS; reason++) {
    if (figures->reasons[reason] == 0) continue;
    proto_enum(&paidan__v1__reason__descriptor, (int)reason, name);
    json_object_set_new(reasons, name, json_integer((json_int_t)figures->reasons[reason]));
  }
  return json_pack(
      "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:[f,f], s:[f,f], s:[f,f], s:f, s:o}",
      "orders", (json_int_t)figures->orders, "slots", (json_int_t)figures->slots, "filled",
      (json_int_t)figures->filled, "staffed", (json_int_t)figures->staffed, "offers",
      (json_int_t)figures->offers, "unmatched", (json_int_t)figures->unmatched, "invited",
      (json_int_t)figures->invited, "volunteers", (json_int_t)figures->volunteers,
      "offers_per_fill", figures->offers_per_fill, "offer_wait_min", figures->offer_wait_min[0],
      figures->offer_wait_min[1], "staff_wait_min", figures->staff_wait_min[0],
      figures->staff_wait_min[1], "travel_m", figures->travel_m[0], figures->travel_m[1], "gini",
      figures->gini, "not_staffed_by_reason", reasons);
}

static void count_row(struct out_table *table, const char *name, const struct replay *replay,
                      size_t offset) {
  out_cell(table, "%s", name);
  for (int i = 0; i < COLUMNS; i++) {
    uint64_t value;
    memcpy(&value, (const char *)&replay->figures[i] + offset, sizeof value);
    out_cell(table, "%llu", (unsigned long long)value);
  }
}

static void value_row(struct out_table *table, const char *name, const struct replay *replay,
                      size_t offset, const char *format_unit, int digits) {
  out_cell(table, "%s", name);
  for (int i = 0; i < COLUMNS; i++) {
    double value;
    memcpy(&value, (const char *)&replay->figures[i] + offset, sizeof value);
    out_cell(table, "%.*f%s", digits, value, format_unit);
  }
}

#define FIGURE(field) offsetof(struct whatif_figures, field)

static void say_table(const struct replay *replay) {
  static const char *const heads[] = {"",           "记录 recorded", "旧规则(模型) old, modelled",
                                      "新规则(模型) new, modelled", NULL};
  struct out_table table;
  out_table_begin(&table, heads);
  count_row(&table, "订单 orders", replay, FIGURE(orders));
  count_row(&table, "名额 slots", replay, FIGURE(slots));
  count_row(&table, "已派 slots filled", replay, FIGURE(filled));
  count_row(&table, "满员 orders staffed", replay, FIGURE(staffed));
  count_row(&table, "邀请 offers", replay, FIGURE(offers));
  value_row(&table, "每名额邀请 offers per fill", replay, FIGURE(offers_per_fill), "", 2);
  value_row(&table, "首邀等待 wait to first offer, mean", replay, FIGURE(offer_wait_min[0]),
            " min", 1);
  value_row(&table, "满员等待 wait to staffed, mean", replay, FIGURE(staff_wait_min[0]), " min", 1);
  value_row(&table, "  nine of ten within", replay, FIGURE(staff_wait_min[1]), " min", 1);
  value_row(&table, "路程 way of the booked, mean", replay, FIGURE(travel_m[0]), " m", 0);
  value_row(&table, "  nine of ten within", replay, FIGURE(travel_m[1]), " m", 0);
  count_row(&table, "受邀志愿者 volunteers invited", replay, FIGURE(invited));
  value_row(&table, "邀请集中度 Gini of offers", replay, FIGURE(gini), "", 3);
  count_row(&table, "无人可派 times unmatched", replay, FIGURE(unmatched));
  for (unsigned reason = 1; reason < WHATIF_REASONS; reason++) {
    uint64_t most = 0;
    for (int i = 0; i < COLUMNS; i++) most += replay->figures[i].reasons[reason];
    if (most == 0) continue;
    struct label label = label_reason((enum pd_reason)reason);
    char name[160];
    snprintf(name, sizeof name, "  未满员 not staffed: %s", label.en);
    count_row(&table, name, replay, FIGURE(reasons) + reason * sizeof(uint64_t));
  }
  out_table_end(&table, &replay->tool->out);
}

static void say_all(const struct replay *replay) {
  const struct out *out = &replay->tool->out;
  struct whatif_rate rate = whatif_rate(replay->record, 0);
  out_text(out, "read from: %s%s%s", replay->kind, replay->from == NULL ? "" : " ",
           replay->from == NULL ? "" : replay->from);
  say_table(replay);
  out_text(out,
           "记录 recorded: what the logs say. 模型 modelled: the real matcher and its timers over the "
           "recorded registry and orders;\nwho answered an offer of an order then answers it so "
           "again, others by the measured rate (%llu yes, %llu no of %llu).\nCompare the two "
           "modelled columns with each other; the recorded one shows how good the model is.",
           (unsigned long long)rate.yes, (unsigned long long)rate.no,
           (unsigned long long)rate.known);
  out_object(
      out,
      json_pack("{s:s, s:{s:I, s:I, s:I, s:s}, s:o, s:o, s:o}", "from", replay->kind, "model",
                "answers_known", (json_int_t)rate.known, "yes", (json_int_t)rate.yes, "no",
                (json_int_t)rate.no, "people",
                "as recorded for the same order and volunteer, else by the rate of the kind",
                "recorded", figures_json(&replay->figures[0]), "old_rules_modelled",
                figures_json(&replay->figures[1]), "new_rules_modelled",
                figures_json(&replay->figures[2])));
}

/* ---- the command ---- */

static int read_options(struct replay *replay) {
  struct tool *tool = replay->tool;
  const char *policy = args_get(&tool->args, "policy"), *since = args_get(&tool->args, "since");
  const char *until = args_get(&tool->args, "until");
  char why[256] = "";
  replay->from = args_get(&tool->args, "from");
  if (policy == NULL) return tool_usage(tool, "--policy names the rules file to try");
  replay->since_ms = 0;
  replay->until_ms = INT64_MAX;
  if (since != NULL && !pd_time_parse(since, &replay->since_ms))
    return tool_usage(tool, "--since must be a time like 2025-03-01T08:00:00+08:00");
  if (until != NULL && !pd_time_parse(until, &replay->until_ms))
    return tool_usage(tool, "--until must be a time like 2025-03-08T08:00:00+08:00");
  if (policy_read(policy, &replay->rules, why, sizeof why) != PD_OK)
    return out_fail(&tool->out, PD_EXIT_USAGE, "the rules file is refused", why,
                    "correct it; services/matching/README.md names the numbers");
  return tool_need_shard(tool);
}

static enum pd_err play_all(struct replay *replay) {
  replay->figures[0] = whatif_recorded(replay->record);
  enum pd_err err = whatif_play(replay->record, NULL, &replay->figures[1]);
  if (err != PD_OK) return err;
  return whatif_play(replay->record, &replay->rules, &replay->figures[2]);
}

static int cmd_replay(struct tool *tool) {
  static struct replay replay;
  replay = (struct replay){.tool = tool};
  int code = read_options(&replay);
  if (code != 0) return code;
  struct pd_shard shard = {.code = tool->shard, .zone_min = tool->zone_min};
  replay.record = whatif_new(&shard, replay.since_ms, replay.until_ms);
  code = take_all(&replay);
  if (code == 0 && whatif_recorded(replay.record).orders == 0)
    code = out_fail(&tool->out, PD_EXIT_FAULT, "no order was placed in this stretch", replay.from,
                    "leave out --since and --until; `paidan order list` shows what there is");
  if (code == 0 && play_all(&replay) != PD_OK)
    code = out_fail(&tool->out, PD_EXIT_DOWN, "there is no memory to play in", NULL, NULL);
  if (code == 0) say_all(&replay);
  whatif_free(replay.record);
  return code;
}

static const struct option_row replay_options[] = {
    {"policy", "FILE", "the rules to try: a rules file as paidan-matching reads it"},
    {"from", "DIR", "a backup's or an archive's folder (default: the logs of the shard)"},
    {"since", "TIME", "play the orders placed from then on (default: all)"},
    {"until", "TIME", "and before then"},
    {NULL, NULL, NULL},
};

const struct command replay_commands[] = {
    {"replay", "", "What if: plays a recorded stretch under other rules, beside what happened.",
     "paidan replay --policy rules.yaml --since 2025-03-03T00:00:00+08:00", replay_options, 0, 0,
     cmd_replay},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
