/* place_order - somebody who needs help is registered, and an order is placed for them.
 *
 *     place_order tcp://127.0.0.1:5670 SERVER_KEY app.key_secret
 *
 * The key needs the role `resident`: paidan key grant app --hear 370302 --roles resident
 * Prints "order N at intake S", and exits with 0 when it is recorded.
 */
#include <inttypes.h>
#include <paidan-client.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define HOUR_MS 3600000

/* Say it and wait; what is wrong is told. */
static int say(struct paidan *paidan, const Paidan__V1__Command *command,
               const struct paidan_reply **reply) {
  int code = paidan_say(paidan, command, reply);
  if (code != PAIDAN_OK) fprintf(stderr, "place_order: %s\n", paidan_why(paidan));
  return code;
}

static int register_resident(struct paidan *paidan, uint8_t person[16]) {
  const struct paidan_reply *reply;
  Paidan__V1__RegisterResident body = PAIDAN__V1__REGISTER_RESIDENT__INIT;
  Paidan__V1__Command command = PAIDAN__V1__COMMAND__INIT;
  body.name = "居民甲"; /* sealed at the door: no event carries it in the clear */
  body.phone = "13900000001";
  command.body_case = PAIDAN__V1__COMMAND__BODY_REGISTER_RESIDENT;
  command.register_resident = &body;
  int code = say(paidan, &command, &reply);
  if (code == PAIDAN_OK) memcpy(person, reply->person, 16);
  return code;
}

static int place(struct paidan *paidan, uint8_t person[16]) {
  const struct paidan_reply *reply;
  Paidan__V1__Point point = PAIDAN__V1__POINT__INIT;
  Paidan__V1__PlaceOrder body = PAIDAN__V1__PLACE_ORDER__INIT;
  Paidan__V1__Command command = PAIDAN__V1__COMMAND__INIT;
  Paidan__V1__Skill skills[] = {PAIDAN__V1__SKILL__SKILL_COMPANION};
  int64_t now_ms = (int64_t)time(NULL) * 1000;
  point.datum = PAIDAN__V1__DATUM__DATUM_WGS84;
  point.lon_e7 = 1164400000;
  point.lat_e7 = 399200000;
  body.requester = (ProtobufCBinaryData){16, person};
  body.kind = PAIDAN__V1__ORDER_KIND__ORDER_KIND_VISIT;
  body.category = "elder_escort";
  body.note = "陪老人去医院";
  body.point = &point;
  body.skills = skills;
  body.n_skills = 1;
  body.need = 1;
  body.minutes = 60;
  body.window_start_ms = now_ms + HOUR_MS;
  body.window_end_ms = now_ms + 5 * HOUR_MS;
  body.urgency = PAIDAN__V1__URGENCY__URGENCY_SOON;
  body.channel = PAIDAN__V1__CHANNEL__CHANNEL_MINIPROGRAM;
  command.actor = body.requester;
  command.body_case = PAIDAN__V1__COMMAND__BODY_PLACE_ORDER;
  command.place_order = &body;
  int code = say(paidan, &command, &reply);
  if (code == PAIDAN_OK)
    printf("order %" PRIu64 " at intake %" PRIu64 "\n", reply->id, reply->seq);
  return code;
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: place_order tcp://HOST:PORT SERVER_KEY KEY_FILE\n");
    return 64;
  }
  struct paidan *paidan;
  struct paidan_options options = PAIDAN_OPTIONS_INIT;
  options.edge = argv[1];
  options.server_key = argv[2];
  options.key_file = argv[3];
  uint8_t person[16];
  int code = paidan_open(&paidan, &options);
  if (code != PAIDAN_OK)
    fprintf(stderr, "place_order: %s\n", paidan_why(paidan));
  else if ((code = register_resident(paidan, person)) == PAIDAN_OK)
    code = place(paidan, person);
  paidan_close(paidan);
  return code == PAIDAN_OK ? 0 : 1;
}
