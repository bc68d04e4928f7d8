/* whatif_parts - what whatif's files share: the record, and the counting of what came of it. */
#ifndef PAIDAN_WHATIF_PARTS_H
#define PAIDAN_WHATIF_PARTS_H

#include "services/paidan/whatif.h"

enum whatif_mood { WHATIF_UNKNOWN, WHATIF_YES, WHATIF_NO, WHATIF_SILENT };

/* An event as it was recorded. */
struct whatif_fact {
  uint8_t *bytes; /* owned */
  int64_t time_ms;
  uint64_t seq;
  uint32_t size;
  enum pd_log log;
};

/* An offer of the record, and what became of it. */
struct whatif_past {
  uint64_t order;
  uint64_t offer;
  int64_t made_ms;
  int64_t after_ms; /* the answer, after so long */
  uint32_t person;
  enum whatif_mood mood;
};

/* Somebody withdrew. */
struct whatif_withdrawal {
  uint64_t order;
  int64_t time_ms;
  uint32_t person;
  uint32_t zero;
};

struct whatif_record {
  struct pd_shard shard;
  int64_t since_ms;
  int64_t until_ms;
  struct whatif_fact *facts; /* sorted by time when playing */
  size_t fact_count, fact_room;
  struct whatif_past *past; /* by order, then person, when playing */
  size_t past_count, past_room;
  struct whatif_withdrawal *withdrawals;
  size_t withdrawal_count, withdrawal_room;
  size_t *past_of; /* by offer: its place in past while adding, plus 1 */
  size_t past_of_room;
  uint8_t *kinds; /* by order */
  size_t kind_room;
  int64_t *delays; /* of answers, as they came */
  size_t delay_count, delay_room;
  struct whatif_rate rates[MATCHING_KINDS];
  struct whatif_setting setting;
  struct ids people;
  struct tally *tally; /* of what is recorded */
  bool sorted;
  bool zero[7];
};

/* ---- counting ---- */

struct tally;

/* Counts of the orders placed from since_ms until before until_ms; people is shared, and grows. */
struct tally *tally_new(struct ids *people, int64_t since_ms, int64_t until_ms);
void tally_free(struct tally *tally); /* NULL-safe */

/* Count one event of intake or matching. */
void tally_event(struct tally *tally, const struct pd_event *event);

/* Sum it up. */
struct whatif_figures tally_figures(const struct tally *tally);

#endif
