/* keyfile - a CURVE key pair on disk, in the form that czmq and pyzmq call a certificate.
 *
 *     metadata
 *         name = "charity"
 *     curve
 *         public-key = "Z85 ..."
 *         secret-key = "Z85 ..."      (only in the secret file, mode 0600)
 */
#ifndef GATEWAY_KEYFILE_H
#define GATEWAY_KEYFILE_H

#include "common/base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define KEYFILE_TEXT 41 /* a key in Z85, with its NUL */

struct keyfile {
  char name[64];
  char public_key[KEYFILE_TEXT];
  char secret_key[KEYFILE_TEXT]; /* "" if the file holds none */
};

/* A fresh pair.  False without CURVE in libzmq. */
bool keyfile_make(struct keyfile *keys, const char *name);

/* Write one of its two files, which must not be there (PD_EEXIST); PD_EIO: not written. */
PD_MUST_USE enum pd_err keyfile_write(const struct keyfile *keys, const char *path, bool secret);

/* PD_ENOENT: no such file; PD_EINVAL: others may read a secret one; PD_EFORMAT: no keys in it. */
PD_MUST_USE enum pd_err keyfile_read(const char *path, struct keyfile *keys);

#endif
