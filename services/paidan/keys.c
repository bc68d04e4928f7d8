/* key new, key grant, key revoke, key list: who may come through the edge. */
#include "services/paidan/keys.h"

#include "services/gateway/grants.h"
#include "common/io/keyfile.h"
#include "services/paidan/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define TELL_TRIES 100
#define TELL_MS 20

/* A path inside DATA_DIR/edge, in a buffer of TOOL_PATH bytes; returns buffer. */
static char *edge_path(const struct tool *tool, const char *name, char *buffer) {
  (void)snprintf(buffer, TOOL_PATH, "%.160s/edge/%.80s", tool->data_dir, name);
  return buffer;
}

static enum pd_err make_folders(const struct tool *tool) {
  char path[TOOL_PATH];
  (void)snprintf(path, sizeof path, "%.200s/edge", tool->data_dir);
  enum pd_err err = tool_make_dir(path, 0700);
  return err == PD_OK ? tool_make_dir(edge_path(tool, "keys", path), 0700) : err;
}

/* ---- pairs ---- */

/* Make DIR/NAME.key_secret and DIR/NAME.key.  PD_EEXIST: one of them is there. */
static enum pd_err make_pair(const char *base, const char *name, struct pd_keyfile *keys) {
  char secret[TOOL_PATH + 16], open[TOOL_PATH + 16];
  (void)snprintf(secret, sizeof secret, "%s.key_secret", base);
  (void)snprintf(open, sizeof open, "%s.key", base);
  if (access(open, F_OK) == 0) return PD_EEXIST;
  if (!pd_keyfile_make(keys, name)) return PD_EIO;
  enum pd_err err = pd_keyfile_write(keys, secret, true);
  return err == PD_OK ? pd_keyfile_write(keys, open, false) : err;
}

enum pd_err keys_prepare(const struct tool *tool) {
  struct pd_keyfile keys;
  char path[TOOL_PATH];
  enum pd_err err = make_folders(tool);
  if (err == PD_OK) err = make_pair(edge_path(tool, "server", path), "server", &keys);
  sodium_memzero(&keys, sizeof keys);
  if (err == PD_EEXIST) err = PD_OK;
  if (err == PD_OK && access(edge_path(tool, "grants.yaml", path), F_OK) != 0)
    err = tool_write_file(path, 0600,
                          "# `paidan key new NAME`, then `paidan key grant NAME`.\n"
                          "keys: []\n");
  return err;
}

static int check_name(struct tool *tool, const char *name) {
  struct grant probe;
  const char *wrong = grant_set_name(&probe, name);
  return wrong == NULL ? 0 : tool_usage(tool, wrong);
}

static void say_new(struct tool *tool, const struct pd_keyfile *keys, const char *base) {
  struct pd_keyfile server;
  char path[TOOL_PATH];
  if (pd_keyfile_read(edge_path(tool, "server.key", path), &server) != PD_OK)
    server = (struct pd_keyfile){0};
  out_text(&tool->out, "key of %s: %s", keys->name, keys->public_key);
  out_text(&tool->out, "hand over: %s.key_secret (keep it secret), and the edge's public key %s",
           base, server.public_key);
  out_text(&tool->out, "then grant: paidan key grant %s --hear %06u --roles resident", keys->name,
           tool->shard);
  char secret[TOOL_PATH + 16];
  (void)snprintf(secret, sizeof secret, "%s.key_secret", base);
  out_object(&tool->out,
             json_pack("{s:s, s:s, s:s, s:s}", "name", keys->name, "public_key", keys->public_key,
                       "secret_file", secret, "server_key", server.public_key));
}

static int cmd_new(struct tool *tool) {
  const char *name = tool->args.words[0], *folder = args_get(&tool->args, "dir");
  char file[80], base[TOOL_PATH];
  struct pd_keyfile keys;
  int code = tool_need_shard(tool);
  if (code == 0) code = check_name(tool, name);
  if (code != 0) return code;
  (void)snprintf(file, sizeof file, "keys/%s", name);
  edge_path(tool, file, base);
  if (folder != NULL && snprintf(base, sizeof base, "%s/%s", folder, name) >= (int)sizeof base)
    return tool_usage(tool, "--dir is too long");
  enum pd_err err = keys_prepare(tool);
  if (err == PD_OK) err = make_pair(base, name, &keys);
  sodium_memzero(keys.secret_key, sizeof keys.secret_key);
  if (err == PD_OK) {
    say_new(tool, &keys, base);
    return 0;
  }
  if (err == PD_EEXIST)
    return out_failf(&tool->out, PD_EXIT_FAULT, "there is a key of that name",
                     "choose another name, or remove its two files", "%s.key", base);
  return out_failf(&tool->out, PD_EXIT_CONFIG, "the key cannot be written",
                   "name another folder with --dir", "%s: %s", base, strerror(errno));
}

/* ---- grants ---- */

/* The grants file under a lock, so that two tools do not undo each other. */
struct book {
  struct grants *grants;
  int lock;
  uint32_t zero;
  char path[TOOL_PATH];
};

static int open_book(struct tool *tool, struct book *book) {
  char why[512], path[TOOL_PATH];
  *book = (struct book){.lock = -1, .grants = calloc(1, sizeof *book->grants)};
  int code = tool_need_shard(tool);
  if (code != 0) return code;
  if (book->grants == NULL || keys_prepare(tool) != PD_OK)
    return out_fail(&tool->out, PD_EXIT_CONFIG, "the edge's folder cannot be made", strerror(errno),
                    NULL);
  book->lock = open(edge_path(tool, "grants.lock", path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (book->lock >= 0) (void)flock(book->lock, LOCK_EX);
  edge_path(tool, "grants.yaml", book->path);
  enum pd_err err = grants_load(book->path, book->grants, why, sizeof why);
  if (err == PD_OK) return 0;
  return out_fail(&tool->out, PD_EXIT_CONFIG, "the grants file cannot be read", why,
                  "correct that line");
}

static void close_book(struct book *book) {
  if (book->lock >= 0) close(book->lock);
  free(book->grants);
}

/* How often the edge has taken a grants file; negative: it does not run here. */
static double count_reloads(const struct tool *tool) {
  char path[TOOL_PATH], *body = NULL;
  long status = 0;
  double value = -1;
  if (probe_get(tool_path(tool, "gateway.http", path), "/metrics", &status, &body) == PD_OK &&
      !probe_metric(body, "paidan_edge_reloads_total", &value))
    value = -1;
  free(body);
  return value;
}

/* Let the edge read the grants file, and wait until it has. */
static bool tell_edge(const struct tool *tool) {
  char path[TOOL_PATH];
  double before = count_reloads(tool);
  char *text = tool_read_file(tool_path(tool, "gateway.pid", path));
  long pid = text == NULL ? 0 : strtol(text, NULL, 10);
  free(text);
  if (before < 0 || pid <= 1 || kill((pid_t)pid, SIGHUP) != 0) return false;
  for (int i = 0; i < TELL_TRIES; i++) {
    if (count_reloads(tool) > before) return true;
    usleep(TELL_MS * 1000);
  }
  return false;
}

/* Write it, and tell a running edge to read it.  *told: there was one, and it has. */
static int save_book(struct tool *tool, struct book *book, bool *told) {
  char *text = grants_render(book->grants);
  enum pd_err err = text == NULL ? PD_EIO : tool_write_file(book->path, 0600, text);
  free(text);
  if (err != PD_OK)
    return out_fail(&tool->out, PD_EXIT_CONFIG, "the grants file cannot be written",
                    strerror(errno), NULL);
  *told = tell_edge(tool);
  return 0;
}

/* Every entry of a list that is separated by commas. */
static int add_all(struct tool *tool, struct grant *grant, const char *list) {
  const char *given = args_get(&tool->args, list);
  char text[4096], why[256];
  if (given == NULL) return 0;
  if (snprintf(text, sizeof text, "%s", given) >= (int)sizeof text)
    return tool_usage(tool, "a list is too long");
  char *rest = NULL;
  for (char *entry = strtok_r(text, ",", &rest); entry != NULL;
       entry = strtok_r(NULL, ",", &rest)) {
    const char *wrong = grant_add(grant, list, entry);
    if (wrong == NULL) continue;
    (void)snprintf(why, sizeof why, "--%s %s: %s", list, entry, wrong);
    return tool_usage(tool, why);
  }
  return 0;
}

/* The public key: --public-key, or that of the pair made here. */
static int set_key(struct tool *tool, struct grant *grant, const char *name) {
  const char *text = args_get(&tool->args, "public-key");
  struct pd_keyfile keys;
  char file[80], path[TOOL_PATH];
  (void)snprintf(file, sizeof file, "keys/%s.key", name);
  if (text == NULL) {
    if (pd_keyfile_read(edge_path(tool, file, path), &keys) != PD_OK)
      return out_failf(&tool->out, PD_EXIT_USAGE, "there is no key of that name",
                       "make one with `paidan key new`, or name a --public-key", "%s", path);
    text = keys.public_key;
  }
  const char *wrong = grant_set_key(grant, text);
  return wrong == NULL ? 0 : tool_usage(tool, wrong);
}

static int fill_grant(struct tool *tool, struct grant *grant, const char *name) {
  static const char *const lists[] = {"roles", "hear", "redact", "publish"};
  int code = check_name(tool, name);
  if (code != 0) return code;
  (void)grant_set_name(grant, name);
  code = set_key(tool, grant, name);
  for (size_t i = 0; i < 4 && code == 0; i++) code = add_all(tool, grant, lists[i]);
  return code;
}

static int put_grant(struct tool *tool, struct grants *grants, const struct grant *grant) {
  const struct grant *same = grants_keyed(grants, grant->key);
  if (same != NULL && strcmp(same->name, grant->name) != 0)
    return out_fail(&tool->out, PD_EXIT_FAULT, "the key is granted under another name", same->name,
                    "use that name, or revoke it first");
  uint32_t at = 0;
  while (at < grants->count && strcmp(grants->keys[at].name, grant->name) != 0) at++;
  if (at == GRANTS_KEYS)
    return out_fail(&tool->out, PD_EXIT_FAULT, "the grants file is full", "256 keys", NULL);
  grants->keys[at] = *grant;
  if (at == grants->count) grants->count++;
  return 0;
}

static void say_saved(struct tool *tool, const char *name, const char *done, bool told) {
  out_text(&tool->out, "%s %s%s", name, done,
           told ? "; the edge has taken it" : "; no edge here has taken it: it will at its start");
  out_object(&tool->out, json_pack("{s:s, s:b}", "name", name, "in_force", told));
}

static int cmd_grant(struct tool *tool) {
  const char *name = tool->args.words[0];
  struct book book;
  bool told = false;
  struct grant *grant = calloc(1, sizeof *grant);
  int code = open_book(tool, &book);
  if (code == 0 && grant != NULL) code = fill_grant(tool, grant, name);
  if (code == 0 && grant != NULL) code = put_grant(tool, book.grants, grant);
  if (code == 0) code = save_book(tool, &book, &told);
  if (code == 0) say_saved(tool, name, "is granted", told);
  free(grant);
  close_book(&book);
  return code;
}

static int cmd_revoke(struct tool *tool) {
  const char *name = tool->args.words[0];
  struct book book;
  bool told = false;
  int code = open_book(tool, &book);
  const struct grant *grant = code == 0 ? grants_named(book.grants, name) : NULL;
  if (code == 0 && grant == NULL)
    code = out_fail(&tool->out, PD_EXIT_FAULT, "no key of that name is granted", name,
                    "`paidan key list` shows them");
  if (code == 0) {
    size_t at = (size_t)(grant - book.grants->keys);
    size_t behind = book.grants->count - at - 1;
    memmove(&book.grants->keys[at], &book.grants->keys[at + 1], behind * sizeof *grant);
    book.grants->count--;
    code = save_book(tool, &book, &told);
  }
  if (code == 0) say_saved(tool, name, "is not granted any more", told);
  close_book(&book);
  return code;
}

/* ---- list ---- */

static json_t *list_json(const char (*entries)[GRANTS_TEXT], uint32_t count) {
  json_t *list = json_array();
  for (uint32_t i = 0; i < count; i++) json_array_append_new(list, json_string(entries[i]));
  return list;
}

static void cell_list(struct out_table *table, const char (*entries)[GRANTS_TEXT], uint32_t count) {
  char text[GRANTS_LIST * GRANTS_TEXT] = "";
  size_t used = 0;
  for (uint32_t i = 0; i < count; i++)
    used +=
        (size_t)snprintf(text + used, sizeof text - used, "%s%s", i == 0 ? "" : " ", entries[i]);
  out_cell(table, "%s", text);
}

static void say_grant(struct tool *tool, struct out_table *table, const struct grant *grant) {
  char view[GRANTS_NAME + 1], roles[64] = "";
  size_t used = 0;
  json_t *role_list = json_array();
  grant_view(grant, view);
  for (unsigned bit = 0; grant_role_name(bit) != NULL; bit++) {
    if ((grant->roles & 1u << bit) == 0) continue;
    used += (size_t)snprintf(roles + used, sizeof roles - used, "%s%s", used == 0 ? "" : " ",
                             grant_role_name(bit));
    json_array_append_new(role_list, json_string(grant_role_name(bit)));
  }
  out_cell(table, "%s", grant->name);
  out_cell(table, "%s", grant->key_text);
  out_cell(table, "%s", roles);
  cell_list(table, grant->hear, grant->hears);
  out_cell(table, "%s", view);
  cell_list(table, grant->redact, grant->redacts);
  cell_list(table, grant->publish, grant->publishes);
  out_object(&tool->out, json_pack("{s:s, s:s, s:o, s:o, s:s, s:o, s:o}", "name", grant->name,
                                   "public_key", grant->key_text, "roles", role_list, "hear",
                                   list_json(grant->hear, grant->hears), "view", view, "redact",
                                   list_json(grant->redact, grant->redacts), "publish",
                                   list_json(grant->publish, grant->publishes)));
}

static int cmd_list(struct tool *tool) {
  static const char *const heads[] = {"name", "public key", "roles",     "hears",
                                      "view", "redacted",   "publishes", NULL};
  struct book book;
  struct pd_keyfile server = {0};
  char path[TOOL_PATH];
  int code = open_book(tool, &book);
  if (code == 0) {
    struct out_table table;
    if (pd_keyfile_read(edge_path(tool, "server.key", path), &server) == PD_OK)
      out_text(&tool->out, "the edge's public key: %s   at %s", server.public_key,
               tool->edge[0] == '\0' ? "(not started: paidan up --edge)" : tool->edge);
    out_table_begin(&table, heads);
    for (uint32_t i = 0; i < book.grants->count; i++)
      say_grant(tool, &table, &book.grants->keys[i]);
    out_table_end(&table, &tool->out);
  }
  close_book(&book);
  return code;
}

static const struct option_row new_options[] = {
    {"dir", "DIR", "where its two files go (default DATA_DIR/edge/keys)"},
    {NULL, NULL, NULL},
};
static const struct option_row grant_options[] = {
    {"roles", "LIST", "doors whose commands it may say: resident,volunteer,site,ops"},
    {"hear", "LIST",
     "what it may hear: adcode prefixes, maybe with a kind: 3703,370302/order_placed"},
    {"redact", "LIST", "fields that it does not see: order_placed.note,event.origin"},
    {"publish", "LIST", "types that it may publish: ext.charity.meal,ext.charity.news*"},
    {"public-key", "KEY", "its public key in Z85 (default: that of the pair made by key new)"},
    {NULL, NULL, NULL},
};

const struct command key_commands[] = {
    {"key new", "NAME", "Makes a CURVE key pair for a program that comes through the edge.",
     "paidan key new charity", new_options, 1, 1, cmd_new},
    {"key grant", "NAME", "Says what a key may do; a running edge takes it at once.",
     "paidan key grant charity --hear 370302/order_placed --redact order_placed.note",
     grant_options, 1, 1, cmd_grant},
    {"key revoke", "NAME", "Takes a grant back; connections are dropped, the others come back.",
     "paidan key revoke charity", NULL, 1, 1, cmd_revoke},
    {"key list", "", "Shows the grants and the edge's public key; never a secret one.",
     "paidan key list", NULL, 0, 0, cmd_list},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
