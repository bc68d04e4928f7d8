#include "tests/fuzz/fake_shell.h"

#include "common/io/vault.h"
#include "tests/fuzz/fuzz.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <zmq.h>

#define KEYS 256
#define QUESTIONS 4096

/* ---- randomness ---- */

static uint64_t random_count, random_person;

static const char *random_name(void) { return "fuzz"; }
static uint32_t random_word(void) { return (uint32_t)++random_count; }

static void random_bytes(void *const bytes, const size_t size) {
  struct pd_id id = fuzz_person(random_person);
  if (random_person != 0 && size == sizeof id) {
    memcpy(bytes, id.bytes, size);
    random_person = 0;
    return;
  }
  uint64_t number = UINT64_C(1) << 40 | ++random_count;
  memset(bytes, 0, size);
  memcpy(bytes, &number, size < sizeof number ? size : sizeof number);
}

void fake_random_person(uint64_t number) { random_person = number; }

void fake_random_reset(void) {
  static randombytes_implementation fake = {
      .implementation_name = random_name, .random = random_word, .buf = random_bytes};
  if (random_count == 0) (void)randombytes_set_implementation(&fake);
  random_count = 1;
  random_person = 0;
}

/* ---- vault ---- */

struct pd_vault {
  pd_vault_state_fn *state;
  void *context;
};

struct question {
  struct pd_id person;
  bool create;
  pd_vault_fn *done;
  void *context;
};

static struct pd_vault vault;
static const uint8_t secret[PD_KEY_SIZE] = {1, 2, 3};
static struct pd_id keys[KEYS];
static size_t key_count, question_count;
static struct question questions[QUESTIONS];

static bool has_key(const struct pd_id *person) {
  for (size_t i = 0; i < key_count; i++)
    if (pd_id_equal(&keys[i], person)) return true;
  return false;
}

void fake_vault_reset(void) { key_count = question_count = 0; }

static void answer(const struct question *question, bool away) {
  if (!away && question->create && !has_key(&question->person) && key_count < KEYS)
    keys[key_count++] = question->person;
  bool there = has_key(&question->person);
  enum pd_err err = away ? PD_EDOWN : there ? PD_OK : PD_ENOENT;
  question->done(question->context, err, err == PD_OK ? secret : NULL);
}

void fake_vault_answer(bool away) {
  static struct question now[QUESTIONS];
  size_t count = question_count;
  memcpy(now, questions, count * sizeof *now);
  question_count = 0;
  for (size_t i = 0; i < count; i++) answer(&now[i], away);
}

enum pd_err pd_vault_open(struct pd_vault **made, uv_loop_t *loop,
                          const struct pd_redis_options *options, uint32_t shard, uint32_t cache,
                          pd_vault_state_fn *state, void *context) {
  (void)loop, (void)options, (void)shard, (void)cache;
  vault = (struct pd_vault){state, context};
  *made = &vault;
  return PD_OK;
}

void pd_vault_close(struct pd_vault *closed) { (void)closed; }

const uint8_t *pd_vault_hash_key(const struct pd_vault *of) {
  (void)of;
  return secret;
}

const uint8_t *pd_vault_cached(struct pd_vault *of, const struct pd_id *person) {
  (void)of;
  return has_key(person) ? secret : NULL;
}

enum pd_err pd_vault_key(struct pd_vault *of, const struct pd_id *person, bool create,
                         pd_vault_fn *done, void *context) {
  (void)of;
  if (question_count == QUESTIONS) return PD_EDOWN;
  questions[question_count++] = (struct question){*person, create, done, context};
  return PD_OK;
}

enum pd_err pd_vault_forget(struct pd_vault *of, const struct pd_id *person,
                            pd_vault_done_fn *done, void *context) {
  (void)of;
  for (size_t i = 0; i < key_count; i++)
    if (pd_id_equal(&keys[i], person)) keys[i] = keys[--key_count];
  if (done != NULL) done(context, PD_OK);
  return PD_OK;
}

/* ---- shell ---- */

struct pd_shell {
  uv_loop_t loop;
  struct pd_turn *turn;
  struct pd_metrics *metrics;
  struct pd_common_config config;
  void *zmq;
};

static struct pd_shell shell;

struct pd_shell *fake_shell(struct pd_turn *turn) {
  shell.turn = turn;
  if (shell.metrics != NULL) return &shell;
  enum pd_err err = pd_metrics_open(&shell.metrics);
  pd_assert(err == PD_OK && uv_loop_init(&shell.loop) == 0);
  shell.zmq = zmq_ctx_new();
  shell.config.shard = FUZZ_SHARD;
  return &shell;
}

void fake_shell_wait(uint64_t ms) { shell.loop.time += ms; }

uv_loop_t *pd_shell_loop(struct pd_shell *of) { return &of->loop; }
void *pd_shell_zmq(struct pd_shell *of) { return of->zmq; }
struct pd_turn *pd_shell_turn(struct pd_shell *of) { return of->turn; }
struct pd_metrics *pd_shell_metrics(struct pd_shell *of) { return of->metrics; }
const struct pd_common_config *pd_shell_config(struct pd_shell *of) { return &of->config; }
void pd_shell_wake(struct pd_shell *of) { (void)of; }

bool pd_shell_leading(const struct pd_shell *of) {
  (void)of;
  return true;
}

/* The path of a file that is there, so that its mode can be set. */
bool pd_shell_endpoint(const char *run_dir, const char *name, const char *kind, char *text) {
  static int fd = -1;
  (void)run_dir, (void)name, (void)kind;
  if (fd < 0) fd = memfd_create("socket", MFD_CLOEXEC);
  int wrote = snprintf(text, PD_ENDPOINT, "ipc:///proc/self/fd/%d", fd);
  return fd >= 0 && wrote > 0 && wrote < PD_ENDPOINT;
}
