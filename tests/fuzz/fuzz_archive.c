/* Any bytes as a segment of the archive.  Its size and its hash over head, index and foot are made
 * right first, so that what they guard is reached: no entry is handed out whose hash does not hold.
 */
#include "common/base/err.h"
#include "common/io/archive_file.h"
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], inside[128];
static struct pd_archive_place place = {.dir = folder, .shard = FUZZ_SHARD, .log = PD_LOG_INTAKE};

static void make_folders(void) {
  if (folder[0] != 0) return;
  bool memory = access("/dev/shm", W_OK) == 0;
  snprintf(folder, sizeof folder, "%s/paidan-fuzz.XXXXXX", memory ? "/dev/shm" : "/tmp");
  bool made = mkdtemp(folder) != NULL;
  snprintf(inside, sizeof inside, "%s/%06u", folder, FUZZ_SHARD);
  made = made && mkdir(inside, 0700) == 0;
  snprintf(inside, sizeof inside, "%s/%06u/intake", folder, FUZZ_SHARD);
  made = made && mkdir(inside, 0700) == 0;
  pd_assert(made);
}

static void remove_folders(void) {
  rmdir(inside);
  snprintf(inside, sizeof inside, "%s/%06u", folder, FUZZ_SHARD);
  rmdir(inside);
  rmdir(folder);
  folder[0] = 0;
}

/* Make the foot fit the rest, as far as there is one. */
static void mend(uint8_t *bytes, size_t size, struct archive_head *head,
                 struct archive_foot *foot) {
  struct archive_block *index;
  memcpy(head, bytes, sizeof *head);
  memcpy(foot, bytes + size - sizeof *foot, sizeof *foot);
  head->shard = FUZZ_SHARD;
  head->log = PD_LOG_INTAKE;
  memcpy(head->magic, archive_magic, sizeof head->magic);
  head->first_seq = foot->segment.first_seq;
  foot->segment.size = size;
  size_t room = (size - sizeof *head - sizeof *foot) / sizeof *index;
  if (foot->segment.blocks > room) foot->segment.blocks = room;
  size_t length = foot->segment.blocks * sizeof *index;
  index = malloc(length + 1);
  pd_assert(index != NULL);
  memcpy(index, bytes + size - sizeof *foot - length, length);
  foot->meta = archive_meta(head, index, &foot->segment);
  free(index);
  memcpy(bytes, head, sizeof *head);
  memcpy(bytes + size - sizeof *foot, foot, sizeof *foot);
  foot->all = pd_hash_of(bytes, size - sizeof foot->all);
  memcpy(bytes + size - sizeof *foot, foot, sizeof *foot);
}

static void read_all(const struct pd_segment *named) {
  struct pd_archive *archive = NULL;
  struct pd_stored entry;
  char why[128] = "";
  enum pd_err err = pd_archive_open(&archive, &place);
  pd_assert(err == PD_OK && pd_archive_count(archive) == 1);
  uint64_t from = named->first_seq;
  for (int i = 0; i < 64 && err == PD_OK && from <= named->last_seq; i++) {
    err = pd_archive_read(archive, from, &entry);
    if (err != PD_OK) break;
    struct pd_hash hash = pd_hash_of(entry.bytes, entry.size);
    pd_assert(memcmp(hash.bytes, entry.hash, sizeof hash.bytes) == 0 && entry.last_seq >= from);
    from = entry.last_seq + 1;
  }
  enum pd_err whole = pd_archive_verify(archive, 0, why, sizeof why);
  pd_assert((whole == PD_OK) == (why[0] == 0));
  pd_assert(whole != PD_OK || err == PD_OK); /* what is verified can be read */
  pd_archive_shut(archive);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct archive_head head;
  struct archive_foot foot;
  char path[ARCHIVE_PATH];
  if (size < sizeof head + sizeof foot) return 0;
  make_folders();
  uint8_t *bytes = malloc(size);
  pd_assert(bytes != NULL);
  memcpy(bytes, data, size);
  mend(bytes, size, &head, &foot);
  bool named = foot.segment.first_seq > 0 && foot.segment.last_seq >= foot.segment.first_seq;
  if (named && archive_path(path, inside, foot.segment.first_seq, foot.segment.last_seq)) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool written = fd >= 0 && write(fd, bytes, size) == (ssize_t)size && close(fd) == 0;
    pd_assert(written);
    read_all(&foot.segment);
    unlink(path);
  }
  free(bytes);
  remove_folders();
  return 0;
}

/* ---- seeds: a whole segment ---- */

static void add_entries(struct pd_archive_writer *writer, uint32_t count) {
  static uint8_t memory[1 << 16];
  struct pd_hash prev = {{0}};
  for (uint64_t seq = 1; seq <= count; seq++) {
    struct pd_packer packer;
    struct pd_packed packed;
    struct pd_inputs_noted body = PD_INPUTS_NOTED_INIT;
    struct pd_event event = PD_EVENT_INIT;
    event.seq = seq;
    event.body_case = PD_EVENT_INPUTS_NOTED;
    event.inputs_noted = &body;
    struct pd_entry_head head = {.shard = FUZZ_SHARD, .log = PD_LOG_INTAKE, .epoch = 1};
    head.first_seq = head.last_seq = seq;
    head.prev = prev;
    pd_packer_init(&packer, memory, sizeof memory);
    pd_pack_event(&packer, &event);
    pd_pack_end(&packer, &head, &packed);
    prev = packed.hash;
    struct pd_stored stored = {.last_seq = seq, .epoch = 1, .bytes = packed.bytes};
    stored.size = packed.size;
    stored.hash = packed.hash.bytes;
    enum pd_err err = pd_archive_add(writer, &stored);
    pd_assert(err == PD_OK);
  }
}

size_t fuzz_seed(uint32_t index, uint8_t *data, size_t max) {
  struct pd_archive_writer *writer = NULL;
  char path[ARCHIVE_PATH];
  if (index > 1) return 0;
  make_folders();
  uint32_t count = index == 0 ? 1 : 40;
  enum pd_err err = pd_archive_begin(&writer, &place);
  pd_assert(err == PD_OK);
  add_entries(writer, count);
  err = pd_archive_end(writer);
  pd_archive_close(writer);
  pd_assert(err == PD_OK);
  bool named = archive_path(path, inside, 1, count);
  FILE *file = named ? fopen(path, "rb") : NULL;
  pd_assert(file != NULL);
  size_t size = fread(data, 1, max, file);
  fclose(file);
  unlink(path);
  snprintf(path, sizeof path, "%s/lock", inside);
  unlink(path);
  remove_folders();
  return size;
}
