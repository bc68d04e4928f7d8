/* paidan-intake - the one door for commands, and the registry. */
#include "services/intake/door.h"
#include "services/intake/intake_core.h"

static enum pd_err start(struct pd_shell *shell, void **shared) {
  struct doors *doors = NULL;
  enum pd_err err = doors_open(shell, &doors);
  *shared = doors;
  return err;
}

static void stop(void *shared) { doors_close(shared); }

static enum pd_err open_door(struct pd_seat *seat, const void *config, void **context) {
  (void)config;
  struct door *door = NULL;
  enum pd_err err = door_open(seat, &door);
  *context = door;
  return err;
}

static void lead(void *context) { door_lead(context); }
static void rest(void *context) { door_rest(context); }
static void beat(void *context) { door_beat(context); }
static void run_round(void *context) { door_round(context); }
static void send_reply(void *context, uint64_t token, const uint8_t *bytes, size_t size) {
  door_reply(context, token, bytes, size);
}
static void emitted(void *context, const struct pd_event *event) { door_emitted(context, event); }
static void committed(void *context, const struct pd_packed *packed) {
  door_committed(context, packed);
}
static const char *unready(void *context) { return door_unready(context); }
static void close_door(void *context) { door_close(context); }

int main(int argc, char **argv) {
  const struct pd_service service = {
      .core = &intake_core,
      .summary = "Checks every command, keeps the registry and the life of every order.",
      .config_size = sizeof(struct pd_common_config),
      .start = start,
      .stop = stop,
      .open = open_door,
      .lead = lead,
      .rest = rest,
      .beat = beat,
      .round = run_round,
      .reply = send_reply,
      .emitted = emitted,
      .committed = committed,
      .unready = unready,
      .close = close_door,
  };
  return pd_shell_main(argc, argv, &service);
}
