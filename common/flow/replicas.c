#include "common/flow/replicas.h"

enum pd_replicas_verdict pd_replicas_judge(uint32_t want, int have) {
  pd_assert(want > 0);
  if (have < 0) return PD_REPLICAS_BROKEN;
  return (uint32_t)have >= want ? PD_REPLICAS_ENOUGH : PD_REPLICAS_SHORT;
}

bool pd_replicas_hold_commit(uint32_t want, enum pd_commit_reply reply) {
  return want > 0 && (reply == PD_COMMIT_OK || reply == PD_COMMIT_DUP);
}

bool pd_replicas_hold_tail(uint32_t want, uint64_t tail_seq) {
  return want > 0 && tail_seq > 0;
}

bool pd_replicas_hold_read(uint32_t want, uint64_t safe, uint64_t from) {
  return want > 0 && safe < from;
}

uint64_t pd_replicas_limit(uint32_t want, uint64_t safe) {
  return want > 0 ? safe : UINT64_MAX;
}
