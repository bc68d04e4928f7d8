#include "common/io/archive_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

enum { LEVEL = 3 };

struct pd_archive_writer {
  struct pd_archive_place place;
  char folder[ARCHIVE_PATH];
  char path[ARCHIVE_PATH]; /* of the segment in the making */
  int lock;
  int fd; /* -1: no segment has been begun */
  crypto_generichash_state all;
  struct archive_head head;
  struct pd_segment segment;
  struct archive_block *index;
  size_t index_room;
  uint8_t *raw; /* the block in the making */
  size_t used;
  uint8_t *stored;
  size_t stored_room;
  uint64_t next;
  uint64_t last; /* of the entry added last */
  struct pd_hash hash;
};

/* ---- the folder ---- */

static enum pd_err make_folders(const char *path) {
  char part[ARCHIVE_PATH];
  memcpy(part, path, strlen(path) + 1);
  for (char *at = part + 1;; at++) {
    char end = *at;
    if (end != '/' && end != '\0') continue;
    *at = '\0';
    if (mkdir(part, 0750) != 0 && errno != EEXIST) return PD_EIO;
    if (end == '\0') return PD_OK;
    *at = '/';
  }
}

static enum pd_err take_lock(struct pd_archive_writer *self) {
  char path[ARCHIVE_PATH + 8];
  (void)snprintf(path, sizeof path, "%s/lock", self->folder);
  self->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
  if (self->lock < 0) return PD_EIO;
  return flock(self->lock, LOCK_EX | LOCK_NB) == 0 ? PD_OK : PD_EEXIST;
}

/* Stand behind the last segment. */
static enum pd_err find_end(struct pd_archive_writer *self) {
  struct pd_archive *archive;
  struct pd_segment last = {0};
  enum pd_err err = pd_archive_open(&archive, &self->place);
  if (err != PD_OK) return err;
  size_t count = pd_archive_count(archive);
  if (count > 0) err = pd_archive_segment(archive, count - 1, &last);
  pd_archive_shut(archive);
  self->last = last.last_seq;
  self->next = last.last_seq + 1;
  self->hash = last.hash;
  return err;
}

enum pd_err pd_archive_begin(struct pd_archive_writer **writer,
                             const struct pd_archive_place *place) {
  *writer = NULL;
  struct pd_archive_writer *self = calloc(1, sizeof *self);
  if (self == NULL) return PD_EIO;
  self->place = *place;
  self->fd = self->lock = -1;
  self->raw = malloc(ARCHIVE_BLOCK_MAX);
  self->stored_room = ZSTD_compressBound(ARCHIVE_BLOCK_MAX);
  self->stored = malloc(self->stored_room);
  bool ready = self->raw != NULL && self->stored != NULL && archive_folder(self->folder, place);
  enum pd_err err = ready ? make_folders(self->folder) : PD_EIO;
  if (err == PD_OK) err = take_lock(self);
  if (err == PD_OK) err = find_end(self);
  if (err == PD_OK)
    *writer = self;
  else
    pd_archive_close(self);
  return err;
}

void pd_archive_close(struct pd_archive_writer *self) {
  if (self == NULL) return;
  if (self->fd >= 0) {
    (void)close(self->fd);
    (void)unlink(self->path);
  }
  if (self->lock >= 0) (void)close(self->lock);
  free(self->index);
  free(self->raw);
  free(self->stored);
  free(self);
}

uint64_t pd_archive_wanted(const struct pd_archive_writer *self) { return self->next; }

uint64_t pd_archive_pending(const struct pd_archive_writer *self) { return self->segment.bytes; }

/* ---- bytes ---- */

static enum pd_err put(struct pd_archive_writer *self, const void *bytes, size_t size) {
  const uint8_t *at = bytes;
  (void)crypto_generichash_update(&self->all, at, size);
  self->segment.size += size;
  while (size > 0) {
    ssize_t n = write(self->fd, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return PD_EIO;
    at += n;
    size -= (size_t)n;
  }
  return PD_OK;
}

static enum pd_err start_segment(struct pd_archive_writer *self) {
  if (!archive_path(self->path, self->folder, self->next, 0)) return PD_EIO;
  self->fd = open(self->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
  if (self->fd < 0) return PD_EIO;
  self->segment = (struct pd_segment){.first_seq = self->next, .prev = self->hash};
  self->head = (struct archive_head){.format = ARCHIVE_FORMAT,
                                     .shard = self->place.shard,
                                     .log = (uint32_t)self->place.log,
                                     .first_seq = self->next};
  memcpy(self->head.magic, archive_magic, sizeof self->head.magic);
  (void)crypto_generichash_init(&self->all, NULL, 0, PD_HASH_BYTES);
  return put(self, &self->head, sizeof self->head);
}

static enum pd_err end_block(struct pd_archive_writer *self) {
  if (self->used == 0) return PD_OK;
  size_t count = self->segment.blocks;
  if (count == self->index_room) {
    size_t room = count == 0 ? 64 : 2 * count;
    struct archive_block *more = realloc(self->index, room * sizeof *more);
    if (more == NULL) return PD_EIO;
    self->index = more;
    self->index_room = room;
  }
  size_t size = ZSTD_compress(self->stored, self->stored_room, self->raw, self->used, LEVEL);
  if (ZSTD_isError(size)) return PD_EIO;
  self->index[count] = (struct archive_block){.last_seq = self->last,
                                              .offset = self->segment.size,
                                              .stored = (uint32_t)size,
                                              .raw = (uint32_t)self->used};
  self->segment.blocks++;
  self->used = 0;
  return put(self, self->stored, size);
}

/* ---- entries ---- */

static enum pd_err check_entry(const struct pd_archive_writer *self,
                               const struct pd_stored *entry) {
  struct pd_entry_view view;
  struct pd_hash hash = pd_hash_of(entry->bytes, entry->size);
  if (memcmp(hash.bytes, entry->hash, sizeof hash.bytes) != 0) return PD_ECORRUPT;
  enum pd_err err = pd_entry_open(entry->bytes, entry->size, &view);
  if (err != PD_OK) return PD_EFORMAT;
  const struct pd_entry_head *head = &view.head;
  if (head->shard != self->place.shard || head->log != self->place.log) return PD_EFORMAT;
  bool follows = head->first_seq == self->next && head->last_seq == entry->last_seq &&
                 head->last_seq >= head->first_seq && pd_hash_equal(&head->prev, &self->hash);
  return follows ? PD_OK : PD_ECORRUPT;
}

enum pd_err pd_archive_add(struct pd_archive_writer *self, const struct pd_stored *entry) {
  if (entry->size > PD_ENTRY_MAX) return PD_EBOUNDS;
  enum pd_err err = check_entry(self, entry);
  if (err == PD_OK && self->fd < 0) err = start_segment(self);
  if (err != PD_OK) return err;
  struct archive_frame frame = {
      .last_seq = entry->last_seq, .epoch = entry->epoch, .size = (uint32_t)entry->size};
  memcpy(frame.hash.bytes, entry->hash, sizeof frame.hash.bytes);
  memcpy(self->raw + self->used, &frame, sizeof frame);
  memcpy(self->raw + self->used + sizeof frame, entry->bytes, entry->size);
  self->used += sizeof frame + entry->size;
  self->segment.entries++;
  self->segment.bytes += entry->size;
  self->segment.last_seq = self->last = entry->last_seq;
  self->segment.hash = self->hash = frame.hash;
  self->next = entry->last_seq + 1;
  return self->used >= ARCHIVE_BLOCK ? end_block(self) : PD_OK;
}

static enum pd_err put_foot(struct pd_archive_writer *self) {
  struct archive_foot foot;
  enum pd_err err = put(self, self->index, self->segment.blocks * sizeof *self->index);
  if (err != PD_OK) return err;
  memset(&foot, 0, sizeof foot);
  self->segment.size += sizeof foot;
  foot.segment = self->segment;
  foot.meta = archive_meta(&self->head, self->index, &foot.segment);
  err = put(self, &foot, offsetof(struct archive_foot, all));
  (void)crypto_generichash_final(&self->all, foot.all.bytes, sizeof foot.all.bytes);
  return err == PD_OK ? put(self, &foot.all, sizeof foot.all) : err;
}

/* The segment gets its name, and the name becomes durable. */
static enum pd_err publish(struct pd_archive_writer *self) {
  char path[ARCHIVE_PATH];
  if (fsync(self->fd) != 0) return PD_EIO;
  int fd = self->fd;
  if (!archive_path(path, self->folder, self->segment.first_seq, self->segment.last_seq) ||
      rename(self->path, path) != 0)
    return PD_EIO;
  self->fd = -1;
  if (close(fd) != 0) return PD_EIO;
  int folder = open(self->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return PD_EIO;
  bool synced = fsync(folder) == 0;
  (void)close(folder);
  return synced ? PD_OK : PD_EIO;
}

/* Read it all back: what is trimmed on its strength is nowhere else. */
static enum pd_err check_last(const struct pd_archive_writer *self) {
  struct pd_archive *archive;
  enum pd_err err = pd_archive_open(&archive, &self->place);
  if (err != PD_OK) return err;
  size_t count = pd_archive_count(archive);
  bool there = count > 0 && pd_archive_last(archive) == self->last;
  err = there ? pd_archive_verify(archive, count - 1, NULL, 0) : PD_EIO;
  pd_archive_shut(archive);
  return err;
}

enum pd_err pd_archive_end(struct pd_archive_writer *self) {
  if (self->fd < 0) return PD_OK;
  enum pd_err err = end_block(self);
  if (err == PD_OK) err = put_foot(self);
  if (err == PD_OK) err = publish(self);
  if (err == PD_OK) err = check_last(self);
  self->segment = (struct pd_segment){0};
  return err;
}
