#include "common/flow/writer.h"

void pd_writer_init(struct pd_writer *writer, uint64_t seq, const struct pd_hash *hash,
                    uint64_t epoch) {
  *writer =
      (struct pd_writer){.depth = PD_WRITER_DEPTH, .seq = seq, .hash = *hash, .epoch = epoch + 1};
}

bool pd_writer_open(const struct pd_writer *writer) {
  return writer->state != PD_WRITER_FENCED && writer->count < writer->depth;
}

static struct pd_packed *slot(struct pd_writer *writer, uint32_t i) {
  return &writer->slots[(writer->head + i) % PD_WRITER_SLOTS];
}

void pd_writer_push(struct pd_writer *writer, const struct pd_packed *packed) {
  pd_assert(pd_writer_open(writer));
  *slot(writer, writer->count) = *packed;
  writer->count++;
}

const struct pd_hash *pd_writer_base(const struct pd_writer *writer) {
  if (writer->count == 0) return &writer->hash;
  return &writer->slots[(writer->head + writer->count - 1) % PD_WRITER_SLOTS].hash;
}

const struct pd_packed *pd_writer_send(struct pd_writer *writer) {
  if (writer->state != PD_WRITER_READY || writer->sent == writer->count) return NULL;
  writer->waiting++;
  return slot(writer, writer->sent++);
}

/* The oldest entry is in the log. */
static void commit_one(struct pd_writer *writer) {
  pd_assert(writer->count > 0 && writer->sent > 0);
  struct pd_packed *done = slot(writer, 0);
  writer->seq = done->head.last_seq;
  writer->hash = done->hash;
  writer->head = (writer->head + 1) % PD_WRITER_SLOTS;
  writer->count--;
  writer->sent--;
}

uint32_t pd_writer_reply(struct pd_writer *writer, enum pd_commit_reply reply) {
  pd_assert(writer->waiting > 0);
  writer->waiting--;
  bool good = reply == PD_COMMIT_OK || reply == PD_COMMIT_DUP;
  if (writer->state == PD_WRITER_READY && good) {
    commit_one(writer);
    return 1;
  }
  writer->state =
      PD_WRITER_DOUBT; /* what follows is settled by the tail, whatever the later replies say */
  return 0;
}

void pd_writer_doubt(struct pd_writer *writer) {
  if (writer->state == PD_WRITER_READY) writer->state = PD_WRITER_DOUBT;
}

bool pd_writer_wants_tail(const struct pd_writer *writer) {
  return writer->state == PD_WRITER_DOUBT && writer->waiting == 0;
}

uint32_t pd_writer_tail(struct pd_writer *writer, uint64_t seq, const struct pd_hash *hash) {
  pd_assert(pd_writer_wants_tail(writer));
  uint32_t committed = 0;
  bool ours = writer->seq == seq && pd_hash_equal(&writer->hash, hash);
  writer->lost = seq < writer->seq || (seq == writer->seq && !ours);
  if (writer->lost) return 0;
  for (uint32_t i = 0; i < writer->sent && !ours; i++) {
    const struct pd_packed *sent = slot(writer, i);
    if (sent->head.last_seq != seq || !pd_hash_equal(&sent->hash, hash)) continue;
    committed = i + 1;
    ours = true;
  }
  writer->state = ours ? PD_WRITER_READY : PD_WRITER_FENCED;
  for (uint32_t i = 0; i < committed; i++) commit_one(writer);
  writer->sent = 0;
  return committed;
}
