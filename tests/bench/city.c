#include "tests/bench/city.h"

#include "common/base/calendar.h"
#include "common/io/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#define LON 1164400000 /* a city of about 20 km around here */
#define LAT 399200000
#define SPREAD 1000000 /* 0.1 degree each way */

struct pd_point city_point(struct city *city) {
  struct pd_point point = PD_POINT_INIT;
  point.datum = PD_DATUM_WGS84;
  point.lon_e7 = LON - SPREAD + (int32_t)pd_rng_below(&city->rng, 2 * SPREAD);
  point.lat_e7 = LAT - SPREAD + (int32_t)pd_rng_below(&city->rng, 2 * SPREAD);
  return point;
}

/* ---- the district ---- */

bool city_tool(struct city *city, const char *arguments) {
  char command[8192];
  snprintf(command, sizeof command, "'%s/paidan' %s --run-dir '%s' >'%s.log' 2>&1", city->bin,
           arguments, city->run_dir, city->run_dir);
  if (system(command) == 0) return true; /* NOLINT: our own words */
  fprintf(stderr, "paidan-bench: `paidan %s` failed, see %s.log\n", arguments, city->run_dir);
  return false;
}

/* Three offers for each slot, whatever the rate of acceptance: that is what is measured. */
static bool fix_rules(const struct city *city) {
  char path[128];
  snprintf(path, sizeof path, "%s/rules.yaml", city->run_dir);
  FILE *file = fopen(path, "w");
  if (file == NULL) return false;
  bool good = fputs("fill_percent: 0\noffers_per_slot: 3\n", file) >= 0;
  return fclose(file) == 0 && good && setenv("PAIDAN_RULES_FILE", path, 1) == 0;
}

bool city_start(struct city *city) {
  pd_rng_seed(&city->rng, 1);
  ssize_t length = readlink("/proc/self/exe", city->bin, sizeof city->bin - 1);
  if (length <= 0) return false;
  city->bin[length] = 0;
  *strrchr(city->bin, '/') = 0;
  snprintf(city->run_dir, sizeof city->run_dir, "/tmp/paidan-bench.XXXXXX");
  char up[256];
  snprintf(up, sizeof up, "up --detach --shard 110105 --zone +08:00 %s", city->more);
  return mkdtemp(city->run_dir) != NULL && fix_rules(city) && city_tool(city, up);
}

void city_stop(struct city *city) {
  char command[256];
  bool down = city_tool(city, "down");
  snprintf(command, sizeof command, "rm -rf '%s' '%s.log'", city->run_dir, city->run_dir);
  if (down && system(command) != 0) perror("rm"); /* NOLINT */
}

static void on_registered(void *context, enum pd_err err, const struct pd_reply *reply) {
  struct city *city = context;
  if (err == PD_OK && reply->result_case == PD_REPLY_ACK) {
    city->registered++;
    return;
  }
  if (city->failed++ == 0)
    fprintf(stderr, "paidan-bench: a registration failed: %s %s\n",
            err != PD_OK ? pd_err_text(err) : reply->refusal->field,
            err != PD_OK ? "" : reply->refusal->rule);
}

static void on_resident(void *context, enum pd_err err, const struct pd_reply *reply) {
  struct person *person = context;
  if (err == PD_OK && reply->result_case == PD_REPLY_ACK)
    person->id = pd_id_from(reply->ack->person.data, reply->ack->person.len);
}

static void send_one(struct city *city, struct pd_client *client, struct pd_command *command,
                     pd_client_done *done, void *context) {
  char key[64];
  snprintf(key, sizeof key, "bench-%llu", (unsigned long long)city->keys++);
  command->key = key;
  while (pd_client_room(client) == 0) pd_client_turn(client, 100);
  if (pd_client_send(client, command, done, context) != PD_OK) city->failed++;
}

static void register_site(struct city *city, enum pd_site_level level, const char *parent,
                          const char *ref, int32_t dx, int32_t dy) {
  struct pd_point point = {PROTOBUF_C_MESSAGE_INIT(&pd_point_descriptor), PD_DATUM_WGS84, LON + dx,
                           LAT + dy};
  struct pd_register_site body = PD_REGISTER_SITE_INIT;
  body.level = level;
  body.parent_ref = (char *)parent;
  body.ref = (char *)ref;
  body.name = (char *)ref;
  body.point = &point;
  struct pd_command command = PD_COMMAND_INIT;
  command.body_case = PD_COMMAND_REGISTER_SITE;
  command.register_site = &body;
  send_one(city, city->site, &command, on_registered, city);
  pd_client_drain(city->site);
}

static void register_volunteer(struct city *city, uint64_t number) {
  static uint32_t always[7] = {0xffffff, 0xffffff, 0xffffff, 0xffffff,
                               0xffffff, 0xffffff, 0xffffff};
  struct pd_point home = city_point(city);
  enum pd_skill skills[2] = {(enum pd_skill)(1 + number % 5), (enum pd_skill)(6 + number % 20)};
  struct pd_register_volunteer body = PD_REGISTER_VOLUNTEER_INIT;
  char name[32];
  snprintf(name, sizeof name, "志愿者%llu", (unsigned long long)number);
  body.name = name;
  body.phone = (char *)"13800000000";
  body.home = &home;
  body.n_skills = 2;
  body.skills = skills;
  body.n_available = 7;
  body.available = always;
  body.radius_m = 5000;
  body.max_per_week = 50;
  body.age = PD_AGE_BAND_36_59;
  struct pd_command command = PD_COMMAND_INIT;
  command.body_case = PD_COMMAND_REGISTER_VOLUNTEER;
  command.register_volunteer = &body;
  send_one(city, city->site, &command, on_registered, city);
}

static void register_resident(struct city *city, struct person *person) {
  struct pd_register_resident body = PD_REGISTER_RESIDENT_INIT;
  body.name = (char *)"居民";
  struct pd_command command = PD_COMMAND_INIT;
  command.body_case = PD_COMMAND_REGISTER_RESIDENT;
  command.register_resident = &body;
  send_one(city, city->resident, &command, on_resident, person);
}

bool city_register(struct city *city, uint64_t volunteers) {
  register_site(city, PD_SITE_LEVEL_CENTER, "", "S0", 0, 0);
  register_site(city, PD_SITE_LEVEL_INSTITUTE, "S0", "S1", SPREAD / 2, 0);
  register_site(city, PD_SITE_LEVEL_STATION, "S1", "S2", SPREAD, SPREAD);
  register_site(city, PD_SITE_LEVEL_STATION, "S1", "S3", -SPREAD, -SPREAD);
  for (uint64_t i = 0; i < volunteers; i++) register_volunteer(city, i);
  pd_client_drain(city->site);
  for (size_t i = 0; i < CITY_RESIDENTS; i++) register_resident(city, &city->residents[i]);
  pd_client_drain(city->resident);
  return city->failed == 0;
}

bool city_open(struct city *city, const struct pd_subscriber_calls *calls) {
  char endpoint[128];
  struct pd_client_options options = {.endpoint = endpoint, .shard = CITY_SHARD, .window = 16384};
  city->zmq = zmq_ctx_new();
  snprintf(endpoint, sizeof endpoint, "ipc://%s/door.resident", city->run_dir);
  bool good = pd_client_open(&city->resident, city->zmq, &options) == PD_OK;
  snprintf(endpoint, sizeof endpoint, "ipc://%s/door.volunteer", city->run_dir);
  good = good && pd_client_open(&city->volunteer, city->zmq, &options) == PD_OK;
  snprintf(endpoint, sizeof endpoint, "ipc://%s/door.site", city->run_dir);
  good = good && pd_client_open(&city->site, city->zmq, &options) == PD_OK;
  good = good && pd_subscriber_open(&city->subscriber, city->zmq, CITY_SHARD, calls) == PD_OK;
  for (unsigned log = PD_LOG_INTAKE; log <= PD_LOG_MATCHING && good; log++) {
    snprintf(endpoint, sizeof endpoint, "ipc://%s/%s.pub", city->run_dir, pd_log_name(log));
    good = pd_subscriber_connect(city->subscriber, endpoint) == PD_OK;
  }
  return good;
}

bool city_place(struct city *city, uint64_t number, pd_client_done *done, void *context) {
  struct pd_point point = city_point(city);
  enum pd_skill skill = (enum pd_skill)(1 + number % 5);
  struct person *person = &city->residents[number % CITY_RESIDENTS];
  struct pd_place_order body = PD_PLACE_ORDER_INIT;
  body.requester = (ProtobufCBinaryData){16, person->id.bytes};
  body.kind = PD_ORDER_KIND_VISIT;
  body.category = (char *)"elder_escort";
  body.note = (char *)"陪老人去医院看病";
  body.address = (char *)"建外街道永安里东社区 3 号楼";
  body.point = &point;
  body.n_skills = 1;
  body.skills = &skill;
  body.need = 1;
  int64_t now = pd_clock_real_ms();
  body.window_start_ms = now + PD_DAY_MS + (int64_t)(number % 500) * PD_HOUR_MS;
  body.window_end_ms = body.window_start_ms + 4 * PD_HOUR_MS;
  body.minutes = 60;
  body.urgency = PD_URGENCY_SOON;
  body.channel = PD_CHANNEL_MINIPROGRAM;
  char key[64];
  snprintf(key, sizeof key, "bench-%llu", (unsigned long long)city->keys++);
  struct pd_command command = PD_COMMAND_INIT;
  command.key = key;
  command.actor = body.requester;
  command.body_case = PD_COMMAND_PLACE_ORDER;
  command.place_order = &body;
  return pd_client_send(city->resident, &command, done, context) == PD_OK;
}
