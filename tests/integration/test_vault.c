/* The vault on a real Redis: keys are made once, last, and die for good. */
#include "common/io/vault.h"

#include "redis_server.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHARD = 370302 };

struct world {
  uv_loop_t loop;
  struct pd_vault *vault;
  uv_timer_t patience;
  bool late;
  int ups;
  int downs;
  char why[256];
  int answers;
  enum pd_err err;
  bool has_key;
  uint8_t key[PD_KEY_SIZE];
};

static struct redis_server server;
static struct world world;

static void on_state(void *context, bool up, const char *why) {
  struct world *self = context;
  snprintf(self->why, sizeof self->why, "%s", why);
  if (up) {
    self->ups++;
  } else {
    self->downs++;
  }
}

static void on_key(void *context, enum pd_err err, const uint8_t *key) {
  struct world *self = context;
  self->answers++;
  self->err = err;
  self->has_key = key != NULL;
  if (key != NULL) memcpy(self->key, key, PD_KEY_SIZE);
}

static void on_done(void *context, enum pd_err err) {
  struct world *self = context;
  self->answers++;
  self->err = err;
}

static void on_late(uv_timer_t *timer) {
  ((struct world *)timer->data)->late = true;
}

#define run_until(condition)                                                                       \
  do {                                                                                             \
    world.late = false;                                                                            \
    uv_timer_start(&world.patience, on_late, 10000, 0);                                            \
    while (!(condition) && !world.late) uv_run(&world.loop, UV_RUN_ONCE);                          \
    cr_assert(!world.late, "waited 10 s for " #condition " (%s)", world.why);                      \
    uv_timer_stop(&world.patience);                                                                \
  } while (0)

static void open_vault(uint32_t cache) {
  struct pd_redis_options options = {.url = server.url};
  cr_assert_eq(pd_vault_open(&world.vault, &world.loop, &options, SHARD, cache, on_state, &world),
               PD_OK);
}

static void set_up(void) {
  redis_server_start(&server, NULL);
  cr_assert_eq(pd_seal_init(), PD_OK);
  uv_loop_init(&world.loop);
  uv_timer_init(&world.loop, &world.patience);
  world.patience.data = &world;
  open_vault(4);
}

static void tear_down(void) {
  pd_vault_close(world.vault);
  uv_close((uv_handle_t *)&world.patience, NULL);
  cr_expect_eq(uv_run(&world.loop, UV_RUN_DEFAULT), 0);
  cr_expect_eq(uv_loop_close(&world.loop), 0);
  redis_server_end(&server);
}

TestSuite(vault, .init = set_up, .fini = tear_down, .timeout = 60);

static enum pd_err ask(const struct pd_id *person, bool create) {
  int before = world.answers;
  cr_assert_eq(pd_vault_key(world.vault, person, create, on_key, &world), PD_OK);
  run_until(world.answers == before + 1);
  return world.err;
}

static enum pd_err forget(const struct pd_id *person) {
  int before = world.answers;
  cr_assert_eq(pd_vault_forget(world.vault, person, on_done, &world), PD_OK);
  run_until(world.answers == before + 1);
  return world.err;
}

/* Does any file of the server hold these bytes? */
static bool on_disk(const uint8_t *bytes, size_t size) {
  char command[256], path[400];
  static uint8_t content[1 << 20];
  bool found = false;
  snprintf(command, sizeof command, "find %s -type f", server.dir);
  FILE *list = popen(command, "r");
  while (fgets(path, sizeof path, list) != NULL) {
    path[strcspn(path, "\n")] = '\0';
    FILE *file = fopen(path, "r");
    if (file == NULL) continue;
    size_t length = fread(content, 1, sizeof content, file);
    found = found || memmem(content, length, bytes, size) != NULL;
    fclose(file);
  }
  pclose(list);
  return found;
}

Test(vault, a_key_is_made_once_and_stays) {
  struct pd_id person = pd_seal_fresh_id();
  uint8_t first[PD_KEY_SIZE];
  run_until(world.ups == 1);
  cr_expect_eq(ask(&person, false), PD_ENOENT);
  cr_expect(!world.has_key);
  cr_expect_eq(ask(&person, true), PD_OK);
  memcpy(first, world.key, sizeof first);
  cr_expect(on_disk(first, sizeof first), "durable before the callback");
  cr_expect_eq(ask(&person, true), PD_OK);
  cr_expect_arr_eq(world.key, first, sizeof first);
  cr_assert_not_null(pd_vault_cached(world.vault, &person));
  for (int i = 0; i < 10; i++) {
    struct pd_id other = pd_seal_fresh_id();
    cr_expect_eq(ask(&other, true), PD_OK);
    cr_expect_arr_neq(world.key, first, sizeof first);
  }
  cr_expect_null(pd_vault_cached(world.vault, &person), "the cache is bounded");
  cr_expect_eq(ask(&person, false), PD_OK);
  cr_expect_arr_eq(world.key, first, sizeof first);
}

Test(vault, two_daemons_that_make_a_key_at_once_agree) {
  struct pd_id person = pd_seal_fresh_id();
  struct world left = {0};
  struct pd_vault *other;
  struct pd_redis_options options = {.url = server.url};
  cr_assert_eq(pd_vault_open(&other, &world.loop, &options, SHARD, 4, NULL, NULL), PD_OK);
  run_until(world.ups == 1 && pd_vault_is_up(other));
  cr_expect_arr_eq(pd_vault_hash_key(world.vault), pd_vault_hash_key(other), PD_KEY_SIZE);
  cr_assert_eq(pd_vault_key(world.vault, &person, true, on_key, &world), PD_OK);
  cr_assert_eq(pd_vault_key(other, &person, true, on_key, &left), PD_OK);
  run_until(world.answers == 1 && left.answers == 1);
  cr_expect_arr_eq(world.key, left.key, PD_KEY_SIZE);
  pd_vault_close(other);
}

Test(vault, a_forgotten_key_leaves_memory_server_and_disk) {
  struct pd_id person = pd_seal_fresh_id(), other = pd_seal_fresh_id();
  uint8_t dead[PD_KEY_SIZE];
  run_until(world.ups == 1);
  cr_expect_eq(ask(&other, true), PD_OK);
  cr_expect_eq(ask(&person, true), PD_OK);
  memcpy(dead, world.key, sizeof dead);
  cr_expect_eq(forget(&person), PD_OK);
  cr_expect_null(pd_vault_cached(world.vault, &person));
  cr_expect_eq(ask(&person, false), PD_ENOENT);
  uint64_t begin = uv_hrtime();
  while (on_disk(dead, sizeof dead) && uv_hrtime() - begin < 10000000000u)
    uv_run(&world.loop, UV_RUN_NOWAIT), usleep(20000);
  cr_expect(!on_disk(dead, sizeof dead), "the key's bytes are gone from every file");
  cr_expect_eq(forget(&person), PD_OK, "again, as after a restore");
  cr_expect_eq(ask(&other, false), PD_OK, "others stay");
}

Test(vault, an_answer_on_its_way_does_not_bring_a_forgotten_key_back) {
  struct pd_id person = pd_seal_fresh_id();
  run_until(world.ups == 1);
  cr_expect_eq(ask(&person, true), PD_OK);
  for (int i = 0; i < 5; i++) {
    struct pd_id other = pd_seal_fresh_id();
    cr_expect_eq(ask(&other, true), PD_OK);
  }
  int before = world.answers;
  cr_assert_eq(pd_vault_key(world.vault, &person, false, on_key, &world), PD_OK);
  cr_assert_eq(pd_vault_forget(world.vault, &person, on_done, &world), PD_OK);
  run_until(world.answers == before + 2);
  cr_expect_null(pd_vault_cached(world.vault, &person));
}

Test(vault, survives_a_killed_server) {
  struct pd_id person = pd_seal_fresh_id(), other = pd_seal_fresh_id();
  uint8_t first[PD_KEY_SIZE];
  run_until(world.ups == 1);
  cr_expect_eq(ask(&person, true), PD_OK);
  memcpy(first, world.key, sizeof first);
  redis_server_kill(&server);
  cr_assert_eq(pd_vault_key(world.vault, &other, true, on_key, &world), PD_OK);
  run_until(world.downs >= 1 && world.answers == 2);
  cr_expect_eq(world.err, PD_EDOWN);
  cr_expect_eq(pd_vault_key(world.vault, &other, true, on_key, &world), PD_EDOWN);
  cr_expect_not_null(pd_vault_cached(world.vault, &person));
  redis_server_again(&server, NULL);
  run_until(world.ups == 2);
  pd_vault_close(world.vault);
  open_vault(4);
  run_until(world.ups == 3);
  cr_expect_eq(ask(&person, false), PD_OK);
  cr_expect_arr_eq(world.key, first, sizeof first);
}

Test(vault, another_vault_in_its_place_is_refused) {
  char answer[64];
  run_until(world.ups == 1);
  redis_server_cli(&server, "set '{370302}:vault:hashkey' 0123456789abcdef0123456789abcdef", answer,
                   sizeof answer);
  redis_server_kill(&server);
  redis_server_again(&server, NULL);
  run_until(strstr(world.why, "not the same vault") != NULL);
  cr_expect(!pd_vault_is_up(world.vault));
}

Test(vault, needs_no_more_rights_than_its_page_says) {
  char answer[64], path[128];
  snprintf(path, sizeof path, "%s/password", server.dir);
  FILE *file = fopen(path, "w");
  fputs("word\n", file);
  fclose(file);
  redis_server_cli(&server,
                   "acl setuser vault on '>word' '~{370302}:vault*' "
                   "+ping +set +get +hsetnx +hget +hdel +bgrewriteaof",
                   answer, sizeof answer);
  cr_expect_str_eq(answer, "OK");
  struct pd_redis_options options = {.url = server.url, .user = "vault", .password_file = path};
  pd_vault_close(world.vault);
  int ups = world.ups;
  cr_assert_eq(pd_vault_open(&world.vault, &world.loop, &options, SHARD, 4, on_state, &world),
               PD_OK);
  run_until(world.ups == ups + 1);
  struct pd_id person = pd_seal_fresh_id();
  uint8_t dead[PD_KEY_SIZE];
  cr_expect_eq(ask(&person, true), PD_OK);
  memcpy(dead, world.key, sizeof dead);
  cr_expect_eq(forget(&person), PD_OK);
  uint64_t begin = uv_hrtime();
  while (on_disk(dead, sizeof dead) && uv_hrtime() - begin < 10000000000u) {
    uv_run(&world.loop, UV_RUN_NOWAIT);
    usleep(20000);
  }
  cr_expect(!on_disk(dead, sizeof dead));
}

Test(vault, tools_open_and_erase) {
  struct pd_vault_now *now;
  struct pd_redis_options options = {.url = server.url};
  char why[128];
  uint8_t key[PD_KEY_SIZE], hash_key[PD_KEY_SIZE], box[5 + PD_SEAL_EXTRA], plain[5];
  run_until(world.ups == 1);
  cr_assert_eq(pd_vault_now_open(&now, &options, SHARD, why, sizeof why), PD_OK, "%s", why);
  cr_expect_eq(pd_vault_hash_key_now(now, hash_key), PD_OK);
  cr_expect_arr_eq(hash_key, pd_vault_hash_key(world.vault), PD_KEY_SIZE);
  struct pd_seal_place place = {
      .shard = SHARD, .person = pd_seal_fresh_id(), .record = pd_seal_fresh_id(), .field = "note"};
  cr_expect_eq(pd_vault_key_now(now, &place.person, false, key), PD_ENOENT);
  cr_assert_eq(pd_vault_key_now(now, &place.person, true, key), PD_OK);
  cr_assert_eq(pd_seal(key, &place, (const uint8_t *)"hello", 5, box), PD_OK);
  cr_expect_eq(pd_vault_unseal_now(now, &place, box, sizeof box, plain), PD_OK);
  cr_expect_arr_eq(plain, "hello", 5);
  cr_expect_eq(pd_vault_forget_now(now, &place.person), PD_OK);
  cr_expect(!on_disk(key, sizeof key), "the rewrite was waited for");
  cr_expect_eq(pd_vault_unseal_now(now, &place, box, sizeof box, plain), PD_ENOENT);
  struct pd_id many[50];
  for (int i = 0; i < 50; i++) {
    many[i] = pd_seal_fresh_id();
    cr_assert_eq(pd_vault_key_now(now, &many[i], true, key), PD_OK);
  }
  cr_expect(on_disk(key, sizeof key));
  cr_expect_eq(pd_vault_forget_all_now(now, many, 50), PD_OK);
  cr_expect(!on_disk(key, sizeof key));
  pd_vault_now_close(now);
}
