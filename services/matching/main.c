/* paidan-matching - who is invited to take an order. */
#include "common/io/journal.h"
#include "common/io/shell.h"
#include "services/matching/matching_core.h"
#include "services/matching/policy.h"
#include "services/matching/policy_file.h"

#include <signal.h>

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

/* A district has one matcher in a process, so what is beside its core may stand here. */
struct matcher {
  struct pd_shell *shell;
  const char *path;
  struct matching_rules rules;
  uv_signal_t hangup;
  bool readable;
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
  if (!matcher->readable || pd_shell_turn(matcher->shell)->self == NULL) return;
  matching_propose(pd_shell_turn(matcher->shell)->self, &matcher->rules);
  pd_shell_wake(matcher->shell);
}

static void on_hangup(uv_signal_t *signal, int number) {
  (void)number;
  struct matcher *matcher = signal->data;
  read_rules(matcher);
  propose(matcher);
}

static enum pd_err open_matcher(struct pd_shell *shell, const void *config, void **context) {
  static struct matcher matcher;
  matcher.shell = shell;
  matcher.path = ((const struct matching_config *)config)->rules_file;
  *context = &matcher;
  if (uv_signal_init(pd_shell_loop(shell), &matcher.hangup) != 0) return PD_EIO;
  matcher.hangup.data = &matcher;
  read_rules(&matcher);
  return uv_signal_start(&matcher.hangup, on_hangup, SIGHUP) == 0 ? PD_OK : PD_EIO;
}

static void lead(void *context) { propose(context); }

static void close_matcher(void *context) {
  struct matcher *matcher = context;
  uv_close((uv_handle_t *)&matcher->hangup, NULL);
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
