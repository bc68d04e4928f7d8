/* Snapshots of a seat's turn: read at boot, written by a forked child, so that the loop does not
 * wait for the disk. */
#include "common/io/journal.h"
#include "common/io/shell_state.h"
#include "common/io/snapshot.h"

#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define IMAGE_SALT 1 /* raise when the meaning of an image changes */
#define REST_FACTOR 19 /* a snapshot is followed by so many times its time without one */

static void describe(struct pd_seat *seat, struct pd_snapshot *snapshot, size_t length) {
  const struct pd_core *core = seat->shell->service->core;
  *snapshot = (struct pd_snapshot){.shard = seat->shard.code, .log = core->log};
  snapshot->layout = pd_snapshot_layout(core->name, &pd_limits_district, length, IMAGE_SALT);
}

bool pd_seat_restore(struct pd_seat *seat) {
  size_t length;
  uint8_t *image = pd_arena_image(&seat->turn.state, &length);
  struct pd_snapshot want, have;
  char why[160];
  describe(seat, &want, length);
  const char *name = seat->shell->service->core->name;
  enum pd_err err =
      pd_snapshot_read(seat->shell->data_dir, name, &want, &have, image, length, why, sizeof why);
  if (err == PD_ENOENT) return true;
  if (err != PD_OK) {
    seat_say(seat, PD_LEVEL_WARN, pd_kv_text("msg", "snapshot is ignored, the log is replayed"),
             pd_kv_text("why", why));
    return false;
  }
  struct pd_turn_position position = {
      .seq = have.last_seq, .epoch = have.epoch, .now_ms = have.time_ms};
  memcpy(position.hash.bytes, have.hash, sizeof position.hash.bytes);
  memcpy(position.last_of_kind, have.last_of_kind, sizeof position.last_of_kind);
  for (unsigned log = 1; log < PD_LOGS; log++) position.next[log] = have.upto[log] + 1;
  pd_turn_resume(&seat->turn, &position);
  seat->snapshot_seq = have.last_seq;
  if (seat->acked_seq <= have.last_seq) seat->acked_seq = 0; /* it is in the snapshot */
  memcpy(seat->snapshot_next, position.next, sizeof seat->snapshot_next);
  return true;
}

bool pd_seat_snapshot_old(const struct pd_seat *seat) {
  const struct pd_turn *turn = &seat->turn;
  uint64_t every = seat->shell->common->snapshot_every;
  every += every / 8 * seat->shell->service->core->log; /* not all daemons at the same moment */
  if (seat->snapshot_pid != 0 || uv_now(&seat->shell->loop) < seat->snapshot_rest) return false;
  bool old = turn->writer.seq - seat->snapshot_seq >= every;
  for (unsigned log = 1; log < PD_LOGS && !old; log++)
    old = turn->inputs[log].next >= seat->snapshot_next[log] + every;
  return every > 0 && old;
}

static enum pd_err write_now(struct pd_seat *seat) {
  size_t length;
  uint8_t *image = pd_arena_image(&seat->turn.state, &length);
  struct pd_snapshot snapshot;
  struct pd_turn_position position;
  describe(seat, &snapshot, length);
  pd_turn_position(&seat->turn, &position);
  snapshot.last_seq = position.seq;
  snapshot.epoch = position.epoch;
  snapshot.time_ms = position.now_ms;
  memcpy(snapshot.hash, position.hash.bytes, sizeof snapshot.hash);
  memcpy(snapshot.last_of_kind, position.last_of_kind, sizeof snapshot.last_of_kind);
  for (unsigned log = 1; log < PD_LOGS; log++) snapshot.upto[log] = position.next[log] - 1;
  const char *name = seat->shell->service->core->name;
  return pd_snapshot_write(seat->shell->data_dir, name, &snapshot, image, length);
}

/* A child that still writes would share its file with us. */
static void end_child(struct pd_seat *seat) {
  if (seat->snapshot_pid == 0) return;
  kill(seat->snapshot_pid, SIGKILL);
  waitpid(seat->snapshot_pid, NULL, 0);
  seat->snapshot_pid = 0;
}

/* In the child: run only when a processor has nothing else to do, and map what was never written in
 * one go, since most of a district's tables is empty and would cost a page fault for each 4 KiB. */
static void give_way(struct pd_seat *seat) {
  const struct sched_param none = {.sched_priority = 0};
  size_t length;
  uint8_t *image = pd_arena_image(&seat->turn.state, &length);
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)image & ~(page - 1);
  (void)sched_setscheduler(0, SCHED_IDLE, &none);
  (void)madvise((void *)from, (uintptr_t)image + length - from, MADV_POPULATE_READ);
}

void pd_seat_save(struct pd_seat *seat, bool in_child) {
  end_child(seat);
  seat->snapshot_due = false;
  seat->snapshot_seq = seat->turn.writer.seq;
  for (unsigned log = 1; log < PD_LOGS; log++)
    seat->snapshot_next[log] = seat->turn.inputs[log].next;
  pid_t child = in_child ? fork() : -1;
  if (child > 0) {
    seat->snapshot_pid = child;
    seat->snapshot_at = uv_now(&seat->shell->loop);
    pd_seat_wake(seat); /* feeding goes on */
    return;
  }
  /* If the parent dies, its successor must find lock and ports free, and its peers must notice. */
  if (child == 0) close_range(STDERR_FILENO + 1, ~0U, 0);
  if (child == 0) give_way(seat);
  enum pd_err err = write_now(seat);
  if (child == 0) _exit(err == PD_OK ? 0 : 1);
  if (err != PD_OK)
    seat_say(seat, PD_LEVEL_WARN, pd_kv_text("msg", "no snapshot was written"),
             pd_kv_text("why", pd_err_text(err)));
}

void pd_seat_reap(struct pd_seat *seat) {
  int status = 0;
  if (seat->snapshot_pid == 0 || waitpid(seat->snapshot_pid, &status, WNOHANG) == 0) return;
  seat->snapshot_pid = 0;
  uint64_t now = uv_now(&seat->shell->loop);
  seat->snapshot_rest = now + REST_FACTOR * (now - seat->snapshot_at);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    seat_say(seat, PD_LEVEL_WARN, pd_kv_text("msg", "no snapshot was written"),
             pd_kv_text("why", "see the disk"));
}
