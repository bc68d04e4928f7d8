#include "common/io/archive_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

const char archive_magic[8] = {'P', 'a', 'i', 'd', 'a', 'n', 'A', '1'};

/* A segment's name, taken apart. */
struct name {
  uint64_t first_seq;
  uint64_t last_seq;
};

struct pd_archive {
  struct pd_archive_place place;
  char folder[ARCHIVE_PATH];
  struct name *names; /* sorted */
  size_t count;
  int fd;             /* of the open segment; -1: none */
  struct name opened; /* which it is */
  struct archive_head head;
  struct archive_foot foot;
  struct archive_block *index;
  uint8_t *stored;
  uint8_t *raw;
  size_t block;      /* which one raw holds; SIZE_MAX: none */
  size_t at;         /* of the next entry in raw */
  uint64_t at_seq;   /* entries before `at` end below it */
};

/* ---- names ---- */

bool archive_folder(char path[ARCHIVE_PATH], const struct pd_archive_place *place) {
  int n = snprintf(path, ARCHIVE_PATH, "%s/%06u/%s", place->dir, place->shard,
                   pd_log_name(place->log));
  return n > 0 && n < ARCHIVE_PATH - 64; /* with room for a name */
}

bool archive_path(char path[ARCHIVE_PATH], const char *folder, uint64_t first_seq,
                  uint64_t last_seq) {
  int n = last_seq == 0 ? snprintf(path, ARCHIVE_PATH, "%s/segment.new", folder)
                        : snprintf(path, ARCHIVE_PATH, "%s/%012" PRIu64 "-%012" PRIu64 ".seg",
                                   folder, first_seq, last_seq);
  return n > 0 && n < ARCHIVE_PATH;
}

struct pd_hash archive_meta(const struct archive_head *head, const struct archive_block *index,
                            const struct pd_segment *segment) {
  crypto_generichash_state state;
  struct pd_hash hash;
  (void)crypto_generichash_init(&state, NULL, 0, sizeof hash.bytes);
  (void)crypto_generichash_update(&state, (const uint8_t *)head, sizeof *head);
  (void)crypto_generichash_update(&state, (const uint8_t *)index,
                                  segment->blocks * sizeof *index);
  (void)crypto_generichash_update(&state, (const uint8_t *)segment, sizeof *segment);
  (void)crypto_generichash_final(&state, hash.bytes, sizeof hash.bytes);
  return hash;
}

static bool read_name(const char *text, struct name *name) {
  int end = 0;
  if (sscanf(text, "%" SCNu64 "-%" SCNu64 ".seg%n", &name->first_seq, &name->last_seq, &end) != 2)
    return false;
  return end > 0 && text[end] == '\0' && name->first_seq > 0 && name->last_seq >= name->first_seq;
}

static int by_seq(const void *a, const void *b) {
  const struct name *x = a, *y = b;
  return (x->first_seq > y->first_seq) - (x->first_seq < y->first_seq);
}

static enum pd_err add_name(struct pd_archive *self, const struct name *name) {
  if ((self->count & (self->count - 1)) == 0) {
    size_t room = self->count == 0 ? 1 : 2 * self->count;
    struct name *more = realloc(self->names, room * sizeof *more);
    if (more == NULL) return PD_EIO;
    self->names = more;
  }
  self->names[self->count++] = *name;
  return PD_OK;
}

static enum pd_err list(struct pd_archive *self) {
  self->count = 0;
  DIR *folder = opendir(self->folder);
  if (folder == NULL) return errno == ENOENT ? PD_OK : PD_EIO;
  enum pd_err err = PD_OK;
  const struct dirent *found;
  while (err == PD_OK && (found = readdir(folder)) != NULL) {
    struct name name;
    if (read_name(found->d_name, &name)) err = add_name(self, &name);
  }
  (void)closedir(folder);
  if (self->count > 1) qsort(self->names, self->count, sizeof *self->names, by_seq);
  return err;
}

/* The segment that holds seq, by its name; count if there is none. */
static size_t find(const struct pd_archive *self, uint64_t seq) {
  size_t low = 0, high = self->count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (self->names[middle].last_seq < seq)
      low = middle + 1;
    else
      high = middle;
  }
  return low < self->count && self->names[low].first_seq <= seq ? low : self->count;
}

/* ---- one segment ---- */

static void leave(struct pd_archive *self) {
  if (self->fd >= 0) (void)close(self->fd);
  self->fd = -1;
  free(self->index);
  self->index = NULL;
  self->block = SIZE_MAX;
}

enum pd_err pd_archive_open(struct pd_archive **archive, const struct pd_archive_place *place) {
  *archive = NULL;
  struct pd_archive *self = calloc(1, sizeof *self);
  if (self == NULL) return PD_EIO;
  self->place = *place;
  self->fd = -1;
  leave(self);
  enum pd_err err = archive_folder(self->folder, place) ? list(self) : PD_EIO;
  if (err == PD_OK)
    *archive = self;
  else
    pd_archive_shut(self);
  return err;
}

void pd_archive_shut(struct pd_archive *self) {
  if (self == NULL) return;
  leave(self);
  free(self->names);
  free(self->stored);
  free(self->raw);
  free(self);
}

size_t pd_archive_count(const struct pd_archive *self) { return self->count; }

uint64_t pd_archive_last(const struct pd_archive *self) {
  return self->count == 0 ? 0 : self->names[self->count - 1].last_seq;
}

static bool read_at(int fd, void *bytes, size_t size, uint64_t offset) {
  uint8_t *at = bytes;
  while (size > 0) {
    ssize_t n = pread(fd, at, size, (off_t)offset);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    at += n;
    offset += (uint64_t)n;
    size -= (size_t)n;
  }
  return true;
}

/* Blocks lie one behind the other between head and index; their seqs rise up to the last. */
static bool index_holds(const struct pd_archive *self) {
  uint64_t offset = sizeof self->head, seq = self->foot.segment.first_seq - 1;
  for (size_t i = 0; i < self->foot.segment.blocks; i++) {
    const struct archive_block *block = &self->index[i];
    if (block->offset != offset || block->last_seq <= seq || block->raw > ARCHIVE_BLOCK_MAX ||
        block->stored > ZSTD_compressBound(ARCHIVE_BLOCK_MAX))
      return false;
    offset += block->stored;
    seq = block->last_seq;
  }
  const struct pd_segment *segment = &self->foot.segment;
  return seq == segment->last_seq &&
         offset + segment->blocks * sizeof *self->index + sizeof self->foot == segment->size;
}

/* Head, foot and index, and that they are what the name says. */
static enum pd_err read_meta(struct pd_archive *self, const struct name *name) {
  struct stat status;
  const struct pd_segment *segment = &self->foot.segment;
  if (fstat(self->fd, &status) != 0) return PD_EIO;
  uint64_t size = (uint64_t)status.st_size;
  if (size < sizeof self->head + sizeof self->foot) return PD_ECORRUPT;
  if (!read_at(self->fd, &self->head, sizeof self->head, 0) ||
      !read_at(self->fd, &self->foot, sizeof self->foot, size - sizeof self->foot))
    return PD_EIO;
  if (memcmp(self->head.magic, archive_magic, sizeof archive_magic) != 0) return PD_ECORRUPT;
  if (self->head.format != ARCHIVE_FORMAT) return PD_EOLD;
  if (segment->size != size || segment->blocks == 0 || segment->blocks > ARCHIVE_BLOCKS)
    return PD_ECORRUPT;
  size_t bytes = segment->blocks * sizeof *self->index;
  if (bytes + sizeof self->head + sizeof self->foot > size) return PD_ECORRUPT;
  self->index = malloc(bytes);
  if (self->index == NULL ||
      !read_at(self->fd, self->index, bytes, size - sizeof self->foot - bytes))
    return PD_EIO;
  struct pd_hash meta = archive_meta(&self->head, self->index, segment);
  bool ours = self->head.shard == self->place.shard &&
              self->head.log == (uint32_t)self->place.log &&
              self->head.first_seq == name->first_seq && segment->first_seq == name->first_seq &&
              segment->last_seq == name->last_seq;
  return ours && pd_hash_equal(&meta, &self->foot.meta) && index_holds(self) ? PD_OK : PD_ECORRUPT;
}

static enum pd_err enter(struct pd_archive *self, size_t which) {
  pd_assert(which < self->count);
  const struct name *name = &self->names[which];
  if (self->fd >= 0 && self->opened.first_seq == name->first_seq &&
      self->opened.last_seq == name->last_seq)
    return PD_OK;
  char path[ARCHIVE_PATH];
  leave(self);
  if (!archive_path(path, self->folder, name->first_seq, name->last_seq)) return PD_EIO;
  self->fd = open(path, O_RDONLY | O_CLOEXEC);
  if (self->fd < 0) return PD_EIO;
  self->opened = *name;
  enum pd_err err = read_meta(self, name);
  if (err != PD_OK) leave(self);
  return err;
}

enum pd_err pd_archive_segment(struct pd_archive *self, size_t which, struct pd_segment *segment) {
  enum pd_err err = enter(self, which);
  if (err == PD_OK) *segment = self->foot.segment;
  return err;
}

static enum pd_err load_block(struct pd_archive *self, size_t which) {
  self->at = 0;
  self->at_seq = 0;
  if (self->block == which) return PD_OK;
  const struct archive_block *block = &self->index[which];
  self->block = SIZE_MAX;
  if (self->raw == NULL) self->raw = malloc(ARCHIVE_BLOCK_MAX);
  if (self->stored == NULL) self->stored = malloc(ZSTD_compressBound(ARCHIVE_BLOCK_MAX));
  if (self->raw == NULL || self->stored == NULL ||
      !read_at(self->fd, self->stored, block->stored, block->offset))
    return PD_EIO;
  size_t got = ZSTD_decompress(self->raw, ARCHIVE_BLOCK_MAX, self->stored, block->stored);
  if (ZSTD_isError(got) || got != block->raw) return PD_ECORRUPT;
  self->block = which;
  return PD_OK;
}

/* The entry at `at` of the block, unless the block ends here (PD_ENOENT). */
static enum pd_err take(struct pd_archive *self, struct pd_stored *entry) {
  struct archive_frame frame;
  size_t left = self->index[self->block].raw - self->at;
  if (left == 0) return PD_ENOENT;
  if (left < sizeof frame) return PD_ECORRUPT;
  memcpy(&frame, self->raw + self->at, sizeof frame);
  if (frame.size > left - sizeof frame) return PD_ECORRUPT;
  const uint8_t *start = self->raw + self->at;
  *entry = (struct pd_stored){.last_seq = frame.last_seq,
                              .epoch = frame.epoch,
                              .bytes = start + sizeof frame,
                              .size = frame.size,
                              .hash = start + offsetof(struct archive_frame, hash)};
  self->at += sizeof frame + frame.size;
  self->at_seq = frame.last_seq + 1;
  return PD_OK;
}

static size_t find_block(const struct pd_archive *self, uint64_t seq) {
  size_t block = self->block;
  if (block != SIZE_MAX && self->index[block].last_seq >= seq &&
      (block == 0 || self->index[block - 1].last_seq < seq))
    return block;
  for (block = 0; self->index[block].last_seq < seq; block++) continue;
  return block;
}

enum pd_err pd_archive_read(struct pd_archive *self, uint64_t seq, struct pd_stored *entry) {
  size_t which = find(self, seq);
  enum pd_err err = PD_OK;
  if (which == self->count) {
    err = list(self);
    which = find(self, seq);
    if (err == PD_OK && which == self->count) err = PD_ENOENT;
  }
  if (err == PD_OK) err = enter(self, which);
  if (err != PD_OK) return err;
  size_t block = find_block(self, seq);
  if (block != self->block || seq < self->at_seq) err = load_block(self, block);
  if (err != PD_OK) return err;
  do {
    err = take(self, entry);
  } while (err == PD_OK && entry->last_seq < seq);
  if (err != PD_OK) return err == PD_ENOENT ? PD_ECORRUPT : err;
  struct pd_hash hash = pd_hash_of(entry->bytes, entry->size);
  return memcmp(hash.bytes, entry->hash, sizeof hash.bytes) == 0 ? PD_OK : PD_ECORRUPT;
}

/* ---- the whole ---- */

/* Where a verifier stands in the chain. */
struct chain {
  uint64_t next;
  uint64_t entries;
  uint64_t bytes;
  struct pd_hash hash;
};

static const char *check_file(struct pd_archive *self) {
  crypto_generichash_state state;
  struct pd_hash hash;
  uint64_t left = self->foot.segment.size - sizeof hash, offset = 0;
  (void)crypto_generichash_init(&state, NULL, 0, sizeof hash.bytes);
  while (left > 0) {
    size_t size = left < ARCHIVE_BLOCK ? (size_t)left : ARCHIVE_BLOCK;
    if (!read_at(self->fd, self->raw, size, offset)) return "the file cannot be read";
    (void)crypto_generichash_update(&state, self->raw, size);
    offset += size;
    left -= size;
  }
  (void)crypto_generichash_final(&state, hash.bytes, sizeof hash.bytes);
  return pd_hash_equal(&hash, &self->foot.all) ? NULL : "the file does not have its hash";
}

static const char *check_entry(const struct pd_archive *self, struct chain *chain,
                               const struct pd_stored *entry) {
  struct pd_entry_view view;
  struct pd_hash hash = pd_hash_of(entry->bytes, entry->size);
  if (memcmp(hash.bytes, entry->hash, sizeof hash.bytes) != 0)
    return "an entry does not have its hash";
  if (pd_entry_open(entry->bytes, entry->size, &view) != PD_OK) return "an entry is malformed";
  const struct pd_entry_head *head = &view.head;
  bool ours = head->shard == self->place.shard && head->log == self->place.log &&
              head->last_seq == entry->last_seq && head->epoch == entry->epoch;
  if (!ours) return "an entry of another place";
  if (head->first_seq != chain->next || !pd_hash_equal(&head->prev, &chain->hash))
    return "an entry does not follow the one before";
  chain->next = head->last_seq + 1;
  chain->hash = hash;
  chain->entries++;
  chain->bytes += entry->size;
  return NULL;
}

static const char *check_blocks(struct pd_archive *self, struct chain *chain) {
  self->block = SIZE_MAX; /* its memory was used for the file's hash */
  for (size_t block = 0; block < self->foot.segment.blocks; block++) {
    struct pd_stored entry;
    enum pd_err err = load_block(self, block);
    if (err != PD_OK) return "a block cannot be unpacked";
    while ((err = take(self, &entry)) == PD_OK) {
      const char *wrong = check_entry(self, chain, &entry);
      if (wrong != NULL) return wrong;
    }
    if (err != PD_ENOENT || chain->next != self->index[block].last_seq + 1)
      return "a block does not end where the index says";
  }
  return NULL;
}

static const char *check_segment(struct pd_archive *self, const struct chain *before) {
  const struct pd_segment *segment = &self->foot.segment;
  struct chain chain = {.next = segment->first_seq, .hash = segment->prev};
  if (segment->first_seq != before->next) return "the segments before it are missing";
  if (!pd_hash_equal(&segment->prev, &before->hash)) return "it does not follow the one before";
  if (self->raw == NULL) self->raw = malloc(ARCHIVE_BLOCK_MAX);
  if (self->raw == NULL) return "no memory";
  const char *wrong = check_file(self);
  if (wrong == NULL) wrong = check_blocks(self, &chain);
  if (wrong != NULL) return wrong;
  bool same = chain.entries == segment->entries && chain.bytes == segment->bytes &&
              chain.next == segment->last_seq + 1 && pd_hash_equal(&chain.hash, &segment->hash);
  return same ? NULL : "the foot does not say what the blocks hold";
}

enum pd_err pd_archive_verify(struct pd_archive *self, size_t which, char *why, size_t why_size) {
  struct chain before = {.next = 1};
  const char *wrong = "the segment before it does not hold";
  enum pd_err err = PD_OK;
  if (which > 0) {
    err = enter(self, which - 1);
    if (err == PD_OK) {
      before.next = self->foot.segment.last_seq + 1;
      before.hash = self->foot.segment.hash;
    }
  }
  if (err == PD_OK) {
    wrong = "head, index or foot do not hold";
    leave(self); /* what a reader checked when it opened the file may have changed since */
    err = enter(self, which);
  }
  if (err == PD_OK) {
    wrong = check_segment(self, &before);
    err = wrong == NULL ? PD_OK : PD_ECORRUPT;
    self->block = SIZE_MAX;
  }
  if (why != NULL && err != PD_OK) (void)snprintf(why, why_size, "%s", wrong);
  return err;
}
