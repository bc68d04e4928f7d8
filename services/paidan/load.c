/* load - a district's sites, teams, members and volunteers, from CSV files through the site door.
 *
 * Idempotency keys are made of the file and the row's id, so loading twice changes nothing.  Rows
 * of one table are in flight together; a table begins when the one before is answered.
 */
#include "services/paidan/data.h"
#include "services/paidan/tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WINDOW         512
#define SHOWN_PROBLEMS 50 /* of one table, as text */

enum table_kind { SITES, TEAMS, VOLUNTEERS, MEMBERS, TABLES };

struct counts {
  uint64_t loaded;
  uint64_t before; /* were there already */
  uint64_t bad;
};

struct load {
  struct tool *tool;
  struct pd_client *client;
  enum table_kind table;
  enum pd_site_level level; /* of the sites in flight */
  const char *path;
  struct counts counts[TABLES];
  json_t *refs[TABLES]; /* ref -> number or person */
  bool down;            /* nobody answers: give up */
};

static const char *const table_names[TABLES] = {"sites", "teams", "volunteers", "team_members"};

/* A row in flight. */
struct flight {
  struct load *load;
  uint32_t line;
  enum data_status status; /* of a volunteer: what is said next */
  enum table_kind table;
  uint32_t said; /* papers */
  size_t paper_count;
  struct pd_record_credential papers[DATA_PAPERS]; /* of a volunteer: said next */
  char ref[40];
};

/* ---- what is wrong ---- */

static void say_problem(struct load *load, const char *file, uint32_t line, uint32_t column,
                        const char *name, const char *reason) {
  load->counts[load->table].bad++;
  if (load->tool->out.json) {
    out_object(&load->tool->out, json_pack("{s:{s:s, s:i, s:i, s:s, s:s}}", "problem", "file", file,
                                           "line", (int)line, "column", (int)column, "name",
                                           name == NULL ? "" : name, "reason", reason));
    return;
  }
  uint64_t bad = load->counts[load->table].bad;
  if (bad > SHOWN_PROBLEMS + 1) return;
  if (isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
  if (bad > SHOWN_PROBLEMS)
    fprintf(stderr, "%s: more such rows; --output json names them all\n", file);
  else
    fprintf(stderr, "%s:%u:%u: %s%s%s\n", file, line, column, name == NULL ? "" : name,
            name == NULL ? "" : ": ", reason);
}

static void on_problem(void *context, const struct data_problem *problem) {
  say_problem(context, problem->file, problem->line, problem->column, problem->name,
              problem->reason);
}

static void on_note(void *context, const char *file, const char *text) {
  struct load *load = context;
  if (load->tool->out.json) {
    out_object(&load->tool->out, json_pack("{s:{s:s, s:s}}", "note", "file", file, "text", text));
  } else {
    fprintf(stderr, "%s: note: %s\n", file, text);
  }
}

/* ---- sending ---- */

static void send_next(struct flight *flight, const struct pd_id *person);

static void on_refused(struct flight *flight, const struct pd_refusal *refusal) {
  char reason[400];
  snprintf(reason, sizeof reason, "refused: %s (%s)", refusal->rule, refusal->next);
  say_problem(flight->load, flight->load->path, flight->line, 1, refusal->field, reason);
}

/* Takes the flight's memory back, or sends what follows. */
static void on_reply(void *context, enum pd_err err, const struct pd_reply *reply) {
  struct flight *flight = context;
  struct load *load = flight->load;
  if (err != PD_OK) {
    load->down = true;
  } else if (reply->result_case == PD_REPLY_REFUSAL) {
    on_refused(flight, reply->refusal);
  } else {
    const struct pd_ack *ack = reply->ack;
    struct pd_id person = PD_ID(ack->person);
    char text[PD_ID_TEXT];
    bool is_person = flight->table == VOLUNTEERS;
    if (ack->duplicate)
      load->counts[flight->table].before++;
    else
      load->counts[flight->table].loaded++;
    json_object_set_new(
        load->refs[flight->table], flight->ref,
        is_person ? json_string(pd_id_text(&person, text)) : json_integer((json_int_t)ack->id));
    if (is_person) {
      send_next(flight, &person);
      return;
    }
  }
  free(flight);
}

static void on_next_reply(void *context, enum pd_err err, const struct pd_reply *reply) {
  struct flight *flight = context;
  if (err == PD_OK && reply->result_case == PD_REPLY_ACK) {
    struct pd_id person = PD_ID(reply->ack->person);
    send_next(flight, &person);
    return;
  }
  if (err != PD_OK)
    flight->load->down = true;
  else
    on_refused(flight, reply->refusal);
  free(flight);
}

/* Wait for room in the window, then send. */
static void send_command(struct load *load, struct flight *flight, struct pd_command *command,
                         pd_client_done *done) {
  while (pd_client_room(load->client) == 0) pd_client_turn(load->client, 20);
  if (pd_client_send(load->client, command, done, flight) == PD_OK) return;
  say_problem(load, load->path, flight->line, 1, NULL, "the row is too long for a command");
  free(flight);
}

static void send_paper(struct flight *flight, const struct pd_id *person) {
  struct pd_command command = PD_COMMAND_INIT;
  struct pd_record_credential *paper = &flight->papers[flight->said++];
  char key[80];
  snprintf(key, sizeof key, "load/volunteers/%s/paper/%u", flight->ref, flight->said);
  command.key = key;
  paper->person = pd_bytes(person);
  command.body_case = PD_COMMAND_RECORD_CREDENTIAL;
  command.record_credential = paper;
  send_command(flight->load, flight, &command, on_next_reply);
}

/* Paused and exited volunteers are registered first, then paused or exited. */
static void send_status(struct flight *flight, const struct pd_id *person) {
  struct pd_command command = PD_COMMAND_INIT;
  struct pd_pause_volunteer pause = PD_PAUSE_VOLUNTEER_INIT;
  struct pd_exit_volunteer leave = PD_EXIT_VOLUNTEER_INIT;
  bool paused = flight->status == DATA_PAUSED;
  char key[65];
  snprintf(key, sizeof key, "load/volunteers/%s/%s", flight->ref, paused ? "pause" : "exit");
  command.key = key;
  pause.person = leave.person = pd_bytes(person);
  command.body_case = paused ? PD_COMMAND_PAUSE_VOLUNTEER : PD_COMMAND_EXIT_VOLUNTEER;
  if (paused)
    command.pause_volunteer = &pause;
  else
    command.exit_volunteer = &leave;
  flight->status = DATA_ACTIVE;
  send_command(flight->load, flight, &command, on_next_reply);
}

/* What follows a registration: papers, then the status.  Runs in a reply's callback: its slot is
 * free. */
static void send_next(struct flight *flight, const struct pd_id *person) {
  if (flight->said < flight->paper_count)
    send_paper(flight, person);
  else if (flight->status != DATA_ACTIVE)
    send_status(flight, person);
  else
    free(flight);
}

static bool send_row(struct load *load, const struct data_row *row, const char *suffix,
                     struct pd_command *command, const struct data_volunteer *volunteer) {
  struct flight *flight = calloc(1, sizeof *flight);
  char key[80];
  if (flight == NULL) return false;
  *flight = (struct flight){.load = load, .line = row->line, .table = load->table};
  if (volunteer != NULL) {
    flight->status = volunteer->status;
    flight->paper_count = volunteer->paper_count;
    memcpy(flight->papers, volunteer->papers, sizeof flight->papers);
  }
  snprintf(flight->ref, sizeof flight->ref, "%s", row->ref);
  snprintf(key, sizeof key, "load/%s/%s%s", table_names[load->table], row->ref, suffix);
  command->key = key;
  send_command(load, flight, command, on_reply);
  out_progress(&load->tool->out, table_names[load->table], row->done,
               load->counts[load->table].loaded + load->counts[load->table].before);
  return !load->down;
}

static bool on_site(void *context, struct data_site *site) {
  struct load *load = context;
  struct pd_command command = PD_COMMAND_INIT;
  if (site->body.level != load->level) pd_client_drain(load->client); /* parents first */
  load->level = site->body.level;
  command.body_case = PD_COMMAND_REGISTER_SITE;
  command.register_site = &site->body;
  return send_row(load, &site->row, "", &command, NULL);
}

static bool on_team(void *context, struct data_team *team) {
  struct pd_command command = PD_COMMAND_INIT;
  command.body_case = PD_COMMAND_REGISTER_TEAM;
  command.register_team = &team->body;
  return send_row(context, &team->row, "", &command, NULL);
}

static bool on_volunteer(void *context, struct data_volunteer *volunteer) {
  struct pd_command command = PD_COMMAND_INIT;
  command.body_case = PD_COMMAND_REGISTER_VOLUNTEER;
  command.register_volunteer = &volunteer->body;
  return send_row(context, &volunteer->row, "", &command, volunteer);
}

static bool on_member(void *context, struct data_member *member) {
  struct load *load = context;
  struct pd_command command = PD_COMMAND_INIT;
  struct pd_id person;
  char suffix[40];
  const char *text = json_string_value(json_object_get(load->refs[VOLUNTEERS], member->row.ref));
  if (text == NULL || !pd_id_parse(text, &person)) {
    say_problem(load, load->path, member->row.line, 1, "volunteer",
                "is no volunteer of volunteers.csv");
    return true;
  }
  member->body.person = pd_bytes(&person);
  command.body_case = PD_COMMAND_JOIN_TEAM;
  command.join_team = &member->body;
  snprintf(suffix, sizeof suffix, "/%s", member->body.team_ref);
  return send_row(load, &member->row, suffix, &command, NULL);
}

/* ---- tables ---- */

typedef enum pd_err read_table(const char *path, const struct data_listener *listener);

/* One file; an optional one may be absent. */
static int load_table(struct load *load, enum table_kind table, const char *folder,
                      read_table *read, bool optional) {
  char path[512];
  struct data_listener listener = {.context = load,
                                   .site = on_site,
                                   .team = on_team,
                                   .member = on_member,
                                   .volunteer = on_volunteer,
                                   .problem = on_problem,
                                   .note = on_note};
  snprintf(path, sizeof path, "%s/%s.csv", folder, table_names[table]);
  load->table = table;
  load->path = path;
  if (optional && access(path, F_OK) != 0) return 0;
  enum pd_err err = read(path, &listener);
  pd_client_drain(load->client);
  if (load->counts[table].loaded + load->counts[table].before > 0) {
    out_progress(&load->tool->out, table_names[table], 1.0,
                 load->counts[table].loaded + load->counts[table].before);
    out_progress_end(&load->tool->out);
  }
  if (load->down) {
    return out_failf(&load->tool->out, PD_EXIT_DOWN, "nobody answers at the door any more",
                     "when the shard is up again, run the same command: rows that are loaded stay",
                     "in %s", path);
  }
  if (err == PD_OK) return 0;
  return out_fail(&load->tool->out, PD_EXIT_USAGE, "a table cannot be read", path,
                  pd_err_text(err));
}

static void say_counts(struct load *load) {
  static const char *const heads[] = {"table", "loaded", "there before", "bad rows", NULL};
  struct out_table table;
  json_t *json = json_object();
  out_table_begin(&table, heads);
  for (int i = 0; i < TABLES; i++) {
    const struct counts *counts = &load->counts[i];
    out_cell(&table, "%s", table_names[i]);
    out_cell(&table, "%llu", (unsigned long long)counts->loaded);
    out_cell(&table, "%llu", (unsigned long long)counts->before);
    out_cell(&table, "%llu", (unsigned long long)counts->bad);
    json_object_set_new(json, table_names[i],
                        json_pack("{s:I, s:I, s:I}", "loaded", (json_int_t)counts->loaded, "before",
                                  (json_int_t)counts->before, "bad", (json_int_t)counts->bad));
  }
  out_table_end(&table, &load->tool->out);
  out_object(&load->tool->out, json);
}

static int write_map(struct load *load) {
  const char *path = args_get(&load->tool->args, "map");
  if (path == NULL) return 0;
  json_t *map = json_pack("{s:O, s:O, s:O}", "sites", load->refs[SITES], "teams", load->refs[TEAMS],
                          "volunteers", load->refs[VOLUNTEERS]);
  char *text = json_dumps(map, JSON_INDENT(1));
  enum pd_err err = text == NULL ? PD_EIO : tool_write_file(path, 0644, text);
  free(text);
  json_decref(map);
  if (err == PD_OK) return 0;
  return out_fail(&load->tool->out, PD_EXIT_FAULT, "the map cannot be written", path,
                  "name another with --map");
}

static int load_all(struct load *load, const char *folder) {
  int code = load_table(load, SITES, folder, data_read_sites, false);
  if (code == 0) code = load_table(load, TEAMS, folder, data_read_teams, true);
  if (code == 0) code = load_table(load, VOLUNTEERS, folder, data_read_volunteers, false);
  if (code == 0) code = load_table(load, MEMBERS, folder, data_read_members, true);
  if (code == 0) code = write_map(load);
  uint64_t bad = 0;
  for (int i = 0; i < TABLES; i++) bad += load->counts[i].bad;
  return code == 0 && bad > 0 ? PD_EXIT_FAULT : code;
}

static int cmd_load(struct tool *tool) {
  struct load load = {.tool = tool};
  const char *folder = args_get(&tool->args, "data");
  if (folder == NULL) return tool_usage(tool, "name the folder of the tables: --data DIR");
  int code = tool_client(tool, "site", WINDOW, &load.client);
  if (code != 0) return code;
  for (int i = 0; i < TABLES; i++) load.refs[i] = json_object();
  code = load_all(&load, folder);
  say_counts(&load);
  for (int i = 0; i < TABLES; i++) json_decref(load.refs[i]);
  pd_client_close(load.client);
  return code;
}

static const struct option_row load_options[] = {
    {"data", "DIR",
     "folder with sites.csv, volunteers.csv and, if there are any, teams.csv and team_members.csv"},
    {"map", "FILE", "write which number or person each row's id became, as JSON"},
    {NULL, NULL, NULL},
};

const struct command load_commands[] = {
    {"load", "", "Loads sites, teams and volunteers; a bad row is named, the good ones are loaded.",
     "paidan load --data district --map map.json", load_options, 0, 0, cmd_load},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
