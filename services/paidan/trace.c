/* trace - an order's story across all five logs: what happened, in time order, each line with its
 * cause. */
#include "common/base/calendar.h"
#include "services/paidan/cursor.h"
#include "services/paidan/ids.h"
#include "services/paidan/labels.h"
#include "services/paidan/proto_json.h"
#include "services/paidan/tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct place {
  enum pd_log log;
  uint32_t zero;
  uint64_t seq;
};

struct story {
  struct tool *tool;
  uint64_t order;
  struct place *places; /* of the events told so far */
  size_t count;
  size_t room;
  uint64_t *holds; /* numbers of the order's holds */
  size_t hold_count;
  size_t hold_room;
};

static bool tells_of(const struct story *story, const struct pd_position *position) {
  if (position == NULL) return false;
  for (size_t i = story->count; i > 0; i--) {
    if (story->places[i - 1].log == position->log && story->places[i - 1].seq == position->seq)
      return true;
  }
  return false;
}

static bool is_own_hold(const struct story *story, uint64_t hold) {
  for (size_t i = 0; i < story->hold_count; i++) {
    if (story->holds[i] == hold) return true;
  }
  return false;
}

/* What a message of notification is about. */
static const struct pd_position *about_of(const struct pd_event *event) {
  if (event->body_case == PD_EVENT_MESSAGE_SENT) return event->message_sent->about;
  if (event->body_case == PD_EVENT_MESSAGE_FAILED) return event->message_failed->about;
  if (event->body_case == PD_EVENT_MESSAGE_SUPPRESSED) return event->message_suppressed->about;
  return NULL;
}

/* Events that name an order belong to that one; holds and messages to the order they come from. */
static bool belongs(const struct story *story, const struct pd_event *event) {
  const ProtobufCMessage *body = proto_body(event);
  uint64_t number = 0;
  if (body == NULL) return false;
  if (proto_number(body, "order", &number)) return number == story->order;
  if (about_of(event) != NULL) return tells_of(story, about_of(event));
  if (proto_number(body, "hold", &number)) return is_own_hold(story, number);
  return tells_of(story, event->cause);
}

/* ---- one line ---- */

/* "field value" of the scalars and ids that say something; the order itself is known. */
static size_t add_detail(char *text, size_t used, size_t room, const char *key,
                         const json_t *value) {
  char piece[64] = "";
  if (json_is_string(value)) {
    const char *string = json_string_value(value);
    bool id = strlen(string) == 32 && strspn(string, "0123456789abcdef") == 32;
    snprintf(piece, sizeof piece, id ? "%.8s" : "%.40s", string);
  } else if (json_is_integer(value) && json_integer_value(value) != 0) {
    snprintf(piece, sizeof piece, "%lld", (long long)json_integer_value(value));
  } else if (json_is_true(value)) {
    snprintf(piece, sizeof piece, "yes");
  }
  if (piece[0] == '\0' || used >= room) return used;
  int wrote = snprintf(text + used, room - used, "%s%s %s", used == 0 ? "" : ", ", key, piece);
  return wrote > 0 ? used + (size_t)wrote : used;
}

static void details(const struct story *story, const struct pd_event *event, char *text,
                    size_t room) {
  json_t *body = proto_json(proto_body(event), story->tool->zone_min);
  const char *key;
  json_t *value;
  size_t used = 0;
  text[0] = '\0';
  json_object_foreach(body, key, value) {
    size_t length = strlen(key);
    if (strcmp(key, "order") == 0 || (length > 3 && strcmp(key + length - 3, "_ms") == 0)) continue;
    used = add_detail(text, used, room, key, value);
  }
  json_decref(body);
}

/* What made it happen: an event, what a message is about, who spoke, or the clock. */
static void cause_of(const struct pd_event *event, char *text, size_t room) {
  const struct pd_position *cause = event->cause != NULL ? event->cause : about_of(event);
  if (cause != NULL) {
    snprintf(text, room, "%s %llu", pd_log_name(cause->log), (unsigned long long)cause->seq);
  } else if (event->origin != NULL) {
    snprintf(text, room, "%.40s", event->origin->principal);
  } else {
    snprintf(text, room, "%s", event->log == PD_LOG_SCHEDULING ? "clock" : "the same");
  }
}

static void tell(struct story *story, const struct pd_event *event) {
  char time[PD_TIME_TEXT], cause[48], text[512];
  struct label label = label_kind(event);
  const struct tool *tool = story->tool;
  cause_of(event, cause, sizeof cause);
  if (tool->out.json) {
    json_t *json = proto_json_event(event, tool->zone_min);
    json_object_set_new(json, "zh", json_string(label.zh));
    json_object_set_new(json, "en", json_string(label.en));
    json_object_set_new(json, "because", json_string(cause));
    out_object(&tool->out, json);
    return;
  }
  details(story, event, text, sizeof text);
  out_text(&tool->out, "%s  %-12s %8llu  <- %-20s  %s %s%s%s",
           pd_time_text(event->time_ms, tool->zone_min, time), pd_log_name(event->log),
           (unsigned long long)event->seq, cause, label.zh, label.en, text[0] == '\0' ? "" : ": ",
           text);
}

static void follow(struct story *story, const struct pd_event *event) {
  if (!belongs(story, event)) return;
  story->places = ids_grow(story->places, &story->room, story->count + 1, sizeof *story->places);
  story->places[story->count++] = (struct place){.log = event->log, .seq = event->seq};
  if (event->body_case == PD_EVENT_HOLD_PLACED) {
    story->holds =
        ids_grow(story->holds, &story->hold_room, story->hold_count + 1, sizeof *story->holds);
    story->holds[story->hold_count++] = event->hold_placed->hold;
  }
  tell(story, event);
}

static int cmd_trace(struct tool *tool) {
  struct story story = {.tool = tool};
  struct pd_store_now *store = NULL;
  struct merge merge;
  int code = tool_order(tool, tool->args.words[0], &story.order);
  if (code == 0) code = tool_store(tool, &store);
  if (code != 0) return code;
  enum pd_err err = merge_open(&merge, store);
  while (err == PD_OK && (err = merge_next(&merge)) == PD_OK) follow(&story, merge.event);
  enum pd_log bad = merge.bad;
  merge_close(&merge);
  pd_store_now_close(store);
  if (err != PD_ENOENT) {
    code = out_failf(&tool->out, err == PD_EDOWN ? PD_EXIT_DOWN : PD_EXIT_FAULT,
                     "the logs cannot be read", "`paidan verify` says where", "log %s: %s",
                     pd_log_name(bad), pd_err_text(err));
  } else if (story.count == 0) {
    code = out_fail(&tool->out, PD_EXIT_FAULT, "there is no such order", tool->args.words[0],
                    "paidan order list");
  }
  free(story.places);
  free(story.holds);
  return code;
}

const struct command trace_commands[] = {
    {"trace", "ORDER", "Tells an order's story across all services, each line with its cause.",
     "paidan trace 17", NULL, 1, 1, cmd_trace},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
