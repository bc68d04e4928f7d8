#include "common/io/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

bool pd_keyfile_make(struct pd_keyfile *keys, const char *name) {
  memset(keys, 0, sizeof *keys);
  (void)snprintf(keys->name, sizeof keys->name, "%s", name);
  return zmq_curve_keypair(keys->public_key, keys->secret_key) == 0;
}

enum pd_err pd_keyfile_write(const struct pd_keyfile *keys, const char *path, bool secret) {
  char text[512];
  int size = snprintf(text, sizeof text,
                      "#   CURVE key of %s for Paidan's edge%s\nmetadata\n    name = \"%s\"\n"
                      "curve\n    public-key = \"%s\"\n",
                      keys->name, secret ? "; keep it secret" : "", keys->name, keys->public_key);
  if (secret)
    size += snprintf(text + size, sizeof text - (size_t)size, "    secret-key = \"%s\"\n",
                     keys->secret_key);
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, secret ? 0600 : 0644);
  if (fd < 0) return errno == EEXIST ? PD_EEXIST : PD_EIO;
  bool good = write(fd, text, (size_t)size) == size && fsync(fd) == 0;
  good = close(fd) == 0 && good;
  sodium_memzero(text, sizeof text);
  if (good) return PD_OK;
  (void)unlink(path);
  return PD_EIO;
}

/* `name = "value"` in a line of the file; value has room for size bytes. */
static void take_value(const char *text, const char *name, char *value, size_t size) {
  const char *at = strstr(text, name);
  const char *open = at == NULL ? NULL : strchr(at, '"');
  const char *end = open == NULL ? NULL : strchr(open + 1, '"');
  if (end == NULL || (size_t)(end - open - 1) >= size) return;
  memcpy(value, open + 1, (size_t)(end - open - 1));
  value[end - open - 1] = '\0';
}

enum pd_err pd_keyfile_read(const char *path, struct pd_keyfile *keys) {
  char text[2048];
  struct stat status;
  memset(keys, 0, sizeof *keys);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return PD_ENOENT;
  ssize_t size = read(fd, text, sizeof text - 1);
  bool known = fstat(fd, &status) == 0;
  (void)close(fd);
  text[size > 0 ? size : 0] = '\0';
  take_value(text, "name =", keys->name, sizeof keys->name);
  take_value(text, "public-key =", keys->public_key, sizeof keys->public_key);
  take_value(text, "secret-key =", keys->secret_key, sizeof keys->secret_key);
  sodium_memzero(text, sizeof text);
  if (!known || strlen(keys->public_key) != PD_KEYFILE_TEXT - 1) return PD_EFORMAT;
  if (keys->secret_key[0] == '\0') return PD_OK;
  return (status.st_mode & 077) == 0 ? PD_OK : PD_EINVAL;
}
