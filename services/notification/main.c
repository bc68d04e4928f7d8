/* paidan-notification - tells everybody concerned. */
#include "common/io/journal.h"
#include "services/notification/dispatch.h"

#include <stdio.h>
#include <string.h>

enum sink_choice { SINK_FILE, SINK_WEBHOOK };

struct config {
  struct pd_common_config common;
  uint32_t sink; /* enum sink_choice */
  bool message_file_sync;
  bool quiet_hours;
  char quiet_from[6];
  char quiet_to[6];
  char message_file[256];
  char webhook_url[1024];
  char webhook_token_file[256];
  uint64_t webhook_connections;
  uint64_t webhook_attempts;
};

/* "22:00" into minutes of the day, -1 if it is anything else. */
static int32_t minutes_of(const char *text) {
  unsigned hour, minute;
  char rest;
  if (strlen(text) != 5 || sscanf(text, "%2u:%2u%c", &hour, &minute, &rest) != 2) return -1;
  return hour < 24 && minute < 60 ? (int32_t)(hour * 60 + minute) : -1;
}

static const char *check_clock(const char *text) {
  return minutes_of(text) >= 0 ? NULL : "must be a time of day such as 22:00";
}

#define AT(member) offsetof(struct config, member)

static const struct pd_setting settings[] = {
    {.name = "sink",
     .kind = PD_SETTING_CHOICE,
     .offset = AT(sink),
     .choices = "file|webhook",
     .fallback = "file",
     .help = "Where messages go."},
    {.name = "message_file",
     .kind = PD_SETTING_TEXT,
     .offset = AT(message_file),
     .size = 256,
     .help = "JSON lines are appended to it (sink file); SIGHUP opens it anew. "
             "Default: messages.jsonl in data_dir."},
    {.name = "message_file_sync",
     .kind = PD_SETTING_BOOL,
     .offset = AT(message_file_sync),
     .fallback = "true",
     .help = "Wait for the disk before a batch of messages counts as sent."},
    {.name = "webhook_url",
     .kind = PD_SETTING_TEXT,
     .offset = AT(webhook_url),
     .size = 1024,
     .help =
         "Each message is POSTed to it as JSON (sink webhook): https, or http to this machine."},
    {.name = "webhook_token_file",
     .kind = PD_SETTING_TEXT,
     .offset = AT(webhook_token_file),
     .size = 256,
     .help = "Its first line is sent as a bearer token."},
    {.name = "webhook_connections",
     .kind = PD_SETTING_UINT,
     .offset = AT(webhook_connections),
     .min = 1,
     .max = 256,
     .fallback = "16",
     .help = "POSTs under way at once."},
    {.name = "webhook_attempts",
     .kind = PD_SETTING_UINT,
     .offset = AT(webhook_attempts),
     .min = 1,
     .max = 20,
     .fallback = "6",
     .help =
         "Attempts for one message, after 1, 4, 16, 64 and then 256 s, until it counts as failed."},
    {.name = "quiet_hours",
     .kind = PD_SETTING_BOOL,
     .offset = AT(quiet_hours),
     .fallback = "false",
     .help = "Keep back what is not urgent between quiet_from and quiet_to."},
    {.name = "quiet_from",
     .kind = PD_SETTING_TEXT,
     .offset = AT(quiet_from),
     .size = 6,
     .fallback = "22:00",
     .check = check_clock,
     .help = "Local time at which quiet hours begin."},
    {.name = "quiet_to",
     .kind = PD_SETTING_TEXT,
     .offset = AT(quiet_to),
     .size = 6,
     .fallback = "07:00",
     .check = check_clock,
     .help = "Local time at which quiet hours end."},
};

static const void *policy_of(const void *values) {
  static struct notification_policy policy;
  const struct config *config = values;
  policy = (struct notification_policy){.quiet = config->quiet_hours};
  policy.quiet_from_min = (uint32_t)minutes_of(config->quiet_from);
  policy.quiet_to_min = (uint32_t)minutes_of(config->quiet_to);
  return &policy;
}

/* The first line of the file; false if it cannot be read. */
static bool read_token(const char *path, char *token, size_t size) {
  token[0] = '\0';
  if (path[0] == '\0') return true;
  FILE *file = fopen(path, "r");
  bool read = file != NULL && fgets(token, (int)size, file) != NULL;
  if (file != NULL) fclose(file);
  token[strcspn(token, "\r\n")] = '\0';
  return read;
}

static enum pd_err make_file(const struct config *config, const struct pd_shard *shard,
                             sink_done *done, void *context, struct sink **sink) {
  char path[512];
  if (config->message_file[0] != '\0')
    snprintf(path, sizeof path, "%s", config->message_file);
  else
    snprintf(path, sizeof path, "%s/messages.jsonl", config->common.data_dir);
  struct sink_file_options options = {.path = path,
                                      .sync = config->message_file_sync,
                                      .shard = shard->code,
                                      .zone_min = shard->zone_min};
  enum pd_err err = sink_file_open(&options, done, context, sink);
  if (err != PD_OK)
    pd_say(PD_LEVEL_ERROR, pd_kv_text("msg", "message_file cannot be opened for appending"),
           pd_kv_text("path", path));
  return err;
}

static enum pd_err make_webhook(const struct config *config, const struct pd_shard *shard,
                                uv_loop_t *loop, sink_done *done, void *context,
                                struct sink **sink) {
  char token[512];
  if (!read_token(config->webhook_token_file, token, sizeof token)) {
    pd_say(PD_LEVEL_ERROR, pd_kv_text("msg", "webhook_token_file cannot be read"));
    return PD_EINVAL;
  }
  struct sink_webhook_options options = sink_webhook_defaults;
  options.url = config->webhook_url;
  options.token = token;
  options.shard = shard->code;
  options.zone_min = shard->zone_min;
  options.connections = (uint32_t)config->webhook_connections;
  options.attempts = (uint32_t)config->webhook_attempts;
  enum pd_err err = sink_webhook_open(loop, &options, done, context, sink);
  if (err == PD_EINVAL)
    pd_say(PD_LEVEL_ERROR,
           pd_kv_text("msg", "webhook_url must be https, or http to a loopback address"));
  return err;
}

static enum pd_err make_sink(const void *values, struct pd_seat *seat, sink_done *done,
                             void *context, struct sink **sink) {
  const struct config *config = values;
  const struct pd_shard *shard = pd_seat_shard(seat);
  if (config->sink == SINK_FILE) return make_file(config, shard, done, context, sink);
  return make_webhook(config, shard, pd_shell_loop(pd_seat_shell(seat)), done, context, sink);
}

static enum pd_err open_dispatch(struct pd_seat *seat, const void *config, void **context) {
  struct dispatch_maker maker = {.config = config, .make = make_sink};
  struct dispatch *dispatch = NULL;
  enum pd_err err = dispatch_open(seat, &maker, &dispatch);
  *context = dispatch;
  return err;
}

int main(int argc, char **argv) {
  const struct pd_service service = {
      .core = &notification_core,
      .linger_ms = 20,
      .niceness = 5,
      .summary = "Tells residents, volunteers and sites what concerns them.",
      .settings = settings,
      .settings_count = sizeof settings / sizeof settings[0],
      .config_size = sizeof(struct config),
      .policy = policy_of,
      .open = open_dispatch,
      .lead = dispatch_lead,
      .rest = dispatch_rest,
      .round = dispatch_round,
      .emitted = dispatch_emitted,
      .unready = dispatch_unready,
      .close = dispatch_close,
  };
  return pd_shell_main(argc, argv, &service);
}
