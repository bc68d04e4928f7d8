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
  struct pd_metrics *metrics;
  struct pd_common_config config;
  void *zmq;
  void *shared;
};

struct pd_seat {
  struct pd_turn *turn;
  void *context;
};

static struct pd_shell shell;
static struct pd_seat seat;

struct pd_seat *fake_seat(struct pd_turn *turn) {
  seat.turn = turn;
  if (shell.metrics != NULL) return &seat;
  enum pd_err err = pd_metrics_open(&shell.metrics);
  pd_assert(err == PD_OK && uv_loop_init(&shell.loop) == 0);
  shell.zmq = zmq_ctx_new();
  shell.config.shard = FUZZ_SHARD;
  return &seat;
}

void fake_shell_shared(void *shared) { shell.shared = shared; }
void fake_seat_context(void *context) { seat.context = context; }
void fake_shell_wait(uint64_t ms) { shell.loop.time += ms; }

uv_loop_t *pd_shell_loop(struct pd_shell *of) { return &of->loop; }
void *pd_shell_zmq(struct pd_shell *of) { return of->zmq; }
struct pd_metrics *pd_shell_metrics(struct pd_shell *of) { return of->metrics; }
const struct pd_common_config *pd_shell_config(struct pd_shell *of) { return &of->config; }
const char *pd_shell_folder(struct pd_shell *of) { return of->config.run_dir; }
void pd_shell_wake(struct pd_shell *of) { (void)of; }

uint32_t pd_shell_seats(const struct pd_shell *of) {
  (void)of;
  return 1;
}

struct pd_seat *pd_shell_seat(struct pd_shell *of, uint32_t number) {
  pd_assert(of == &shell && number == 0);
  return &seat;
}

struct pd_shell *pd_seat_shell(struct pd_seat *of) {
  (void)of;
  return &shell;
}

struct pd_turn *pd_seat_turn(struct pd_seat *of) { return of->turn; }
void *pd_seat_context(struct pd_seat *of) { return of->context; }
void pd_seat_wake(struct pd_seat *of) { (void)of; }

const struct pd_shard *pd_seat_shard(const struct pd_seat *of) {
  return &of->turn->config.shard;
}

void *pd_seat_shared(struct pd_seat *of) {
  (void)of;
  return shell.shared;
}

bool pd_seat_leading(const struct pd_seat *of) {
  (void)of;
  return true;
}

const char *pd_seat_elsewhere(const struct pd_seat *of, const char **instance) {
  (void)of, (void)instance;
  return NULL;
}

/* The path of a file that is there, so that its mode can be set. */
bool pd_shell_endpoint(const char *folder, const char *name, const char *kind, char *text) {
  static int fd = -1;
  (void)folder, (void)name, (void)kind;
  if (fd < 0) fd = memfd_create("socket", MFD_CLOEXEC);
  int wrote = snprintf(text, PD_ENDPOINT, "ipc:///proc/self/fd/%d", fd);
  return fd >= 0 && wrote > 0 && wrote < PD_ENDPOINT;
}
