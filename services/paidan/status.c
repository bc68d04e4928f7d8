/* status - are the daemons ready, how far behind is each, what is waiting. */
#include "services/paidan/probe.h"
#include "services/paidan/servers.h"
#include "services/paidan/view.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct daemon_status {
  const char *name;
  uint32_t instance;
  bool leads;
  int pid; /* 0: not running, or on another machine */
  bool up; /* answers */
  bool ready;
  bool zero;
  char why[200];         /* of not ready */
  uint64_t tail;         /* of its log, as stored */
  uint64_t lag[PD_LOGS]; /* events of each input that it has not consumed; 0 for logs that are no
                            input */
  double refused;
  double gaps;
  double waiting; /* messages not delivered yet; notification's */
};

static int read_pid(const struct tool *tool, size_t number) {
  char path[TOOL_PATH];
  char *text = tool_read_file(servers_daemon_path(tool, number, "pid", path));
  int pid = text == NULL ? 0 : (int)strtol(text, NULL, 10);
  free(text);
  return pid > 0 && kill(pid, 0) == 0 ? pid : 0;
}

/* Of several reasons the one about this shard, which it begins with; else the first. */
static const char *reason_for(const struct tool *tool, json_t *reasons) {
  char shard[8];
  size_t i;
  json_t *one;
  snprintf(shard, sizeof shard, "%06u", tool->shard % 1000000);
  json_array_foreach(reasons, i, one) {
    const char *text = json_string_value(one);
    if (text != NULL && strncmp(text, shard, strlen(shard)) == 0) return text;
  }
  return tool->shards[0] == '\0' ? json_string_value(json_array_get(reasons, 0)) : NULL;
}

static void read_ready(const struct tool *tool, struct daemon_status *status,
                       const char *socket_path) {
  long code = 0;
  char *body = NULL;
  snprintf(status->why, sizeof status->why, "does not answer");
  if (probe_get(socket_path, "/readyz", &code, &body) != PD_OK) return;
  status->up = true;
  status->ready = code == 200;
  status->why[0] = '\0';
  json_t *json = json_loads(body, 0, NULL);
  const char *reason = reason_for(tool, json_object_get(json, "reasons"));
  const char *usual = status->ready ? "" : "not ready";
  snprintf(status->why, sizeof status->why, "%s", reason == NULL ? usual : reason);
  json_decref(json);
  free(body);
}

/* A figure of this shard: where a process serves several, they are told apart by a label. */
static bool figure(const struct tool *tool, const char *body, const char *name, const char *label,
                   double *value) {
  char series[128];
  bool several = tool->shards[0] != '\0', none = !several && label[0] == '\0';
  if (probe_metric(body, name, value) && none) return true;
  if (several)
    snprintf(series, sizeof series, "%s{shard=\"%06u\"%s%s}", name, tool->shard,
             label[0] == '\0' ? "" : ",", label);
  else
    snprintf(series, sizeof series, "%s{%s}", name, label);
  return probe_metric(body, series, value);
}

static void read_metrics(const struct tool *tool, struct daemon_status *status,
                         const char *socket_path, const uint64_t *tails) {
  long code = 0;
  char *body = NULL, label[40];
  double value;
  if (probe_get(socket_path, "/metrics", &code, &body) != PD_OK) return;
  for (unsigned log = 1; log < PD_LOGS; log++) {
    snprintf(label, sizeof label, "log=\"%s\"", pd_log_name(log));
    if (!figure(tool, body, "paidan_input_seq", label, &value)) continue;
    uint64_t seen = (uint64_t)value;
    status->lag[log] = tails[log] > seen ? tails[log] - seen : 0;
  }
  if (figure(tool, body, "paidan_commits_refused_total", "", &value)) status->refused = value;
  if (figure(tool, body, "paidan_gaps_total", "", &value)) status->gaps = value;
  if (figure(tool, body, "paidan_messages_waiting", "", &value)) status->waiting = value;
  if (figure(tool, body, "paidan_leading", "", &value)) status->leads = value == 1;
  free(body);
}

static int read_tails(struct tool *tool, struct pd_store_now *store, uint64_t *tails) {
  for (unsigned log = 1; log < PD_LOGS; log++) {
    struct pd_tail tail;
    enum pd_err err = pd_store_tail_now(store, pd_log_name(log), &tail);
    if (err != PD_OK)
      return out_fail(&tool->out, PD_EXIT_DOWN, "a log cannot be read", pd_err_text(err), NULL);
    tails[log] = tail.last_seq;
  }
  return 0;
}

static uint64_t total_lag(const struct daemon_status *status) {
  uint64_t sum = 0;
  for (unsigned log = 1; log < PD_LOGS; log++) sum += status->lag[log];
  return sum;
}

static json_t *status_json(const struct daemon_status *status) {
  json_t *lag = json_object();
  for (unsigned log = 1; log < PD_LOGS; log++) {
    json_object_set_new(lag, pd_log_name(log), json_integer((json_int_t)status->lag[log]));
  }
  return json_pack("{s:s, s:s, s:b, s:i, s:b, s:b, s:s, s:I, s:o, s:f, s:f, s:f}", "name",
                   status->name, "instance", tool_instances[status->instance], "leads",
                   status->leads, "pid", status->pid, "up", status->up, "ready", status->ready,
                   "why", status->why, "tail", (json_int_t)status->tail, "lag", lag,
                   "commits_refused", status->refused, "gaps", status->gaps, "waiting",
                   status->waiting);
}

static const char *state_of(const struct daemon_status *status) {
  if (!status->up) return "down";
  if (!status->ready) return "up";
  return strstr(status->why, "standing by") != NULL ? "standby" : "ready";
}

static void say_daemons(struct tool *tool, const struct daemon_status *all, json_t *list) {
  static const char *const heads[] = {"daemon",  "instance", "pid",     "state", "leads",
                                      "log seq", "lag",      "waiting", "why",   NULL};
  struct out_table table;
  out_table_begin(&table, heads);
  for (size_t i = 0; i < servers_daemons(tool); i++) {
    const struct daemon_status *status = &all[i];
    out_cell(&table, "%s", status->name);
    out_cell(&table, "%s", tool_instances[status->instance]);
    out_cell(&table, "%d", status->pid);
    out_cell(&table, "%s", state_of(status));
    out_cell(&table, "%s", status->leads ? "yes" : "");
    out_cell(&table, "%llu", (unsigned long long)status->tail);
    out_cell(&table, "%llu", (unsigned long long)total_lag(status));
    out_cell(&table, "%.0f", status->waiting);
    out_cell(&table, "%s", status->why);
    json_array_append_new(list, status_json(status));
  }
  out_table_end(&table, &tool->out);
}

/* Orders by state, and what is open. */
static json_t *say_counts(struct tool *tool, const struct view *view) {
  uint64_t states[VIEW_STATES] = {0}, offers = 0, holds = 0;
  for (size_t i = 0; i < view->order_count; i++) {
    const struct view_order *order = &view->orders[i];
    states[order->state]++;
    offers += view_open_offers(view, order);
  }
  for (size_t i = 0; i < view->hold_count; i++)
    holds += view->holds[i].outcome == PD_HOLD_OUTCOME_UNSPECIFIED;
  json_t *json = json_object();
  char name[PROTO_NAME], line[256] = "";
  size_t used = 0;
  for (int state = PD_ORDER_STATE_OPEN; state < VIEW_STATES; state++) {
    proto_enum(&paidan__v1__order_state__descriptor, state, name);
    json_object_set_new(json, name, json_integer((json_int_t)states[state]));
    used += (size_t)snprintf(line + used, sizeof line - used, "%s%s %llu", used == 0 ? "" : ", ",
                             name, (unsigned long long)states[state]);
  }
  out_text(&tool->out, "orders: %s", line);
  out_text(
      &tool->out,
      "open offers: %llu   undecided holds: %llu   volunteers: %zu   residents: %zu   sites: %zu",
      (unsigned long long)offers, (unsigned long long)holds, view->volunteers, view->residents,
      view->site_count);
  return json_pack("{s:o, s:I, s:I, s:I, s:I, s:I}", "orders", json, "open_offers",
                   (json_int_t)offers, "undecided_holds", (json_int_t)holds, "volunteers",
                   (json_int_t)view->volunteers, "residents", (json_int_t)view->residents, "sites",
                   (json_int_t)view->site_count);
}

/* store: NULL when the log server is away; the daemons say of themselves what they can. */
static int gather(struct tool *tool, struct pd_store_now *store, struct daemon_status *all) {
  uint64_t tails[PD_LOGS] = {0};
  int code = store == NULL ? 0 : read_tails(tool, store, tails);
  for (size_t i = 0; i < servers_daemons(tool); i++) {
    char path[TOOL_PATH];
    struct daemon_status *status = &all[i];
    status->name = servers_daemon(tool, i, &status->instance);
    status->pid = read_pid(tool, i);
    status->tail = tails[pd_log_named(status->name)];
    servers_daemon_path(tool, i, "http", path);
    read_ready(tool, status, path);
    if (status->up) read_metrics(tool, status, path, tails);
  }
  return code;
}

/* What the logs hold; an empty object when they cannot be read. */
static json_t *fold_counts(struct tool *tool, struct pd_store_now *store, int *code) {
  struct view view;
  *code = view_load(&view, tool, store);
  json_t *counts = *code == 0 ? say_counts(tool, &view) : json_object();
  view_close(&view);
  return counts;
}

static int cmd_status(struct tool *tool) {
  struct pd_store_now *store = NULL;
  struct daemon_status all[SERVERS_MOST] = {0};
  int code = tool_need_shard(tool);
  if (code != 0) return code;
  code = tool_store(tool, &store);
  int read = gather(tool, store, all);
  if (code == 0) code = read;
  json_t *daemons = json_array();
  out_text(&tool->out, "shard %06u in %s", tool->shard, tool->run_dir);
  say_daemons(tool, all, daemons);
  json_t *counts = code == 0 ? fold_counts(tool, store, &code) : json_object();
  pd_store_now_close(store);
  bool ready = true;
  for (size_t i = 0; i < servers_daemons(tool); i++) ready = ready && all[i].ready;
  out_object(&tool->out, json_pack("{s:i, s:b, s:o, s:o}", "shard", (int)tool->shard, "ready",
                                   ready, "daemons", daemons, "counts", counts));
  return code != 0 ? code : ready ? 0 : PD_EXIT_DOWN;
}

const struct command status_commands[] = {
    {"status", "",
     "Shows the daemons, how far each is behind its inputs, and how many orders are in which "
     "state.",
     "paidan status --output json", NULL, 0, 0, cmd_status},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
