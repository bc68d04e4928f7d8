/* The verifier of one log's chain: entries are packed as a daemon packs them, then harmed. */
#include "services/paidan/verify.h"

#include <criterion/criterion.h>
#include <string.h>

#define SHARD 370302u

static char faults[1024];
static struct verify_chain chain;
static uint8_t memory[8][4096];
static struct pd_packed packed;
static int entries;

static void on_fault(void *context, enum pd_log log, uint64_t seq, const char *what) {
  (void)context, (void)log, (void)seq;
  strncat(faults, what, sizeof faults - strlen(faults) - 1);
  strncat(faults, "\n", sizeof faults - strlen(faults) - 1);
}

static const struct verify_sink sink = {.fault = on_fault};

static void begin(void) {
  faults[0] = '\0';
  entries = 0;
  verify_chain_init(&chain, &sink, PD_LOG_MATCHING, SHARD);
}

TestSuite(chain, .init = begin);

/* How an entry differs from a right one; zero: not at all. */
struct harm {
  uint64_t first; /* its first seq */
  uint64_t epoch;
  uint64_t mark;       /* of intake's log */
  uint64_t stored_seq; /* its id */
  int64_t time_ms;
  bool unlinked;
};

/* The next entry with two events. */
static void walk(struct harm harm) {
  struct pd_packer packer;
  struct pd_entry_head head = {
      .shard = SHARD, .log = PD_LOG_MATCHING, .epoch = 1, .prev = chain.hash};
  head.first_seq = harm.first != 0 ? harm.first : chain.last_seq + 1;
  head.last_seq = head.first_seq + 1;
  head.time_ms = harm.time_ms != 0 ? harm.time_ms : 1000 * (entries + 1);
  if (harm.epoch != 0) head.epoch = harm.epoch;
  if (harm.unlinked) head.prev.bytes[0] ^= 1;
  pd_packer_init(&packer, memory[entries++], sizeof memory[0]);
  if (harm.mark != 0) pd_pack_mark(&packer, PD_LOG_INTAKE, harm.mark);
  for (uint64_t seq = head.first_seq; seq <= head.last_seq; seq++) {
    struct pd_event event = PD_EVENT_INIT;
    struct pd_order_staffed body = PD_ORDER_STAFFED_INIT;
    event.log = PD_LOG_MATCHING;
    event.seq = seq;
    event.prev = seq - 1;
    event.shard = SHARD;
    event.body_case = PD_EVENT_ORDER_STAFFED;
    event.order_staffed = &body;
    pd_pack_event(&packer, &event);
  }
  pd_pack_end(&packer, &head, &packed);
  struct pd_entry_view view;
  cr_assert_eq(pd_entry_open(packed.bytes, packed.size, &view), PD_OK);
  struct pd_stored stored = {.last_seq = harm.stored_seq != 0 ? harm.stored_seq : head.last_seq,
                             .epoch = head.epoch,
                             .bytes = packed.bytes,
                             .size = packed.size,
                             .hash = packed.hash.bytes};
  verify_chain_entry(&chain, &stored, &view);
}

static void expect(const char *what) { cr_assert_str_eq(faults, what); }

Test(chain, finds_nothing_wrong_with_a_whole_log) {
  walk((struct harm){.mark = 5});
  walk((struct harm){.mark = 5});
  walk((struct harm){.mark = 9, .epoch = 2});
  const uint64_t tails[PD_LOGS] = {0, 9, 6, 0, 0, 0};
  verify_chain_end(&chain, tails);
  expect("");
}

Test(chain, finds_an_entry_that_does_not_name_the_one_before) {
  walk((struct harm){0});
  walk((struct harm){.unlinked = true});
  expect("the entry does not name the hash of the one before\n");
}

Test(chain, finds_a_missing_entry) {
  walk((struct harm){0});
  walk((struct harm){.first = 5});
  expect("seq 3 is expected here\n");
}

Test(chain, finds_an_epoch_and_a_time_that_fall) {
  walk((struct harm){.epoch = 3, .time_ms = 5000});
  walk((struct harm){.epoch = 2, .time_ms = 4000});
  expect("the epoch falls from 3 to 2\nthe time falls\n");
}

Test(chain, finds_a_mark_that_falls_or_goes_beyond_the_end) {
  walk((struct harm){.mark = 7});
  walk((struct harm){.mark = 6});
  expect("the mark of intake falls from 7 to 6\n");
  faults[0] = '\0';
  const uint64_t tails[PD_LOGS] = {0, 5, 4, 0, 0, 0};
  verify_chain_end(&chain, tails);
  expect("it had consumed intake up to 6, which ends at 5\n");
}

Test(chain, finds_an_entry_under_another_id) {
  walk((struct harm){.stored_seq = 9});
  expect("the entry ends with 2, its id says otherwise\n");
}

Test(chain, takes_a_log_whose_beginning_was_trimmed) {
  walk((struct harm){.first = 101});
  walk((struct harm){0});
  expect("");
}

Test(chain, finds_an_event_that_says_it_is_another) {
  struct pd_event event = PD_EVENT_INIT;
  struct pd_order_staffed body = PD_ORDER_STAFFED_INIT;
  event.log = PD_LOG_MATCHING;
  event.seq = 2;
  event.shard = SHARD;
  event.body_case = PD_EVENT_ORDER_STAFFED;
  event.order_staffed = &body;
  verify_chain_event(&chain, 1, &event);
  expect("an event that says it is matching 2 of shard 370302\n");
}
