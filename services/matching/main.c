/* paidan-matching - who is invited to take an order. */
#include "common/io/journal.h"
#include "common/io/shell.h"
#include "services/matching/matching_core.h"
#include "services/matching/policy.h"
#include "services/matching/policy_file.h"

#include <signal.h>
#include <stdlib.h>

#define FIGURES_MS 1000

struct matching_config {
  struct pd_common_config common;
  char rules_file[256];
};

static const struct pd_setting settings[] = {
    {.name = "rules_file",
     .kind = PD_SETTING_TEXT,
     .offset = offsetof(struct matching_config, rules_file),
     .size = sizeof((struct matching_config *)0)->rules_file,
     .help = "YAML file with the district's rules; SIGHUP reads it anew. "
             "Empty: the rules that the log has adopted, or the defaults."},
};

/* What is beside the core of a district. */
struct matcher {
  struct pd_seat *seat;
  const char *path;
  struct matching_rules rules;
  uv_signal_t hangup;
  uv_timer_t second;
  struct pd_metric *active;
  struct pd_metric *never_invited;
  struct pd_metric *longest_wait;
  struct pd_metric *gini;
  struct pd_metric *orders_open;
  struct pd_metric *orders_without_offer;
  bool readable;
  uint8_t closing; /* handles that are still to be closed */
};

/* Refused rules change nothing: the ones that the log has adopted stay in force. */
static void read_rules(struct matcher *matcher) {
  char why[256] = "";
  if (matcher->path[0] == '\0') return;
  matcher->readable = policy_read(matcher->path, &matcher->rules, why, sizeof why) == PD_OK;
  if (!matcher->readable) {
    pd_say(PD_LEVEL_ERROR, pd_kv_text("msg", "the rules file is refused; the old rules stay"),
           pd_kv_text("why", why));
  }
}

static void propose(struct matcher *matcher) {
  if (!matcher->readable || !pd_seat_leading(matcher->seat)) return;
  matching_propose(pd_seat_turn(matcher->seat)->self, &matcher->rules);
  pd_seat_wake(matcher->seat);
}

static void on_hangup(uv_signal_t *signal, int number) {
  (void)number;
  struct matcher *matcher = signal->data;
  read_rules(matcher);
  propose(matcher);
}

static struct pd_metric *gauge(struct matcher *matcher, const char *name, const char *help) {
  char text[PD_SEAT_LABELS];
  struct pd_metrics *metrics = pd_shell_metrics(pd_seat_shell(matcher->seat));
  return pd_metrics_gauge(metrics, name, help, pd_seat_labels(matcher->seat, NULL, text));
}

static void make_metrics(struct matcher *matcher) {
  matcher->active =
      gauge(matcher, "paidan_volunteers_active", "Volunteers who may be invited.");
  matcher->never_invited = gauge(matcher, "paidan_volunteers_never_invited",
                                 "Active volunteers who have never had an offer.");
  matcher->longest_wait = gauge(matcher, "paidan_volunteer_longest_wait_seconds",
                                "Longest time since an active volunteer's last offer.");
  matcher->gini = gauge(matcher, "paidan_load_gini_ratio",
                        "Spread of recent offers: 0 all alike, 1 one has all.");
  matcher->orders_open =
      gauge(matcher, "paidan_orders_open", "Orders with a free slot and time left.");
  matcher->orders_without_offer = gauge(matcher, "paidan_orders_without_offer",
                                        "Open orders to which nobody is invited at present.");
}

static void on_second(uv_timer_t *timer) {
  const struct matcher *matcher = timer->data;
  if (!pd_seat_leading(matcher->seat)) return;
  const struct pd_turn *turn = pd_seat_turn(matcher->seat);
  struct matching_figures figures = matching_figures(turn->self, turn->now_ms);
  pd_metric_set(matcher->active, (double)figures.active);
  pd_metric_set(matcher->never_invited, (double)figures.never_invited);
  pd_metric_set(matcher->longest_wait, (double)figures.longest_wait_ms / 1000);
  pd_metric_set(matcher->gini, figures.load_gini_permille / 1000.0);
  pd_metric_set(matcher->orders_open, (double)figures.orders_open);
  pd_metric_set(matcher->orders_without_offer, (double)figures.orders_without_offer);
}

static enum pd_err open_matcher(struct pd_seat *seat, const void *config, void **context) {
  struct matcher *matcher = calloc(1, sizeof *matcher);
  uv_loop_t *loop = pd_shell_loop(pd_seat_shell(seat));
  if (matcher == NULL) return PD_EIO;
  matcher->seat = seat;
  matcher->path = ((const struct matching_config *)config)->rules_file;
  *context = matcher;
  if (uv_signal_init(loop, &matcher->hangup) != 0) return PD_EIO;
  if (uv_timer_init(loop, &matcher->second) != 0) return PD_EIO;
  matcher->hangup.data = matcher->second.data = matcher;
  make_metrics(matcher);
  if (uv_timer_start(&matcher->second, on_second, FIGURES_MS, FIGURES_MS) != 0) return PD_EIO;
  read_rules(matcher);
  return uv_signal_start(&matcher->hangup, on_hangup, SIGHUP) == 0 ? PD_OK : PD_EIO;
}

static void lead(void *context) { propose(context); }

static void on_closed(uv_handle_t *handle) {
  struct matcher *matcher = handle->data;
  if (--matcher->closing == 0) free(matcher);
}

static void close_matcher(void *context) {
  struct matcher *matcher = context;
  matcher->closing = 2;
  uv_close((uv_handle_t *)&matcher->hangup, on_closed);
  uv_close((uv_handle_t *)&matcher->second, on_closed);
}

int main(int argc, char **argv) {
  const struct pd_service service = {
      .core = &matching_core,
      .summary = "Invites volunteers to orders in waves; the first acceptance wins a slot.",
      .settings = settings,
      .settings_count = sizeof settings / sizeof settings[0],
      .config_size = sizeof(struct matching_config),
      .open = open_matcher,
      .lead = lead,
      .close = close_matcher,
  };
  return pd_shell_main(argc, argv, &service);
}
