#include "common/base/calendar.h"
#include "services/paidan/view.h"

static json_t *skills_json(uint64_t mask) {
  json_t *list = json_array();
  char name[PROTO_NAME];
  for (int skill = 1; skill < 64; skill++) {
    if ((mask >> skill & 1) == 0) continue;
    json_array_append_new(list,
                          json_string(proto_enum(&paidan__v1__skill__descriptor, skill, name)));
  }
  return list;
}

static json_t *id_json(const struct pd_id *id) {
  char text[PD_ID_TEXT];
  return json_string(pd_id_is_zero(id) ? "" : pd_id_text(id, text));
}

static json_t *time_json(int64_t time_ms, int32_t zone_min) {
  char text[PD_TIME_TEXT];
  return time_ms == 0 ? json_string("") : json_string(pd_time_text(time_ms, zone_min, text));
}

static const char *const slot_states[] = {"free", "booked", "started", "finished", "confirmed"};

static json_t *slot_json(const struct view_slot *slot, size_t number, int32_t zone_min) {
  return json_pack("{s:i, s:s, s:o, s:I, s:i, s:o, s:o}", "slot", (int)number, "state",
                   slot_states[slot->state], "volunteer", id_json(&slot->volunteer), "offer",
                   (json_int_t)slot->offer, "minutes", (int)slot->minutes, "start",
                   time_json(slot->start_ms, zone_min), "end", time_json(slot->end_ms, zone_min));
}

static json_t *offer_json(const struct view_offer *offer, uint64_t number, int32_t zone_min) {
  char reason[PROTO_NAME];
  const char *state = offer->open ? "open" : offer->won ? "won" : "closed";
  proto_enum(&paidan__v1__reason__descriptor, (int)offer->reason, reason);
  return json_pack("{s:I, s:i, s:o, s:s, s:s, s:i, s:o, s:o}", "offer", (json_int_t)number, "wave",
                   (int)offer->wave, "volunteer", id_json(&offer->volunteer), "state", state,
                   "reason", offer->open || offer->won ? "" : reason, "distance_m",
                   (int)offer->distance_m, "made", time_json(offer->made_ms, zone_min),
                   "expires_at", time_json(offer->expires_at_ms, zone_min));
}

static void set_names(json_t *json, const struct view_order *order) {
  char name[PROTO_NAME];
  json_object_set_new(
      json, "state",
      json_string(proto_enum(&paidan__v1__order_state__descriptor, (int)order->state, name)));
  json_object_set_new(
      json, "kind",
      json_string(proto_enum(&paidan__v1__order_kind__descriptor, (int)order->kind, name)));
  json_object_set_new(
      json, "urgency",
      json_string(proto_enum(&paidan__v1__urgency__descriptor, (int)order->urgency, name)));
  json_object_set_new(
      json, "channel",
      json_string(proto_enum(&paidan__v1__channel__descriptor, (int)order->channel, name)));
  const char *level =
      order->level == 0 ? ""
                        : proto_enum(&paidan__v1__site_level__descriptor, (int)order->level, name);
  json_object_set_new(json, "escalated", json_string(level));
}

json_t *view_order_json(const struct view *view, const struct view_order *order,
                        const struct tool *tool) {
  int32_t zone = tool->zone_min;
  const struct view_site *site = view_site(view, order->site);
  json_t *slots = json_array(), *offers = json_array();
  for (size_t i = 0; i < order->n_slots; i++)
    json_array_append_new(slots, slot_json(&order->slots[i], i + 1, zone));
  for (size_t i = 0; i < order->offer_count; i++) {
    const struct view_offer *offer = view_offer(view, order->offers[i]);
    if (offer != NULL) json_array_append_new(offers, offer_json(offer, order->offers[i], zone));
  }
  json_t *json = json_pack(
      "{s:I, s:s, s:o, s:s, s:i, s:i, s:i, s:b, s:o, s:o, s:o, s:o, s:o, s:{s:i, s:i}, s:i, s:o, "
      "s:o}",
      "order", (json_int_t)order->number, "category", order->category, "requester",
      id_json(&order->requester), "site", site == NULL ? "" : site->ref, "need", (int)order->need,
      "minutes", (int)order->minutes, "waves", (int)order->waves, "sensitive", order->sensitive,
      "skills", skills_json(order->skills), "placed", time_json(order->placed_ms, zone), "changed",
      time_json(order->changed_ms, zone), "window_start", time_json(order->window_start_ms, zone),
      "window_end", time_json(order->window_end_ms, zone), "cell", "x", (int)order->cell_x, "y",
      (int)order->cell_y, "stars", (int)order->stars, "slots", slots, "offers", offers);
  set_names(json, order);
  return json;
}

json_t *view_person_json(const struct view *view, const struct view_person *person) {
  static const char *const states[] = {"active", "paused", "exited", "erased"};
  char age[PROTO_NAME];
  const struct view_site *site = view_site(view, person->site);
  json_t *hours = json_array();
  for (int day = 0; day < 7; day++)
    json_array_append_new(hours, json_integer(person->available[day]));
  proto_enum(&paidan__v1__age_band__descriptor, (int)person->age, age);
  return json_pack(
      "{s:o, s:s, s:b, s:b, s:s, s:i, s:s, s:o, s:o, s:i, s:i, s:b, s:b, s:{s:i, s:i}, s:I, s:I, "
      "s:i, s:i, s:i, s:i}",
      "person", id_json(&person->id), "state", states[person->state], "volunteer",
      person->volunteer, "resident", person->resident, "site", site == NULL ? "" : site->ref,
      "branch", (int)person->branch, "age", age, "skills", skills_json(person->skills), "available",
      hours, "radius_m", (int)person->radius_m, "max_per_week", (int)person->max_per_week, "vetted",
      person->vetted, "emergency", person->emergency, "cell", "x", (int)person->cell_x, "y",
      (int)person->cell_y, "minutes", (json_int_t)person->minutes, "points",
      (json_int_t)person->points, "star", (int)person->star, "offers", (int)person->offers,
      "booked", (int)person->booked, "served", (int)person->served);
}
