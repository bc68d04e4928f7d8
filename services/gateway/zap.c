/* Who gets through the handshake.  libzmq asks this handler (RFC 27) for every new connection of a
 * public socket; without an answer nobody is let in. */
#include "common/io/journal.h"
#include "services/gateway/gateway.h"

#include <string.h>

#define ZAP_ENDPOINT "inproc://zeromq.zap.01"
#define SAY_EVERY_MS 10000

enum { ZAP_VERSION, ZAP_REQUEST, ZAP_DOMAIN, ZAP_ADDRESS, ZAP_IDENTITY, ZAP_MECHANISM, ZAP_KEY };

static bool is_text(zmq_msg_t *frame, const char *text) {
  return zmq_msg_size(frame) == strlen(text) &&
         memcmp(zmq_msg_data(frame), text, strlen(text)) == 0;
}

/* The grant of whoever asks; *status is the answer: "200"; "400", which a libzmq client is told,
 * and it gives up for good; "300", with which it tries on. */
static const struct grant *judge(struct gateway *gateway, struct pd_bus_message *message,
                                 const char **status, const char **why) {
  *status = "400";
  *why = "not CURVE";
  zmq_msg_t *frames = message->frames;
  if (message->count != 7 || !is_text(&frames[ZAP_VERSION], "1.0") ||
      !is_text(&frames[ZAP_MECHANISM], "CURVE") || zmq_msg_size(&frames[ZAP_KEY]) != GRANTS_KEY)
    return NULL;
  const struct grant *grant = grants_keyed(gateway->grants, zmq_msg_data(&frames[ZAP_KEY]));
  *why = "the key is not granted";
  if (grant == NULL) return NULL;
  bool barred = gateway_standing(gateway, grant)->barred_until > uv_now(&gateway->loop);
  *why = barred ? "the key is barred for a minute" : "OK";
  *status = barred ? "300" : "200";
  return barred ? NULL : grant;
}

static void say_denied(struct gateway *gateway, struct pd_bus_message *message, const char *why) {
  char address[64] = "", key[GRANTS_KEY_TEXT] = "";
  uint64_t more = 0;
  if (message->count == 7) {
    zmq_msg_t *frame = &message->frames[ZAP_ADDRESS];
    size_t size = zmq_msg_size(frame) < sizeof address ? zmq_msg_size(frame) : sizeof address - 1;
    memcpy(address, zmq_msg_data(frame), size);
    if (zmq_msg_size(&message->frames[ZAP_KEY]) == GRANTS_KEY)
      zmq_z85_encode(key, zmq_msg_data(&message->frames[ZAP_KEY]), GRANTS_KEY);
  }
  if (pd_journal_once(address, SAY_EVERY_MS, uv_now(&gateway->loop), &more))
    pd_say(PD_LEVEL_WARN, pd_kv_text("msg", "a connection was refused"), pd_kv_text("why", why),
           pd_kv_text("from", address), pd_kv_text("public_key", key),
           pd_kv_uint("not_said_before", more));
}

static void answer(struct gateway *gateway, struct pd_bus_message *message) {
  const char *why = "", *status = "400";
  const struct grant *grant = judge(gateway, message, &status, &why);
  bool in = grant != NULL;
  pd_metric_add(in ? gateway->counts.admitted : gateway->counts.denied, 1);
  if (!in) say_denied(gateway, message, why);
  zmq_msg_t *request = &message->frames[message->count > ZAP_REQUEST ? ZAP_REQUEST : 0];
  const char *name = in ? grant->name : "";
  struct pd_frame frames[6] = {{"1.0", 3},           {zmq_msg_data(request), zmq_msg_size(request)},
                               {status, 3},          {why, strlen(why)},
                               {name, strlen(name)}, {"", 0}};
  if (pd_bus_send(gateway->zap, frames, 6) != PD_OK) pd_metric_add(gateway->counts.bad, 1);
}

static void on_requests(void *context, void *socket) {
  struct gateway *gateway = context;
  struct pd_bus_message message;
  pd_bus_message_init(&message);
  while (pd_bus_receive(socket, &message) == PD_OK) answer(gateway, &message);
  pd_bus_message_close(&message);
}

enum pd_err zap_open(struct gateway *gateway) {
  enum pd_err err = pd_bus_socket(&gateway->zap, gateway->zmq, ZMQ_REP, NULL);
  if (err == PD_OK) err = pd_bus_bind(gateway->zap, ZAP_ENDPOINT);
  if (err == PD_OK)
    err = pd_bus_watch(&gateway->zap_watch, &gateway->loop, gateway->zap, on_requests, gateway);
  return err;
}

void zap_close(struct gateway *gateway) {
  pd_bus_unwatch(gateway->zap_watch);
  if (gateway->zap != NULL) zmq_close(gateway->zap);
}
