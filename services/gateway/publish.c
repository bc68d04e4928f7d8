/* Who hears what.  The XPUB socket hands every subscription to us (ZMQ_XPUB_MANUAL) with the name
 * that the ZAP handler gave its sender, and takes on only what we put in its place.
 *
 * libzmq 4.3.4 pairs what it hands out with connections by counting subscriptions, so any other
 * message that a client sends upstream would shift the pairs, and somebody's subscription could be
 * put to another's account.  Such a message comes out before what it shifts: it is an offence, and
 * the socket is closed at once, with everything still in it. */
#include "common/io/journal.h"
#include "services/gateway/gateway.h"

#include <stdio.h>
#include <string.h>

#define WINDOW_MS 10000
#define SUBSCRIPTIONS_A_WINDOW 2000 /* of one key */
#define SUBSCRIPTIONS_ALIVE 200000  /* of all */

/* ---- subscriptions ---- */

static bool set(struct gateway *gateway, bool subscribe, const char *topic, size_t length) {
  int option = subscribe ? ZMQ_SUBSCRIBE : ZMQ_UNSUBSCRIBE;
  return zmq_setsockopt(gateway->edge[EDGE_EVENTS].socket, option, topic, length) == 0;
}

/* Put what is allowed of the wanted prefix into force: the wanted one where it lies within the
 * granted, the granted one where it lies within the wanted.  An unsubscription takes back only what
 * cannot have come from another subscription; what is sent beyond, the subscriber's own socket
 * drops. Returns whether anything was allowed. */
static bool settle(struct gateway *gateway, bool subscribe, const char *granted, const char *wanted,
                   size_t size) {
  size_t length = strlen(granted);
  bool within = size >= length && memcmp(wanted, granted, length) == 0;
  bool around = size < length && memcmp(wanted, granted, size) == 0;
  bool settled = true;
  if (within && (subscribe || size > length)) settled = set(gateway, subscribe, wanted, size);
  if (around && subscribe) settled = set(gateway, true, granted, length);
  if (!settled) pd_metric_add(gateway->counts.bad, 1);
  return within || around;
}

static void take_subscription(struct gateway *gateway, const struct grant *grant, bool subscribe,
                              const char *wanted, size_t size) {
  char view[GRANTS_NAME + 1], prefix[GRANTS_TEXT + 8];
  char granted[GRANTS_NAME + GRANTS_TEXT + 16];
  bool any = false;
  grant_view(grant, view);
  for (uint32_t i = 0; i < grant->hears; i++) {
    if (!grant_prefix(grant->hear[i], gateway_shard(gateway), prefix)) continue;
    snprintf(granted, sizeof granted, "%s%s", view, prefix);
    any = settle(gateway, subscribe, granted, wanted, size) || any;
  }
  snprintf(granted, sizeof granted, "%s%06u/tip", view, gateway_shard(gateway));
  any = settle(gateway, subscribe, granted, wanted, size) || any;
  if (!subscribe) return;
  gateway_standing(gateway, grant)->listens = true;
  pd_metric_add(any ? gateway->counts.subscriptions : gateway->counts.ungranted, 1);
  char source[64];
  snprintf(source, sizeof source, "subscribe/%s", grant->name);
  if (!any && pd_journal_once(source, WINDOW_MS, uv_now(&gateway->loop), NULL))
    pd_say(PD_LEVEL_WARN, pd_kv_text("msg", "a subscription to nothing that its grant allows"),
           pd_kv_text("key", grant->name), pd_kv_text("its_topics_begin_with", view));
}

/* Are there too many in a short time, or alive at once? */
static bool within_bounds(struct gateway *gateway, const struct grant *grant, bool subscribe) {
  uint64_t now = uv_now(&gateway->loop);
  if (now >= gateway->window_until) {
    gateway->window_until = now + WINDOW_MS;
    for (size_t i = 0; i < GATEWAY_STANDINGS; i++) gateway->standings[i].subscribing = 0;
  }
  if (subscribe) gateway->live_subscriptions++;
  return ++gateway_standing(gateway, grant)->subscribing <= SUBSCRIPTIONS_A_WINDOW &&
         gateway->live_subscriptions <= SUBSCRIPTIONS_ALIVE;
}

/* One message from upstream; false if the socket was closed over it. */
static bool take_upstream(struct gateway *gateway, zmq_msg_t *message) {
  const uint8_t *bytes = zmq_msg_data(message);
  size_t size = zmq_msg_size(message);
  const struct grant *grant = gateway_sender(gateway, message);
  bool right = size > 0 && bytes[0] <= 1 && !zmq_msg_more(message);
  if (!right) {
    gateway_offence(gateway, grant, "a message upstream that is no subscription");
    return false;
  }
  if (bytes[0] == 0 && gateway->live_subscriptions > 0) gateway->live_subscriptions--;
  if (grant == NULL) return true; /* of a connection that has ended, or whose grant is gone */
  if (!within_bounds(gateway, grant, bytes[0] == 1)) {
    gateway_offence(gateway, grant, "subscriptions without end");
    return false;
  }
  take_subscription(gateway, grant, bytes[0] == 1, (const char *)bytes + 1, size - 1);
  return true;
}

void publish_subscriptions(void *context, void *socket) {
  struct gateway *gateway = context;
  zmq_msg_t message;
  (void)zmq_msg_init(&message);
  for (int i = 0; i < 256; i++) {
    if (zmq_msg_recv(&message, socket, ZMQ_DONTWAIT) < 0) break;
    if (!take_upstream(gateway, &message)) break;
  }
  (void)zmq_msg_close(&message);
}

/* ---- events ---- */

static void send_two(struct gateway *gateway, const char *topic, const void *bytes, size_t size) {
  struct pd_frame frames[2] = {{topic, strlen(topic)}, {bytes, size}};
  if (pd_bus_send(gateway->edge[EDGE_EVENTS].socket, frames, 2) != PD_OK)
    pd_metric_add(gateway->counts.bad, 1);
}

/* Does this key hear a view of its own at present? */
static bool has_view(struct gateway *gateway, const struct grant *grant) {
  return grant->redacts > 0 && gateway_standing(gateway, grant)->listens;
}

void publish_event(struct gateway *gateway, enum pd_log log, const struct pd_event_view *event) {
  (void)log;
  pd_metric_add(gateway->counts.events, 1);
  if (!gateway->bound) return; /* nobody is connected */
  send_two(gateway, event->topic, event->bytes, event->size);
  for (uint32_t i = 0; i < gateway->grants->count; i++) {
    const struct grant *grant = &gateway->grants->keys[i];
    if (!has_view(gateway, grant) || !grant_hears(grant, event->topic)) continue;
    char topic[GRANTS_NAME + PD_EVENT_TOPIC];
    snprintf(topic, sizeof topic, "%s/%s", grant->name, event->topic);
    send_two(gateway, topic, gateway->scratch, edge_event_redact(event, grant, gateway->scratch));
  }
}

/* ---- tips ---- */

/* Room for every kind of every log: a kind takes at most 16 bytes. */
#define TIP_MAX (64 + PD_LOGS * (32 + PD_EVENT_KINDS * 16))

static size_t pack_tip(struct gateway *gateway, uint8_t *bytes) {
  static struct pd_kind_tip kinds[PD_LOGS][PD_EVENT_KINDS];
  static struct pd_kind_tip *kind_of[PD_LOGS][PD_EVENT_KINDS];
  struct pd_log_tip logs[PD_LOGS], *log_of[PD_LOGS];
  struct pd_edge_tip tip = PD_EDGE_TIP_INIT;
  tip.shard = gateway_shard(gateway);
  tip.time_ms = gateway->time_ms;
  tip.logs = log_of;
  for (unsigned log = 1; log < PD_LOGS; log++) {
    const struct feed *feed = &gateway->feeds[log];
    if (!feed->known) continue;
    struct pd_log_tip *entry = &logs[log];
    *entry = (struct pd_log_tip)PD_LOG_TIP_INIT;
    entry->log = (enum pd_log)log;
    entry->last_seq = feed->follower.next - 1;
    entry->since = feed->since;
    entry->kinds = kind_of[log];
    for (uint32_t kind = 0; kind < PD_EVENT_KINDS; kind++) {
      if (feed->last_of_kind[kind] == 0) continue;
      struct pd_kind_tip *one = &kinds[log][entry->n_kinds];
      *one = (struct pd_kind_tip)PD_KIND_TIP_INIT;
      one->kind = kind;
      one->last_seq = feed->last_of_kind[kind];
      kind_of[log][entry->n_kinds++] = one;
    }
    log_of[tip.n_logs++] = entry;
  }
  pd_assert(protobuf_c_message_get_packed_size(&tip.base) <= TIP_MAX);
  return protobuf_c_message_pack(&tip.base, bytes);
}

void publish_tip(struct gateway *gateway) {
  uint8_t bytes[TIP_MAX];
  char topic[GRANTS_NAME + 16];
  if (!gateway->bound) return;
  size_t size = pack_tip(gateway, bytes);
  snprintf(topic, sizeof topic, "%06u/tip", gateway_shard(gateway));
  send_two(gateway, topic, bytes, size);
  for (uint32_t i = 0; i < gateway->grants->count; i++) {
    const struct grant *grant = &gateway->grants->keys[i];
    if (!has_view(gateway, grant)) continue;
    snprintf(topic, sizeof topic, "%s/%06u/tip", grant->name, gateway_shard(gateway));
    send_two(gateway, topic, bytes, size);
  }
}
