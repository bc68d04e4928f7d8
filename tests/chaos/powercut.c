/* powercut - a disk that forgets what was not synced, for one redis-server (LD_PRELOAD).
 *
 * kill -9 ends a process, but the kernel still writes its pages: a lost fsync cannot be shown so.
 * This shim keeps book, for all files below POWERCUT_DIR, of what would have survived if the power
 * had failed, and takes the rest away before the next start.
 *
 *     state/ledger   the book; shared memory of the server and the children it forks
 *     state/cut      "SEED drop" or "SEED torn": whoever kills -9 writes it first; the next start
 *                    finds it, takes away what was not durable, and removes it
 *     state/eio      the next fsync fails once with EIO, and makes nothing durable
 *     state/log      what each cut took
 *
 * The model (state is POWERCUT_STATE; README.md says what it leaves out):
 *   - a file is durable up to the length that it had when its last successful fsync or fdatasync
 *     began; of what was appended later nothing stays (drop), or a random first part (torn);
 *   - creating, renaming and unlinking are durable when the folder (a rename's new one) is synced;
 *     of later ones a random number stays, in their order (drop: none);
 *   - cutting a file shorter, and making a folder, is durable at once;
 *   - files only grow: a write below the durable length ends the server, loudly.
 * What is noted here is noted after the system call returned, so a kill between the two takes too
 * much, never too little: nobody had been told yet.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES 256
#define OPS   256
#define ROOM  512 /* of a path */
#define MAGIC 0x7061776572637574

enum op_kind { OP_CREATE, OP_RENAME, OP_UNLINK };

struct file {
  uint64_t inode; /* 0: free */
  int64_t durable;
};

struct op { /* of a folder that was not synced since */
  uint64_t folder;
  uint32_t kind;
  uint32_t kept; /* number of the link that keeps what the operation took away; 0: none */
  char path[ROOM];
  char other[ROOM]; /* a rename's target */
};

struct ledger {
  uint64_t magic;
  pthread_mutex_t lock;
  uint64_t syncs;
  uint32_t last_kept;
  uint32_t ops_count;
  struct file files[FILES];
  struct op ops[OPS];
};

static struct ledger *ledger; /* NULL: not watching */
static char watched[ROOM];
static char state[ROOM];
static uint64_t dice;

/* ---- the real calls ---- */

#define REAL(result, name, ...)                               \
  static result (*real_##name)(__VA_ARGS__);                  \
  __attribute__((constructor(101))) static void find_##name(void) { \
    *(void **)&real_##name = dlsym(RTLD_NEXT, #name);          \
  }

REAL(int, open, const char *, int, ...)
REAL(FILE *, fopen, const char *, const char *)
REAL(ssize_t, write, int, const void *, size_t)
REAL(ssize_t, pwrite, int, const void *, size_t, off_t)
REAL(ssize_t, writev, int, const struct iovec *, int)
REAL(int, fsync, int)
REAL(int, fdatasync, int)
REAL(int, ftruncate, int, off_t)
REAL(int, truncate, const char *, off_t)
REAL(int, rename, const char *, const char *)
REAL(int, unlink, const char *)

/* ---- small things ---- */

static void note(const char *format, ...) {
  char path[ROOM + 8], text[3 * ROOM];
  va_list list;
  va_start(list, format);
  int size = vsnprintf(text, sizeof text, format, list);
  va_end(list);
  snprintf(path, sizeof path, "%s/log", state);
  int fd = real_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return;
  if (real_write(fd, text, (size_t)size) != size) abort();
  close(fd);
}

static _Noreturn void broken(const char *what) {
  note("BROKEN MODEL: %s\n", what);
  fprintf(stderr, "powercut: %s\n", what);
  abort();
}

static uint64_t roll(uint64_t below) { /* splitmix64 */
  uint64_t z = (dice += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  z ^= z >> 31;
  return below == 0 ? 0 : z % below;
}

/* The children that Redis forks may be killed anywhere, in here too. */
static void lock(void) {
  if (pthread_mutex_lock(&ledger->lock) == EOWNERDEAD) pthread_mutex_consistent(&ledger->lock);
}

static void unlock(void) { pthread_mutex_unlock(&ledger->lock); }

/* The absolute path, if it is below the watched folder. */
static bool is_below(const char *path, char full[ROOM]) {
  char here[ROOM] = "";
  if (ledger == NULL || path == NULL) return false;
  if (path[0] != '/' && getcwd(here, sizeof here - 1) == NULL) return false;
  if (path[0] != '/') strcat(here, "/");
  int size = snprintf(full, ROOM, "%s%s", here, path);
  size_t length = strlen(watched);
  return size < ROOM && strncmp(full, watched, length) == 0 && full[length] == '/';
}

static uint64_t folder_of(const char *full) {
  char text[ROOM];
  struct stat st;
  snprintf(text, sizeof text, "%s", full);
  *strrchr(text, '/') = '\0';
  return stat(text, &st) == 0 ? st.st_ino : 0;
}

static void kept_path(uint32_t number, char path[ROOM + 32]) {
  snprintf(path, ROOM + 32, "%s/.powercut/%u", watched, number);
}

/* ---- the book: files ---- */

static struct file *find(uint64_t inode) {
  for (struct file *file = ledger->files; file < ledger->files + FILES; file++) {
    if (file->inode == inode) return file;
  }
  return NULL;
}

static void remember(uint64_t inode, int64_t durable) {
  struct file *file = find(inode);
  if (file == NULL) file = find(0);
  if (file == NULL) broken("more files than the ledger holds");
  *file = (struct file){.inode = inode, .durable = durable};
}

static void forget_last(const char *path) {
  struct stat st;
  if (lstat(path, &st) != 0 || st.st_nlink != 1) return;
  struct file *file = find(st.st_ino);
  if (file != NULL) file->inode = 0;
}

static bool is_watched(int fd, struct stat *st) {
  return ledger != NULL && fstat(fd, st) == 0 && S_ISREG(st->st_mode) && find(st->st_ino) != NULL;
}

/* ---- the book: folders ---- */

static struct op *add_op(enum op_kind kind, const char *path, const char *other) {
  if (ledger->ops_count == OPS) broken("more operations than the ledger holds");
  struct op *op = &ledger->ops[ledger->ops_count++];
  *op = (struct op){.kind = kind, .folder = folder_of(other == NULL ? path : other)};
  snprintf(op->path, sizeof op->path, "%s", path);
  snprintf(op->other, sizeof op->other, "%s", other == NULL ? "" : other);
  return op;
}

/* A new file that is renamed before its first folder was synced: from here on the rename counts. */
static void drop_create(const char *path) {
  for (uint32_t i = 0; i < ledger->ops_count; i++) {
    struct op *op = &ledger->ops[i];
    if (op->kind != OP_CREATE || strcmp(op->path, path) != 0) continue;
    memmove(op, op + 1, (--ledger->ops_count - i) * sizeof *op);
    return;
  }
}

/* Keep what a rename or an unlink is about to take away; 0: there was nothing. */
static uint32_t keep(const char *path) {
  char kept[ROOM + 32];
  uint32_t number = ++ledger->last_kept;
  kept_path(number, kept);
  real_unlink(kept);
  return link(path, kept) == 0 ? number : 0;
}

static void drop_kept(uint32_t number) {
  char kept[ROOM + 32];
  if (number == 0) return;
  kept_path(number, kept);
  forget_last(kept);
  real_unlink(kept);
}

static void folder_synced(uint64_t inode) {
  uint32_t left = 0;
  for (uint32_t i = 0; i < ledger->ops_count; i++) {
    if (ledger->ops[i].folder == inode)
      drop_kept(ledger->ops[i].kept);
    else
      ledger->ops[left++] = ledger->ops[i];
  }
  ledger->ops_count = left;
}

static void undo(const struct op *op) {
  char kept[ROOM + 32];
  kept_path(op->kept, kept);
  note("  undone: %s %s %s\n",
       op->kind == OP_CREATE ? "create" : (op->kind == OP_RENAME ? "rename" : "unlink"), op->path,
       op->other);
  if (op->kind == OP_CREATE) real_unlink(op->path);
  if (op->kind == OP_RENAME) {
    real_rename(op->other, op->path);
    if (op->kept != 0) real_rename(kept, op->other);
  }
  if (op->kind == OP_UNLINK && op->kept != 0) real_rename(kept, op->path);
}

/* ---- the cut ---- */

static bool is_torn;
static bool is_cutting;

static int visit(const char *path, const struct stat *st, int type, struct FTW *where) {
  (void)where;
  if (type != FTW_F || strstr(path, "/.powercut/") != NULL) return 0;
  struct file *file = find(st->st_ino);
  int64_t durable = file == NULL ? 0 : file->durable, size = st->st_size;
  if (is_cutting && size > durable) {
    uint64_t pending = (uint64_t)(size - durable);
    int64_t stays = is_torn ? (int64_t)roll(pending + 1) : 0;
    note("  %s: %lld synced, %llu pending, %lld of these stay\n", path, (long long)durable,
         (unsigned long long)pending, (long long)stays);
    size = durable + stays;
    if (real_truncate(path, size) != 0) broken("a file cannot be cut");
  }
  if (is_cutting || file == NULL) remember(st->st_ino, size);
  return 0;
}

static void cut(void) {
  uint32_t stay = is_torn ? (uint32_t)roll(ledger->ops_count + 1) : 0;
  for (uint32_t i = ledger->ops_count; i-- > stay;) undo(&ledger->ops[i]);
  for (uint32_t i = 0; i < stay; i++) drop_kept(ledger->ops[i].kept);
  ledger->ops_count = 0;
  is_cutting = true;
  nftw(watched, visit, 16, FTW_PHYS);
  is_cutting = false;
}

static void recover(void) {
  char path[ROOM + 8], text[64] = "", word[8] = "";
  unsigned long long seed = 0;
  snprintf(path, sizeof path, "%s/cut", state);
  int fd = real_open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  if (read(fd, text, sizeof text - 1) <= 0 || sscanf(text, "%llu %7s", &seed, word) != 2)
    broken("the file cut must be: SEED drop|torn");
  close(fd);
  dice = seed;
  is_torn = strcmp(word, "torn") == 0;
  note("cut: seed %llu, %s, after %llu syncs, %u operations of folders pending\n", seed, word,
       (unsigned long long)ledger->syncs, ledger->ops_count);
  cut();
  real_unlink(path);
}

/* ---- beginning ---- */

static void make_ledger(struct ledger *fresh) {
  pthread_mutexattr_t attributes;
  pthread_mutexattr_init(&attributes);
  pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  pthread_mutex_init(&fresh->lock, &attributes);
  fresh->magic = MAGIC;
}

__attribute__((constructor(200))) static void begin(void) {
  char path[ROOM + 16];
  const char *folder = getenv("POWERCUT_DIR"), *where = getenv("POWERCUT_STATE");
  if (folder == NULL || where == NULL) return;
  if (realpath(folder, path) == NULL || strlen(path) + 64 > ROOM) broken("POWERCUT_DIR");
  snprintf(watched, sizeof watched, "%.500s", path);
  snprintf(state, sizeof state, "%s", where);
  snprintf(path, sizeof path, "%s/.powercut", watched);
  mkdir(path, 0700);
  snprintf(path, sizeof path, "%s/ledger", state);
  int fd = real_open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || real_ftruncate(fd, sizeof *ledger) != 0) broken("POWERCUT_STATE");
  struct ledger *book =
      mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (book == MAP_FAILED) broken("the ledger cannot be mapped");
  bool fresh = book->magic != MAGIC;
  make_ledger(book); /* whoever shared it before is dead */
  ledger = book;
  recover();
  if (fresh) nftw(watched, visit, 16, FTW_PHYS); /* what was there before is taken for durable */
}

/* ---- the calls that Redis makes ---- */

static void opened(const char *full, bool was_there, bool emptied, const struct stat *st) {
  if (was_there && !emptied) return;
  lock();
  remember(st->st_ino, 0);
  if (!was_there) add_op(OP_CREATE, full, NULL);
  unlock();
}

static int open_and_note(const char *path, int flags, mode_t mode) {
  char full[ROOM];
  struct stat st;
  if ((flags & (O_CREAT | O_TRUNC)) == 0 || !is_below(path, full))
    return real_open(path, flags, mode);
  bool was_there = access(full, F_OK) == 0;
  int fd = real_open(path, flags, mode);
  int error = errno;
  if (fd >= 0 && fstat(fd, &st) == 0) opened(full, was_there, (flags & O_TRUNC) != 0, &st);
  errno = error;
  return fd;
}

static mode_t mode_of(int flags, va_list list) {
  return (flags & O_CREAT) != 0 ? va_arg(list, mode_t) : 0;
}

int open(const char *path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  mode_t mode = mode_of(flags, list);
  va_end(list);
  return open_and_note(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  mode_t mode = mode_of(flags, list);
  va_end(list);
  return open_and_note(path, flags, mode);
}

FILE *fopen(const char *path, const char *mode) {
  char full[ROOM];
  struct stat st;
  if (mode[0] == 'r' || !is_below(path, full)) return real_fopen(path, mode);
  bool was_there = access(full, F_OK) == 0;
  FILE *file = real_fopen(path, mode);
  int error = errno;
  if (file != NULL && fstat(fileno(file), &st) == 0) opened(full, was_there, mode[0] == 'w', &st);
  errno = error;
  return file;
}

FILE *fopen64(const char *path, const char *mode) { return fopen(path, mode); }

/* Files must only grow, or the book would be wrong. */
static void check_grows(int fd, off_t at) {
  struct stat st;
  if (!is_watched(fd, &st)) return;
  bool appends = (fcntl(fd, F_GETFL) & O_APPEND) != 0;
  if (at < 0) at = appends ? st.st_size : lseek(fd, 0, SEEK_CUR);
  lock();
  struct file *file = find(st.st_ino);
  bool below = file != NULL && at < file->durable;
  unlock();
  if (below) broken("a write into what was durable already");
}

ssize_t write(int fd, const void *bytes, size_t size) {
  check_grows(fd, -1);
  return real_write(fd, bytes, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  check_grows(fd, -1);
  return real_writev(fd, parts, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t at) {
  check_grows(fd, at);
  return real_pwrite(fd, bytes, size, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t size, off64_t at) {
  return pwrite(fd, bytes, size, at);
}

static bool must_fail(void) {
  char path[ROOM + 8];
  snprintf(path, sizeof path, "%s/eio", state);
  if (real_unlink(path) != 0) return false;
  note("eio: an fsync fails after %llu\n", (unsigned long long)ledger->syncs);
  errno = EIO;
  return true;
}

/* The length is read before the call: what another thread appends meanwhile is not covered. */
static int sync_and_note(int fd, int (*call)(int)) {
  struct stat st;
  if (ledger == NULL || fstat(fd, &st) != 0) return call(fd);
  bool folder = S_ISDIR(st.st_mode);
  if (!folder && !is_watched(fd, &st)) return call(fd);
  if (!folder && must_fail()) return -1;
  if (call(fd) != 0) return -1;
  lock();
  struct file *file = find(st.st_ino);
  if (folder) folder_synced(st.st_ino);
  if (!folder && file != NULL && file->durable < st.st_size) file->durable = st.st_size;
  ledger->syncs++;
  unlock();
  return 0;
}

int fsync(int fd) { return sync_and_note(fd, real_fsync); }
int fdatasync(int fd) { return sync_and_note(fd, real_fdatasync); }

static void shrunk(const struct stat *st, off_t size) {
  lock();
  struct file *file = find(st->st_ino);
  if (file != NULL && file->durable > size) file->durable = size;
  unlock();
}

int ftruncate(int fd, off_t size) {
  struct stat st;
  int result = real_ftruncate(fd, size);
  if (result == 0 && is_watched(fd, &st)) shrunk(&st, size);
  return result;
}

int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

int truncate(const char *path, off_t size) {
  char full[ROOM];
  struct stat st;
  int result = real_truncate(path, size);
  if (result == 0 && is_below(path, full) && stat(full, &st) == 0) shrunk(&st, size);
  return result;
}

int truncate64(const char *path, off64_t size) { return truncate(path, size); }

int rename(const char *from, const char *to) {
  char full_from[ROOM], full_to[ROOM];
  if (!is_below(from, full_from) || !is_below(to, full_to)) return real_rename(from, to);
  lock();
  uint32_t kept = keep(full_to);
  int result = real_rename(from, to), error = errno;
  if (result == 0) {
    drop_create(full_from);
    add_op(OP_RENAME, full_from, full_to)->kept = kept;
  } else {
    drop_kept(kept);
  }
  unlock();
  errno = error;
  return result;
}

int unlink(const char *path) {
  char full[ROOM];
  if (!is_below(path, full)) return real_unlink(path);
  lock();
  uint32_t kept = keep(full);
  int result = real_unlink(path), error = errno;
  if (result == 0)
    add_op(OP_UNLINK, full, NULL)->kept = kept;
  else
    drop_kept(kept);
  unlock();
  errno = error;
  return result;
}
