/* The file: JSON lines, a batch with one write. */
#include "services/notification/sinks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RETRY_NS UINT64_C(1000000000)

/* A message of the batch: what its report needs. */
struct line {
  uint64_t seq;
  uint32_t part;
  enum pd_log log;
};

struct file_sink {
  struct sink base;
  struct sink_file_options options;
  sink_done *done;
  void *context;
  int fd;
  char *path;
  char *bytes; /* of the batch, as they will stand in the file */
  size_t used;
  size_t size;
  size_t count;
  uint32_t attempts; /* of this batch */
  uint64_t retry_at; /* uv_hrtime before which a batch that failed is left alone */
  const char *trouble;
  struct line lines[SINK_FILE_ROOM];
};

static struct file_sink *of(struct sink *sink) { return (struct file_sink *)sink; }

static size_t file_room(const struct sink *sink) {
  const struct file_sink *self = (const struct file_sink *)sink;
  return self->attempts > 0 ? 0
                            : SINK_FILE_ROOM - self->count; /* a batch that failed stays as it is */
}

/* Room for one more line at the end of the batch. */
static char *line_room(struct file_sink *self) {
  if (self->size - self->used < SINK_BODY + 1) {
    self->size = 2 * self->size + SINK_BODY + 1;
    self->bytes = realloc(self->bytes, self->size);
    pd_assert(self->bytes != NULL);
  }
  return self->bytes + self->used;
}

static void file_deliver(struct sink *sink, const struct notification_message *message,
                         const struct notification_text *text) {
  struct file_sink *self = of(sink);
  pd_assert(file_room(sink) > 0);
  char *line = line_room(self);
  size_t length = sink_body(self->options.shard, self->options.zone_min, message, text, line);
  line[length] = '\n';
  self->used += length + 1;
  self->lines[self->count++] =
      (struct line){.seq = message->seq, .part = message->part, .log = message->log};
}

/* Write everything or nothing: what a write that failed has left is cut off again. */
static enum pd_err write_batch(struct file_sink *self) {
  struct stat before;
  if (fstat(self->fd, &before) != 0) return PD_EIO;
  for (size_t at = 0; at < self->used;) {
    ssize_t written = write(self->fd, self->bytes + at, self->used - at);
    if (written > 0) {
      at += (size_t)written;
      continue;
    }
    if (written < 0 && errno == EINTR) continue;
    int why = errno;
    if (S_ISREG(before.st_mode) && ftruncate(self->fd, before.st_size) != 0) why = errno;
    errno = why;
    return PD_EIO;
  }
  if (!self->options.sync || fdatasync(self->fd) == 0) return PD_OK;
  /* A pipe or a device cannot be synced, and need not be. */
  return errno == EINVAL || errno == EROFS ? PD_OK : PD_EIO;
}

static void report(struct file_sink *self, bool ok) {
  for (size_t i = 0; i < self->count; i++) {
    struct pd_delivery delivery = {.log = self->lines[i].log,
                                   .part = self->lines[i].part,
                                   .seq = self->lines[i].seq,
                                   .attempts = self->attempts,
                                   .ok = ok,
                                   .final = ok,
                                   .sink = self->base.name,
                                   .why = self->trouble};
    self->done(self->context, &delivery);
  }
}

static void file_flush(struct sink *sink) {
  struct file_sink *self = of(sink);
  if (self->count == 0 || uv_hrtime() < self->retry_at) return;
  self->attempts++;
  bool ok = write_batch(self) == PD_OK;
  self->trouble = ok                ? NULL
                  : errno == ENOSPC ? "the disk is full"
                                    : "the message file cannot be written";
  self->retry_at = ok ? 0 : uv_hrtime() + RETRY_NS;
  report(self, ok);
  if (ok) self->count = self->used = self->attempts = 0;
}

/* A line in the batch goes out with it: there is nothing to stop. */
static bool file_cancel(struct sink *sink, enum pd_log log, uint64_t seq, uint32_t part) {
  (void)sink;
  (void)log;
  (void)seq;
  (void)part;
  return false;
}

static void file_drop(struct sink *sink) {
  struct file_sink *self = of(sink);
  self->count = self->used = self->attempts = 0;
  self->retry_at = 0;
}

static int open_path(const char *path) {
  return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

/* The old file stays in use when the new one cannot be opened. */
static void file_reopen(struct sink *sink) {
  struct file_sink *self = of(sink);
  int fd = open_path(self->path);
  if (fd < 0) return;
  close(self->fd);
  self->fd = fd;
  self->retry_at = 0;
}

static const char *file_trouble(const struct sink *sink) {
  return ((const struct file_sink *)sink)->trouble;
}

static void file_close(struct sink *sink) {
  struct file_sink *self = of(sink);
  if (self->fd >= 0) close(self->fd);
  free(self->bytes);
  free(self->path);
  free(self);
}

static const struct sink file_base = {.name = "file",
                                      .room = file_room,
                                      .deliver = file_deliver,
                                      .flush = file_flush,
                                      .cancel = file_cancel,
                                      .drop = file_drop,
                                      .reopen = file_reopen,
                                      .trouble = file_trouble,
                                      .close = file_close};

enum pd_err sink_file_open(const struct sink_file_options *options, sink_done *done, void *context,
                           struct sink **sink) {
  struct file_sink *self = calloc(1, sizeof *self);
  pd_assert(self != NULL);
  self->base = file_base;
  self->options = *options;
  self->done = done;
  self->context = context;
  self->path = strdup(options->path);
  self->fd = open_path(options->path);
  pd_assert(self->path != NULL);
  if (self->fd < 0) {
    file_close(&self->base);
    return PD_EIO;
  }
  *sink = &self->base;
  return PD_OK;
}
