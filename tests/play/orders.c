#include "common/base/calendar.h"
#include "services/paidan/data.h"
#include "tests/play/play.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define NAMELESS 97 /* residents who stand for requests without a requester */

/* ---- the orders that are played
 * -------------------------------------------------------------------------------------- */

static int64_t midnight(int64_t time_ms, int32_t zone_min) {
  return pd_date_ms(pd_date_of(time_ms, zone_min), zone_min);
}

static bool take_order(void *context, struct data_order *row) {
  struct play *play = context;
  struct play_options *options = &play->options;
  if (options->start_ms == 0) options->start_ms = midnight(row->placed_at_ms, options->zone_min);
  play->end_ms = options->start_ms + (int64_t)options->days * PD_DAY_MS;
  bool within = row->placed_at_ms >= options->start_ms && row->body.window_end_ms <= play->end_ms;
  if (!within || row->placed_at_ms >= play->end_ms) return true;
  if (play->orders_count == play->orders_size) {
    play->orders_size = play->orders_size * 2 + 256;
    play->orders = realloc(play->orders, play->orders_size * sizeof *play->orders);
    if (play->orders == NULL) abort();
  }
  struct play_order *order = &play->orders[play->orders_count];
  *order = (struct play_order){.placed_at_ms = row->placed_at_ms};
  snprintf(order->ref, sizeof order->ref, "%s", row->row.ref);
  if (row->requester != NULL && row->requester[0] != 0)
    snprintf(order->person, sizeof order->person, "%s", row->requester);
  else
    snprintf(order->person, sizeof order->person, "N%05zu", play->orders_count % NAMELESS);
  order->size = protobuf_c_message_get_packed_size(&row->body.base);
  order->body = malloc(order->size + 1);
  if (order->body == NULL) abort();
  protobuf_c_message_pack(&row->body.base, order->body);
  play->orders_count++;
  return true;
}

static void on_problem(void *context, const struct data_problem *problem) {
  (void)context;
  fprintf(stderr, "%s:%u:%u: %s: %s\n", problem->file, problem->line, problem->column,
          problem->name != NULL ? problem->name : "row", problem->reason);
}

bool play_read_orders(struct play *play) {
  char path[4096];
  snprintf(path, sizeof path, "%s/orders.csv", play->options.data);
  struct data_listener listener = {.context = play, .order = take_order, .problem = on_problem};
  enum pd_err err = data_read_orders(path, &listener);
  if (err != PD_OK) fprintf(stderr, "paidan-play: %s: %s\n", path, pd_err_text(err));
  if (err == PD_OK && play->orders_count == 0)
    fprintf(stderr, "paidan-play: %s: no order is placed and ends within these %u days\n", path,
            play->options.days);
  play->latency_ms = calloc(play->orders_count + 1, sizeof *play->latency_ms);
  return err == PD_OK && play->orders_count > 0 && play->latency_ms != NULL;
}

/* ---- who places them ---- */

/* One registration on its way: for all orders of that person. */
struct registering {
  struct play *play;
  size_t order;
  bool failed;
};

static void give_id(struct play *play, const char *person, const struct pd_id *id) {
  for (size_t i = 0; i < play->orders_count; i++) {
    if (strcmp(play->orders[i].person, person) != 0) continue;
    play->orders[i].requester = *id;
    play->orders[i].registered = true;
  }
}

static void on_registered(void *context, enum pd_err err, const struct pd_reply *reply) {
  struct registering *registering = context;
  struct play *play = registering->play;
  const char *person = play->orders[registering->order].person;
  if (err == PD_OK && reply->result_case == PD_REPLY_ACK) {
    struct pd_id id = pd_id_from(reply->ack->person.data, reply->ack->person.len);
    give_id(play, person, &id);
  } else {
    fprintf(stderr, "paidan-play: resident %s could not be registered: %s\n", person,
            err != PD_OK ? pd_err_text(err) : reply->refusal->rule);
    play->totals.refused++;
  }
  free(registering);
}

static void send_resident(struct play *play, size_t index) {
  struct registering *registering = calloc(1, sizeof *registering);
  if (registering == NULL) abort();
  registering->play = play;
  registering->order = index;
  const char *person = play->orders[index].person;
  char name[64], phone[24], address[64], key[64];
  snprintf(name, sizeof name, "居民%s", person);
  snprintf(phone, sizeof phone, "139%08zu", index);
  snprintf(address, sizeof address, "%s号楼%zu单元", person, index % 9 + 1);
  snprintf(key, sizeof key, "play/resident/%s", person);
  struct pd_register_resident body = PD_REGISTER_RESIDENT_INIT;
  body.name = name;
  body.phone = phone;
  body.address = address;
  struct pd_command command = PD_COMMAND_INIT;
  command.key = key;
  command.body_case = PD_COMMAND_REGISTER_RESIDENT;
  command.register_resident = &body;
  while (pd_client_room(play->clients[PLAY_RESIDENT]) == 0)
    pd_client_turn(play->clients[PLAY_RESIDENT], 1000);
  if (pd_client_send(play->clients[PLAY_RESIDENT], &command, on_registered, registering) != PD_OK)
    free(registering);
}

/* Volunteers who ask for help themselves are in the map that `paidan load --map` wrote. */
static void use_map(struct play *play) {
  if (play->options.map == NULL) return;
  json_error_t error;
  json_t *map = json_load_file(play->options.map, 0, &error);
  json_t *volunteers = json_object_get(map, "volunteers");
  for (size_t i = 0; i < play->orders_count; i++) {
    const char *hex = json_string_value(json_object_get(volunteers, play->orders[i].person));
    struct pd_id id;
    if (hex == NULL || !pd_id_parse(hex, &id)) continue;
    play->orders[i].requester = id;
    play->orders[i].registered = true;
  }
  if (map == NULL)
    fprintf(stderr, "paidan-play: %s:%d: %s\n", play->options.map, error.line, error.text);
  json_decref(map);
}

static bool first_of_person(const struct play *play, size_t index) {
  for (size_t i = 0; i < index; i++)
    if (strcmp(play->orders[i].person, play->orders[index].person) == 0) return false;
  return true;
}

bool play_register(struct play *play) {
  use_map(play);
  for (size_t i = 0; i < play->orders_count; i++)
    if (!play->orders[i].registered && first_of_person(play, i)) send_resident(play, i);
  pd_client_drain(play->clients[PLAY_RESIDENT]);
  bool all = true;
  for (size_t i = 0; i < play->orders_count; i++) all = all && play->orders[i].registered;
  return all;
}
