/* keyfile - a CURVE key pair on disk, in the form that czmq and pyzmq call a certificate.
 *
 *     metadata
 *         name = "charity"
 *     curve
 *         public-key = "Z85 ..."
 *         secret-key = "Z85 ..."      (only in the secret file, mode 0600)
 */
#ifndef PD_IO_KEYFILE_H
#define PD_IO_KEYFILE_H

#include "common/base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define PD_KEYFILE_TEXT 41 /* a key in Z85, with its NUL */

struct pd_keyfile {
  char name[64];
  char public_key[PD_KEYFILE_TEXT];
  char secret_key[PD_KEYFILE_TEXT]; /* "" if the file holds none */
};

/* A fresh pair.  False without CURVE in libzmq. */
bool pd_keyfile_make(struct pd_keyfile *keys, const char *name);

/* Write one of its two files, which must not be there (PD_EEXIST); PD_EIO: not written. */
PD_MUST_USE enum pd_err pd_keyfile_write(const struct pd_keyfile *keys, const char *path,
                                          bool secret);

/* PD_ENOENT: no such file; PD_EINVAL: others may read a secret one; PD_EFORMAT: no keys in it. */
PD_MUST_USE enum pd_err pd_keyfile_read(const char *path, struct pd_keyfile *keys);

#endif
