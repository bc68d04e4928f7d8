/* volunteer, resident, person - the registry, and a person's rights: everything about oneself, and
 * being forgotten. */
#include "common/base/calendar.h"
#include "services/paidan/data.h"
#include "services/paidan/view.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPTION_DOOR \
  { "door", "NAME", "resident, volunteer, site or ops (default ops)" }
#define OPTION_KEY \
  { "key", "TEXT", "idempotency key (default: a fresh one)" }

/* ---- commands about a person ---- */

static int cmd_pause(struct tool *tool) {
  struct pd_command command = PD_COMMAND_INIT;
  struct pd_pause_volunteer body = PD_PAUSE_VOLUNTEER_INIT;
  struct pd_id person;
  int code = tool_person(tool, tool->args.words[0], &person);
  if (code != 0) return code;
  body.person = pd_bytes(&person);
  command.body_case = PD_COMMAND_PAUSE_VOLUNTEER;
  command.pause_volunteer = &body;
  return tool_send_about(tool, &command, "paused");
}

static int cmd_resume(struct tool *tool) {
  struct pd_command command = PD_COMMAND_INIT;
  struct pd_resume_volunteer body = PD_RESUME_VOLUNTEER_INIT;
  struct pd_id person;
  int code = tool_person(tool, tool->args.words[0], &person);
  if (code != 0) return code;
  body.person = pd_bytes(&person);
  command.body_case = PD_COMMAND_RESUME_VOLUNTEER;
  command.resume_volunteer = &body;
  return tool_send_about(tool, &command, "resumed");
}

static int cmd_exit(struct tool *tool) {
  struct pd_command command = PD_COMMAND_INIT;
  struct pd_exit_volunteer body = PD_EXIT_VOLUNTEER_INIT;
  struct pd_id person;
  int code = tool_person(tool, tool->args.words[0], &person);
  if (code != 0) return code;
  body.person = pd_bytes(&person);
  command.body_case = PD_COMMAND_EXIT_VOLUNTEER;
  command.exit_volunteer = &body;
  return tool_send_about(tool, &command, "exited");
}

static int cmd_erase(struct tool *tool) {
  struct pd_command command = PD_COMMAND_INIT;
  struct pd_erase_person body = PD_ERASE_PERSON_INIT;
  struct pd_id person;
  int code = tool_person(tool, tool->args.words[0], &person);
  if (code != 0) return code;
  if (args_get(&tool->args, "yes") == NULL) {
    return tool_usage(tool, "erasing cannot be undone: say --yes if it is meant");
  }
  body.person = pd_bytes(&person);
  command.body_case = PD_COMMAND_ERASE_PERSON;
  command.erase_person = &body;
  return tool_send_about(tool, &command,
                            "erased; what was sealed for this person cannot be read again");
}

static int cmd_resident_add(struct tool *tool) {
  struct pd_command command = PD_COMMAND_INIT;
  struct pd_register_resident body = PD_REGISTER_RESIDENT_INIT;
  struct pd_point home = PD_POINT_INIT;
  const char *name = args_get(&tool->args, "name"), *phone = args_get(&tool->args, "phone");
  const char *address = args_get(&tool->args, "address");
  const char *lon = args_get(&tool->args, "lon"), *lat = args_get(&tool->args, "lat");
  if (name == NULL) return tool_usage(tool, "--name says who it is");
  if ((lon == NULL) != (lat == NULL)) return tool_usage(tool, "--lon and --lat belong together");
  if (lon != NULL) {
    home.datum = PD_DATUM_WGS84;
    if (!data_degrees(lon, 180, &home.lon_e7) || !data_degrees(lat, 90, &home.lat_e7)) {
      return tool_usage(tool, "--lon and --lat are degrees, WGS-84");
    }
    body.home = &home;
  }
  body.name = (char *)name;
  if (phone != NULL) body.phone = (char *)phone;
  if (address != NULL) body.address = (char *)address;
  command.body_case = PD_COMMAND_REGISTER_RESIDENT;
  command.register_resident = &body;
  return tool_send_about(tool, &command, "registered");
}

/* ---- reading ---- */

static int look(struct tool *tool, struct view *view, struct pd_store_now **store) {
  *view = (struct view){0};
  int code = tool_store(tool, store);
  return code == 0 ? view_load(view, tool, *store) : code;
}

static void say_person(struct tool *tool, json_t *json) {
  const char *key;
  json_t *value;
  json_object_foreach(json, key, value) {
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    out_text(&tool->out, "%-14s %s", key, text);
    free(text);
  }
}

static int cmd_show(struct tool *tool) {
  struct view view;
  struct pd_store_now *store = NULL;
  struct pd_id id;
  int code = tool_person(tool, tool->args.words[0], &id);
  if (code != 0) return code;
  code = look(tool, &view, &store);
  const struct view_person *person = code == 0 ? view_person(&view, &id) : NULL;
  if (code == 0 && person == NULL) {
    code = out_fail(&tool->out, PD_EXIT_FAULT, "there is no such person", tool->args.words[0],
                    "paidan volunteer list");
  }
  if (person != NULL) {
    json_t *json = view_person_json(&view, person);
    say_person(tool, json);
    out_object(&tool->out, json);
  }
  view_close(&view);
  pd_store_now_close(store);
  return code;
}

static int cmd_list(struct tool *tool) {
  static const char *const heads[] = {"person", "state",  "site",   "minutes",
                                      "points", "offers", "served", NULL};
  static const char *const states[] = {"active", "paused", "exited", "erased"};
  struct view view;
  struct pd_store_now *store = NULL;
  struct out_table table;
  uint64_t limit, listed = 0;
  char id[PD_ID_TEXT];
  if (args_number(&tool->args, "limit", 1, 1000000, 100, &limit) != PD_OK)
    return tool_usage(tool, tool->args.wrong);
  int code = look(tool, &view, &store);
  out_table_begin(&table, heads);
  for (size_t i = 0; code == 0 && i < view.person_count && listed < limit; i++) {
    const struct view_person *person = &view.persons[i];
    const struct view_site *site = view_site(&view, person->site);
    if (!person->volunteer) continue;
    listed++;
    if (tool->out.json) out_object(&tool->out, view_person_json(&view, person));
    out_cell(&table, "%s", pd_id_text(&person->id, id));
    out_cell(&table, "%s", states[person->state]);
    out_cell(&table, "%s", site == NULL ? "-" : site->ref);
    out_cell(&table, "%lld", (long long)person->minutes);
    out_cell(&table, "%lld", (long long)person->points);
    out_cell(&table, "%u", person->offers);
    out_cell(&table, "%u", person->served);
  }
  if (code == 0)
    out_table_end(&table, &tool->out);
  else
    out_table_drop(&table);
  view_close(&view);
  pd_store_now_close(store);
  return code;
}

/* ---- person export ---- */

struct export {
  struct tool *tool;
  struct pd_vault_now *vault;
  struct pd_id person;
  json_t *events;
};

/* Open one sealed field and put it beside its event: {"contact": {...}}; null when the key is gone.
 */
static void open_sealed(struct export *export, json_t *into, const char *name, const char *field,
                        const struct pd_sealed *sealed, const ProtobufCMessageDescriptor *type) {
  if (sealed == NULL || sealed->box.len < PD_SEAL_EXTRA || sealed->box.len > PD_SEAL_PLAIN_MAX)
    return;
  size_t size = sealed->box.len - PD_SEAL_EXTRA;
  uint8_t *plain = malloc(size + 1);
  if (plain == NULL) return;
  struct pd_seal_place place = {.shard = export->tool->shard,
                                .person = export->person,
                                .record = PD_ID(sealed->record),
                                .field = field};
  enum pd_err err =
      pd_vault_unseal_now(export->vault, &place, sealed->box.data, sealed->box.len, plain);
  ProtobufCMessage *message =
      err == PD_OK ? protobuf_c_message_unpack(type, NULL, size, plain) : NULL;
  json_object_set_new(into, name,
                      message == NULL ? json_null() : proto_json(message, export->tool->zone_min));
  if (message != NULL) protobuf_c_message_free_unpacked(message, NULL);
  sodium_memzero(plain, size);
  free(plain);
}

static json_t *opened(struct export *export, const struct pd_event *event) {
  json_t *into = json_object();
  if (event->body_case == PD_EVENT_VOLUNTEER_REGISTERED) {
    open_sealed(export, into, "contact", "contact", event->volunteer_registered->contact,
                &pd_personal_contact_descriptor);
    open_sealed(export, into, "home", "home", event->volunteer_registered->home,
                &pd_personal_place_descriptor);
  }
  if (event->body_case == PD_EVENT_RESIDENT_REGISTERED) {
    open_sealed(export, into, "contact", "contact", event->resident_registered->contact,
                &pd_personal_contact_descriptor);
    open_sealed(export, into, "home", "home", event->resident_registered->home,
                &pd_personal_place_descriptor);
  }
  if (event->body_case == PD_EVENT_ORDER_PLACED) {
    open_sealed(export, into, "place", "place", event->order_placed->place,
                &pd_personal_place_descriptor);
    open_sealed(export, into, "note", "note", event->order_placed->note,
                &pd_personal_note_descriptor);
  }
  if (event->body_case == PD_EVENT_ORDER_RATED) {
    open_sealed(export, into, "comment", "comment", event->order_rated->comment,
                &pd_personal_note_descriptor);
  }
  return into;
}

/* Is one of the lines the person's? */
static bool is_in_lines(const struct export *export, struct pd_posting_line **lines, size_t count) {
  for (size_t i = 0; i < count; i++) {
    struct pd_id id = PD_ID(lines[i]->person);
    if (pd_id_equal(&id, &export->person)) return true;
  }
  return false;
}

static bool is_in_posting(const struct export *export, const struct pd_event *event) {
  const struct pd_points_posted *posted = event->points_posted;
  const struct pd_hold_placed *held = event->hold_placed;
  const struct pd_hold_resolved *resolved = event->hold_resolved;
  if (event->body_case == PD_EVENT_POINTS_POSTED) {
    return is_in_lines(export, posted->lines, posted->n_lines);
  }
  if (event->body_case == PD_EVENT_HOLD_PLACED) {
    return is_in_lines(export, held->lines, held->n_lines);
  }
  return event->body_case == PD_EVENT_HOLD_RESOLVED &&
         is_in_lines(export, resolved->lines, resolved->n_lines);
}

/* Does an event concern the person: as volunteer, requester, person, or in a posting? */
static bool concerns(const struct export *export, const struct view *view,
                     const struct pd_event *event) {
  static const char *const fields[] = {"person", "volunteer", "requester"};
  const ProtobufCMessage *body = proto_body(event);
  struct pd_id id;
  for (size_t i = 0; i < 3; i++) {
    if (proto_id(body, fields[i], &id) && pd_id_equal(&id, &export->person)) return true;
  }
  if (is_in_posting(export, event)) return true;
  uint64_t number = 0;
  bool own = event->log == PD_LOG_INTAKE && proto_number(body, "order", &number);
  const struct view_order *order = own ? view_order(view, number) : NULL;
  return order != NULL && pd_id_equal(&order->requester, &export->person);
}

/* The view is folded on the way, so that an order's requester is known when its later events come.
 */
static enum pd_err gather(struct export *export, struct view *view, struct pd_store_now *store) {
  struct merge merge;
  enum pd_err err = merge_open(&merge, store);
  while (err == PD_OK && (err = merge_next(&merge)) == PD_OK) {
    view_apply(view, merge.event);
    if (!concerns(export, view, merge.event)) continue;
    json_t *json = proto_json_event(merge.event, export->tool->zone_min);
    json_object_set_new(json, "opened", opened(export, merge.event));
    json_array_append_new(export->events, json);
  }
  merge_close(&merge);
  return err == PD_ENOENT ? PD_OK : err;
}

static int cmd_export(struct tool *tool) {
  struct export export = {.tool = tool, .events = json_array()};
  struct view view = {0};
  struct pd_store_now *store = NULL;
  int code = tool_person(tool, tool->args.words[0], &export.person);
  if (code == 0) code = tool_store(tool, &store);
  if (code == 0) code = tool_vault(tool, &export.vault);
  enum pd_err err = code == 0 ? gather(&export, &view, store) : PD_OK;
  const struct view_person *person = view_person(&view, &export.person);
  if (err != PD_OK) {
    code = out_fail(&tool->out, PD_EXIT_FAULT, "the logs cannot be read", pd_err_text(err),
                    "paidan verify");
  } else if (code == 0 && person == NULL) {
    code =
        out_fail(&tool->out, PD_EXIT_FAULT, "there is no such person", tool->args.words[0], NULL);
  } else if (code == 0) {
    json_t *all =
        json_pack("{s:o, s:O}", "person", view_person_json(&view, person), "events", export.events);
    json_dumpf(all, stdout, tool->out.json ? JSON_COMPACT : JSON_INDENT(1));
    putchar('\n');
    json_decref(all);
  }
  json_decref(export.events);
  view_close(&view);
  pd_vault_now_close(export.vault);
  pd_store_now_close(store);
  return code;
}

/* ---- the table ---- */

static const struct option_row say_options[] = {OPTION_DOOR, OPTION_KEY, {NULL, NULL, NULL}};
static const struct option_row erase_options[] = {
    {"yes", NULL, "it is meant"}, OPTION_DOOR, OPTION_KEY, {NULL, NULL, NULL}};
static const struct option_row list_options[] = {{"limit", "N", "at most so many (default 100)"},
                                                 {NULL, NULL, NULL}};
static const struct option_row add_options[] = {
    {"name", "TEXT", "sealed"},
    {"phone", "TEXT", "sealed"},
    {"address", "TEXT", "sealed"},
    {"lon", "DEGREES", "home: longitude, WGS-84; sealed, only its cell is public"},
    {"lat", "DEGREES", "and latitude"},
    OPTION_DOOR,
    OPTION_KEY,
    {NULL, NULL, NULL},
};

#define SOMEBODY "0123456789abcdef0123456789abcdef"

const struct command people_commands[] = {
    {"volunteer show", "PERSON", "Shows a volunteer: skills, hours, offers, minutes, points.",
     "paidan volunteer show " SOMEBODY, NULL, 1, 1, cmd_show},
    {"volunteer list", "", "Lists volunteers with what they have served.",
     "paidan volunteer list --limit 20", list_options, 0, 0, cmd_list},
    {"volunteer pause", "PERSON", "No new offers for a while; what is booked stays.",
     "paidan volunteer pause " SOMEBODY, say_options, 1, 1, cmd_pause},
    {"volunteer resume", "PERSON", "Offers again.", "paidan volunteer resume " SOMEBODY,
     say_options, 1, 1, cmd_resume},
    {"volunteer exit", "PERSON",
     "Leaves for good; bookings that have not begun are given to others.",
     "paidan volunteer exit " SOMEBODY, say_options, 1, 1, cmd_exit},
    {"resident add", "", "Registers a resident, who can then place orders.",
     "paidan resident add --name 张三 --phone 13800000000", add_options, 0, 0, cmd_resident_add},
    {"person export", "PERSON",
     "Prints everything that is kept about a person, sealed texts opened.",
     "paidan person export " SOMEBODY, NULL, 1, 1, cmd_export},
    {"person erase", "PERSON", "Erases a person: the key dies, and with it every sealed text.",
     "paidan person erase " SOMEBODY " --yes", erase_options, 1, 1, cmd_erase},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
