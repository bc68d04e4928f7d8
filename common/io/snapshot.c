#include "common/io/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "a snapshot's header is written as it stands in memory");

enum { FORMAT = 1, HASH = 32, CHUNK = 1 << 17, PATH_SIZE = 512 };

/* How a file begins; the compressed image follows, then BLAKE2b-256 over everything before it. */
struct head {
  char magic[8];
  uint32_t format;
  uint32_t kinds; /* PD_EVENT_KINDS of the writer */
  char service[32];
  uint64_t length; /* of the image */
  struct pd_snapshot snapshot;
};

static const char magic[8] = {'P', 'a', 'i', 'd', 'a', 'n', 'S', '1'};

uint64_t pd_snapshot_layout(const char *service, const struct pd_limits *limits,
                            size_t image_length, uint64_t salt) {
  crypto_generichash_state state;
  uint64_t numbers[] = {image_length, salt, PD_EVENT_KINDS};
  uint64_t hash[2];
  (void)crypto_generichash_init(&state, NULL, 0, sizeof hash);
  (void)crypto_generichash_update(&state, (const uint8_t *)service, strlen(service) + 1);
  (void)crypto_generichash_update(&state, (const uint8_t *)limits, sizeof *limits);
  (void)crypto_generichash_update(&state, (const uint8_t *)numbers, sizeof numbers);
  (void)crypto_generichash_final(&state, (uint8_t *)hash, sizeof hash);
  return hash[0];
}

/* <data_dir>/<shard>, and <folder>/<service>.snapshot with a suffix; false if that is too long. */
static bool join_folder(char path[PATH_SIZE], const char *data_dir, uint32_t shard) {
  int n = snprintf(path, PATH_SIZE, "%s/%06u", data_dir, shard);
  return n > 0 && n < PATH_SIZE;
}

static bool join_file(char path[PATH_SIZE], const char *folder, const char *service,
                      const char *suffix) {
  int n = snprintf(path, PATH_SIZE, "%s/%s.snapshot%s", folder, service, suffix);
  return n > 0 && n < PATH_SIZE;
}

/* ---- writing ---- */

/* A file under construction, hashed as it grows. */
struct writer {
  int fd;
  crypto_generichash_state state;
  ZSTD_CCtx *zstd;
  uint8_t *chunk;
};

static enum pd_err write_all(int fd, const uint8_t *bytes, size_t size) {
  while (size > 0) {
    ssize_t n = write(fd, bytes, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return PD_EIO;
    bytes += n;
    size -= (size_t)n;
  }
  return PD_OK;
}

static enum pd_err put(struct writer *writer, const void *bytes, size_t size) {
  (void)crypto_generichash_update(&writer->state, bytes, size);
  return write_all(writer->fd, bytes, size);
}

static enum pd_err put_image(struct writer *writer, const uint8_t *image, size_t length) {
  ZSTD_inBuffer in = {image, length, 0};
  size_t left;
  (void)ZSTD_CCtx_setParameter(writer->zstd, ZSTD_c_compressionLevel, 1);
  (void)ZSTD_CCtx_setPledgedSrcSize(writer->zstd, length);
  do {
    ZSTD_outBuffer out = {writer->chunk, CHUNK, 0};
    left = ZSTD_compressStream2(writer->zstd, &out, &in, ZSTD_e_end);
    if (ZSTD_isError(left)) return PD_EIO;
    enum pd_err err = put(writer, writer->chunk, out.pos);
    if (err != PD_OK) return err;
  } while (left > 0);
  return PD_OK;
}

static enum pd_err put_all(struct writer *writer, const struct head *head, const uint8_t *image,
                           size_t length) {
  uint8_t hash[HASH];
  (void)crypto_generichash_init(&writer->state, NULL, 0, HASH);
  enum pd_err err = put(writer, head, sizeof *head);
  if (err == PD_OK) err = put_image(writer, image, length);
  if (err != PD_OK) return err;
  (void)crypto_generichash_final(&writer->state, hash, sizeof hash);
  err = write_all(writer->fd, hash, sizeof hash);
  return err == PD_OK && fsync(writer->fd) != 0 ? PD_EIO : err;
}

static enum pd_err write_file(const char *path, const struct head *head, const uint8_t *image,
                              size_t length) {
  struct writer writer = {.fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640)};
  writer.zstd = ZSTD_createCCtx();
  writer.chunk = malloc(CHUNK);
  bool ready = writer.fd >= 0 && writer.zstd != NULL && writer.chunk != NULL;
  enum pd_err err = ready ? put_all(&writer, head, image, length) : PD_EIO;
  free(writer.chunk);
  (void)ZSTD_freeCCtx(writer.zstd);
  if (writer.fd >= 0 && close(writer.fd) != 0) err = PD_EIO;
  if (err != PD_OK) (void)unlink(path);
  return err;
}

static enum pd_err sync_folder(const char *path) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return PD_EIO;
  int rc = fsync(fd);
  close(fd);
  return rc == 0 ? PD_OK : PD_EIO;
}

/* The folders above the file, durable in their turn. */
static enum pd_err make_folders(const char *data_dir, const char *folder) {
  if (mkdir(data_dir, 0750) != 0 && errno != EEXIST) return PD_EIO;
  if (mkdir(folder, 0750) == 0) return sync_folder(data_dir);
  return errno == EEXIST ? PD_OK : PD_EIO;
}

static void make_head(struct head *head, const char *service, const struct pd_snapshot *snapshot,
                      size_t length) {
  memset(head, 0, sizeof *head);
  memcpy(head->magic, magic, sizeof head->magic);
  head->format = FORMAT;
  head->kinds = PD_EVENT_KINDS;
  (void)snprintf(head->service, sizeof head->service, "%s", service);
  head->length = length;
  head->snapshot = *snapshot;
}

enum pd_err pd_snapshot_write(const char *data_dir, const char *service,
                              const struct pd_snapshot *snapshot, const uint8_t *image,
                              size_t length) {
  char folder[PATH_SIZE], path[PATH_SIZE], aside[PATH_SIZE];
  struct head head;
  bool fits = join_folder(folder, data_dir, snapshot->shard) &&
              join_file(path, folder, service, "") && join_file(aside, folder, service, ".new");
  if (!fits) return PD_EIO;
  make_head(&head, service, snapshot, length);
  enum pd_err err = make_folders(data_dir, folder);
  if (err == PD_OK) err = write_file(aside, &head, image, length);
  if (err == PD_OK && rename(aside, path) != 0) err = PD_EIO;
  return err == PD_OK ? sync_folder(folder) : err;
}

/* ---- reading ---- */

static enum pd_err fault(enum pd_err err, const char *text, char *why, size_t why_size) {
  if (why != NULL && why_size > 0) (void)snprintf(why, why_size, "%s", text);
  return err;
}

/* What is wrong with a head whose checksum holds; NULL: nothing. */
static const char *misfit(const struct head *head, const char *service,
                          const struct pd_snapshot *want, size_t length) {
  if (head->format != FORMAT || head->kinds != PD_EVENT_KINDS)
    return "the snapshot is of another version's format";
  if (strncmp(head->service, service, sizeof head->service) != 0)
    return "the snapshot is another service's";
  if (head->snapshot.shard != want->shard) return "the snapshot is another shard's";
  if (head->snapshot.log != want->log) return "the snapshot is another log's";
  if (head->snapshot.layout != want->layout || head->length != length)
    return "the snapshot's layout is another build's";
  return NULL;
}

enum pd_err pd_snapshot_parse(const uint8_t *bytes, size_t size, const char *service,
                              const struct pd_snapshot *want, struct pd_snapshot *snapshot,
                              uint8_t *image, size_t length, char *why, size_t why_size) {
  struct head head;
  uint8_t hash[HASH];
  if (size < sizeof head + HASH)
    return fault(PD_ECORRUPT, "the snapshot is cut short", why, why_size);
  memcpy(&head, bytes, sizeof head);
  if (memcmp(head.magic, magic, sizeof magic) != 0)
    return fault(PD_ECORRUPT, "this is no snapshot", why, why_size);
  (void)crypto_generichash(hash, HASH, bytes, size - HASH, NULL, 0);
  if (memcmp(hash, bytes + size - HASH, HASH) != 0) {
    return fault(PD_ECORRUPT, "the snapshot's checksum does not hold", why, why_size);
  }
  const char *other = misfit(&head, service, want, length);
  if (other != NULL) return fault(PD_EOLD, other, why, why_size);
  size_t got = ZSTD_decompress(image, length, bytes + sizeof head, size - sizeof head - HASH);
  if (ZSTD_isError(got) || got != length)
    return fault(PD_ECORRUPT, "the snapshot's image is damaged", why, why_size);
  *snapshot = head.snapshot;
  return PD_OK;
}

/* The whole file; the caller frees it. */
static enum pd_err read_file(const char *path, uint8_t **bytes, size_t *size) {
  struct stat status;
  *bytes = NULL;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT ? PD_ENOENT : PD_EIO;
  enum pd_err err = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) ? PD_OK : PD_EIO;
  *size = 0;
  if (err == PD_OK) *bytes = malloc((size_t)status.st_size + 1);
  if (*bytes == NULL) err = PD_EIO;
  while (err == PD_OK && *size < (size_t)status.st_size) {
    ssize_t n = read(fd, *bytes + *size, (size_t)status.st_size - *size);
    if (n == 0) break;
    if (n > 0) {
      *size += (size_t)n;
    } else if (errno != EINTR) {
      err = PD_EIO;
    }
  }
  close(fd);
  return err;
}

enum pd_err pd_snapshot_read(const char *data_dir, const char *service,
                             const struct pd_snapshot *want, struct pd_snapshot *snapshot,
                             uint8_t *image, size_t length, char *why, size_t why_size) {
  char folder[PATH_SIZE], path[PATH_SIZE];
  uint8_t *bytes = NULL;
  size_t size = 0;
  bool fits = join_folder(folder, data_dir, want->shard) && join_file(path, folder, service, "");
  if (!fits) return fault(PD_EIO, "the path is too long", why, why_size);
  enum pd_err err = read_file(path, &bytes, &size);
  if (err != PD_OK) {
    (void)fault(err, err == PD_ENOENT ? "there is no snapshot" : "the snapshot cannot be read", why,
                why_size);
  } else {
    err = pd_snapshot_parse(bytes, size, service, want, snapshot, image, length, why, why_size);
  }
  free(bytes);
  return err;
}

enum pd_err pd_snapshot_peek(const char *data_dir, uint32_t shard, const char *service,
                             struct pd_snapshot *snapshot) {
  char folder[PATH_SIZE], path[PATH_SIZE];
  struct head head;
  if (!join_folder(folder, data_dir, shard) || !join_file(path, folder, service, ""))
    return PD_EIO;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno == ENOENT ? PD_ENOENT : PD_EIO;
  ssize_t got = read(fd, &head, sizeof head);
  (void)close(fd);
  if (got != (ssize_t)sizeof head) return got < 0 ? PD_EIO : PD_EOLD;
  bool ours = memcmp(head.magic, magic, sizeof magic) == 0 && head.format == FORMAT &&
              head.kinds == PD_EVENT_KINDS && head.snapshot.shard == shard &&
              strncmp(head.service, service, sizeof head.service) == 0;
  if (!ours) return PD_EOLD;
  *snapshot = head.snapshot;
  return PD_OK;
}
