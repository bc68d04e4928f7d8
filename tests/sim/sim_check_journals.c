/* What the clients and the subscriber wrote down, against the logs: P1, P2, P9. */
#include "tests/sim/sim.h"

#include <stdlib.h>
#include <string.h>

/* P9: the subscriber saw every event once and in order. */
static void check_ears(struct sim *sim) {
  for (unsigned log = 1; log < PD_LOGS; log++) {
    size_t heard = 0;
    for (size_t i = 0; i < sim->logs[log].count; i++) {
      const struct sim_entry *entry = &sim->logs[log].entries[i];
      struct pd_entry_view view;
      struct pd_entry_item item;
      sim_expect(sim, pd_entry_open(entry->bytes, entry->size, &view) == PD_OK, "P9 open");
      for (size_t at = 0; pd_entry_next(&view, &at, &item);) {
        if (item.log != PD_LOG_UNSPECIFIED) continue;
        if (heard == sim->ears.count[log]) break;
        sim_expect(sim, sim->ears.journal[log][heard] == sim_hash(0, item.event, item.size),
                   "P9 the subscriber heard something else at %s %zu", pd_log_name(log), heard + 1);
        heard++;
      }
    }
    sim_expect(sim, heard == sim->ears.count[log] && heard == sim_store_last(sim, log),
               "P9 the subscriber heard %zu of %llu of %s", sim->ears.count[log],
               (unsigned long long)sim_store_last(sim, log), pd_log_name(log));
  }
}

struct keyed {
  struct pd_id key;
  const struct pd_event *event;
};

static int by_key(const void *a, const void *b) {
  return memcmp(((const struct keyed *)a)->key.bytes, ((const struct keyed *)b)->key.bytes, 16);
}

static struct keyed *find_key(struct keyed *keys, size_t count, const struct pd_id *key) {
  struct keyed wanted = {.key = *key};
  return bsearch(&wanted, keys, count, sizeof *keys, by_key);
}

/* The person that an event of the registry made or is about. */
static ProtobufCBinaryData person_in(const struct pd_event *event) {
  if (event->body_case == PD_EVENT_VOLUNTEER_REGISTERED) return event->volunteer_registered->person;
  if (event->body_case == PD_EVENT_RESIDENT_REGISTERED) return event->resident_registered->person;
  if (event->body_case == PD_EVENT_PERSON_ERASED) return event->person_erased->person;
  if (event->body_case == PD_EVENT_ORDER_PLACED) return event->order_placed->requester;
  if (event->body_case == PD_EVENT_SERVICE_STARTED) return event->service_started->volunteer;
  return (ProtobufCBinaryData){0};
}

static void check_ack(struct sim *sim, const struct sim_history *history,
                      const struct sim_command *command) {
  sim_expect(sim, command->seq >= 1 && command->seq <= history->count[PD_LOG_INTAKE],
             "P1 command %llu was acked at %llu, which is not in the log",
             (unsigned long long)command->number, (unsigned long long)command->seq);
  const struct pd_event *event = history->events[PD_LOG_INTAKE][command->seq - 1];
  bool ours = event->origin != NULL;
  if (ours) {
    struct pd_id key = PD_ID(event->origin->key), body = PD_ID(event->origin->body);
    ours = pd_id_equal(&key, &command->key) && pd_id_equal(&body, &command->body) &&
           strcmp(event->origin->principal, command->principal) == 0;
  }
  sim_expect(sim, ours, "P1 command %llu was acked at %llu, which is another's",
             (unsigned long long)command->number, (unsigned long long)command->seq);
  if (event->body_case == PD_EVENT_ORDER_PLACED)
    sim_expect(sim, command->id == event->order_placed->order, "P2 the ack names another order");
  ProtobufCBinaryData person = person_in(event);
  struct pd_id id = PD_ID(person);
  if (person.len > 0)
    sim_expect(sim, pd_id_equal(&id, &command->person), "P2 the ack names another person");
}

/* P2: a key binds one command, with one body. */
static void check_keys(struct sim *sim, const struct sim_history *history) {
  size_t count = 0;
  struct keyed *keys = calloc(history->count[PD_LOG_INTAKE] + 1, sizeof *keys);
  pd_assert(keys != NULL);
  for (size_t i = 0; i < history->count[PD_LOG_INTAKE]; i++) {
    const struct pd_event *event = history->events[PD_LOG_INTAKE][i];
    if (event->origin != NULL)
      keys[count++] = (struct keyed){.key = PD_ID(event->origin->key), .event = event};
  }
  qsort(keys, count, sizeof *keys, by_key);
  for (size_t i = 1; i < count; i++)
    sim_expect(sim, by_key(&keys[i - 1], &keys[i]) != 0, "P2 one key, two commands: %llu and %llu",
               (unsigned long long)keys[i - 1].event->seq, (unsigned long long)keys[i].event->seq);
  for (size_t i = 0; i < sim->command_count; i++) {
    const struct sim_command *command = &sim->commands[i];
    const struct keyed *found = find_key(keys, count, &command->key);
    if (command->answer == SIM_ACKED) check_ack(sim, history, command);
    if (command->answer != SIM_REFUSED || found == NULL) continue;
    struct pd_id body = PD_ID(found->event->origin->body);
    bool other = !pd_id_equal(&body, &command->body);
    sim_expect(sim, other || command->spoiled || command->sent > 1,
               "P2 command %llu was refused with code %d, and is in the log",
               (unsigned long long)command->number, (int)command->code);
  }
  free(keys);
}

void sim_check_journals(struct sim *sim, const struct sim_history *history) {
  check_ears(sim);
  check_keys(sim, history);
}
