/* Snapshots of a shell's turn: read at boot, written by a forked child, so that the loop does not
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

static void describe(struct pd_shell *shell, struct pd_snapshot *snapshot, size_t length) {
  const struct pd_core *core = shell->service->core;
  *snapshot = (struct pd_snapshot){.shard = shell->shard.code, .log = core->log};
  snapshot->layout = pd_snapshot_layout(core->name, &pd_limits_district, length, IMAGE_SALT);
}

bool pd_shell_restore(struct pd_shell *shell) {
  size_t length;
  uint8_t *image = pd_arena_image(&shell->turn.state, &length);
  struct pd_snapshot want, have;
  char why[160];
  describe(shell, &want, length);
  const char *name = shell->service->core->name;
  enum pd_err err =
      pd_snapshot_read(shell->common->data_dir, name, &want, &have, image, length, why, sizeof why);
  if (err == PD_ENOENT) return true;
  if (err != PD_OK) {
    pd_say(PD_LEVEL_WARN, pd_kv_text("msg", "snapshot is ignored, the log is replayed"),
           pd_kv_text("why", why));
    return false;
  }
  struct pd_turn_position position = {
      .seq = have.last_seq, .epoch = have.epoch, .now_ms = have.time_ms};
  memcpy(position.hash.bytes, have.hash, sizeof position.hash.bytes);
  memcpy(position.last_of_kind, have.last_of_kind, sizeof position.last_of_kind);
  for (unsigned log = 1; log < PD_LOGS; log++) position.next[log] = have.upto[log] + 1;
  pd_turn_resume(&shell->turn, &position);
  shell->snapshot_seq = have.last_seq;
  memcpy(shell->snapshot_next, position.next, sizeof shell->snapshot_next);
  return true;
}

static enum pd_err write_now(struct pd_shell *shell) {
  size_t length;
  uint8_t *image = pd_arena_image(&shell->turn.state, &length);
  struct pd_snapshot snapshot;
  struct pd_turn_position position;
  describe(shell, &snapshot, length);
  pd_turn_position(&shell->turn, &position);
  snapshot.last_seq = position.seq;
  snapshot.epoch = position.epoch;
  snapshot.time_ms = position.now_ms;
  memcpy(snapshot.hash, position.hash.bytes, sizeof snapshot.hash);
  memcpy(snapshot.last_of_kind, position.last_of_kind, sizeof snapshot.last_of_kind);
  for (unsigned log = 1; log < PD_LOGS; log++) snapshot.upto[log] = position.next[log] - 1;
  return pd_snapshot_write(shell->common->data_dir, shell->service->core->name, &snapshot, image,
                           length);
}

/* A child that still writes would share its file with us. */
static void end_child(struct pd_shell *shell) {
  if (shell->snapshot_pid == 0) return;
  kill(shell->snapshot_pid, SIGKILL);
  waitpid(shell->snapshot_pid, NULL, 0);
  shell->snapshot_pid = 0;
}

/* In the child: run only when a processor has nothing else to do, and map what was never written in
 * one go, since most of a district's tables is empty and would cost a page fault for each 4 KiB. */
static void give_way(struct pd_shell *shell) {
  const struct sched_param none = {.sched_priority = 0};
  size_t length;
  uint8_t *image = pd_arena_image(&shell->turn.state, &length);
  uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)image & ~(page - 1);
  (void)sched_setscheduler(0, SCHED_IDLE, &none);
  (void)madvise((void *)from, (uintptr_t)image + length - from, MADV_POPULATE_READ);
}

void pd_shell_save(struct pd_shell *shell, bool in_child) {
  end_child(shell);
  shell->snapshot_due = false;
  shell->snapshot_seq = shell->turn.writer.seq;
  for (unsigned log = 1; log < PD_LOGS; log++)
    shell->snapshot_next[log] = shell->turn.inputs[log].next;
  pid_t child = in_child ? fork() : -1;
  if (child > 0) {
    shell->snapshot_pid = child;
    shell->snapshot_at = uv_now(&shell->loop);
    pd_shell_wake(shell); /* feeding goes on */
    return;
  }
  /* If the parent dies, its successor must find lock and ports free, and its peers must notice. */
  if (child == 0) close_range(STDERR_FILENO + 1, ~0U, 0);
  if (child == 0) give_way(shell);
  enum pd_err err = write_now(shell);
  if (child == 0) _exit(err == PD_OK ? 0 : 1);
  if (err != PD_OK)
    pd_say(PD_LEVEL_WARN, pd_kv_text("msg", "no snapshot was written"),
           pd_kv_text("why", pd_err_text(err)));
}

void pd_shell_reap(struct pd_shell *shell) {
  int status = 0;
  if (shell->snapshot_pid == 0 || waitpid(shell->snapshot_pid, &status, WNOHANG) == 0) return;
  shell->snapshot_pid = 0;
  uint64_t now = uv_now(&shell->loop);
  shell->snapshot_rest = now + REST_FACTOR * (now - shell->snapshot_at);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    pd_say(PD_LEVEL_WARN, pd_kv_text("msg", "no snapshot was written"),
           pd_kv_text("why", "see the disk"));
}
