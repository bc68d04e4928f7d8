/* follow - every event that a key may hear, once and in order, through restarts of either side.
 *
 *     follow tcp://127.0.0.1:5670 SERVER_KEY app.key_secret CURSOR_FILE [TOPIC…]
 *
 * Prints "LOG SEQ NAME" of each; topics are prefixes of names, "order_".  Without a cursor file yet
 * it begins with each log's first event.  Ends on SIGINT and SIGTERM; run again, it goes on from
 * the cursor file.
 */
#include <inttypes.h>
#include <paidan-client.h>
#include <signal.h>
#include <stdio.h>

static volatile sig_atomic_t stopped;

static void on_signal(int number) {
  (void)number;
  stopped = 1;
}

/* Look into one kind of event; all others are printed by name alone. */
static void print(const struct paidan_event *event) {
  printf("%s %" PRIu64 " %s", event->log_name, event->seq, event->name);
  Paidan__V1__Event *message = paidan_unpack(event);
  if (message != NULL && message->body_case == PAIDAN__V1__EVENT__BODY_ORDER_PLACED)
    printf(" order %" PRIu64, message->order_placed->order);
  if (message != NULL) paidan__v1__event__free_unpacked(message, NULL);
  putchar('\n');
  fflush(stdout);
}

static int follow(struct paidan_events *events) {
  const struct paidan_event *event;
  while (!stopped) {
    int code = paidan_next(events, &event, 200);
    if (code < 0) return code;
    if (code == PAIDAN_GAP)
      printf("%s %" PRIu64 "-%" PRIu64 " cannot be had any more\n", event->log_name, event->from,
             event->to);
    if (code == PAIDAN_OK) print(event);
  }
  fprintf(stderr, "follow: %" PRIu64 " events came by replay\n", paidan_healed(events));
  return paidan_save(events);
}

int main(int argc, char **argv) {
  if (argc < 5) {
    fprintf(stderr, "usage: follow tcp://HOST:PORT SERVER_KEY KEY_FILE CURSOR_FILE [TOPIC...]\n");
    return 64;
  }
  struct paidan *paidan;
  struct paidan_events *events;
  struct paidan_options options = PAIDAN_OPTIONS_INIT;
  options.edge = argv[1];
  options.server_key = argv[2];
  options.key_file = argv[3];
  struct paidan_events_options wanted = PAIDAN_EVENTS_OPTIONS_INIT;
  wanted.cursor_file = argv[4];
  wanted.topics = (const char *const *)argv + 5;
  wanted.topic_count = (size_t)argc - 5;
  wanted.from = PAIDAN_FROM_START;
  (void)signal(SIGINT, on_signal);
  (void)signal(SIGTERM, on_signal);
  int code = paidan_open(&paidan, &options);
  if (code == PAIDAN_OK) code = paidan_listen(&events, paidan, &wanted);
  if (code == PAIDAN_OK) code = follow(events);
  if (code != PAIDAN_OK) fprintf(stderr, "follow: %s\n", paidan_why(paidan));
  paidan_close(paidan);
  return code == PAIDAN_OK ? 0 : 1;
}
