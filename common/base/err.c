#include "common/base/err.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const texts[PD_ERR_COUNT] = {
    [PD_OK] = "ok",
    [PD_EINVAL] = "not valid",
    [PD_EBOUNDS] = "over the limit",
    [PD_EFORMAT] = "not in the expected format",
    [PD_ECORRUPT] = "corrupted",
    [PD_ENOENT] = "not found",
    [PD_EEXIST] = "exists already",
    [PD_EIO] = "input or output failed",
    [PD_EAGAIN] = "not now",
    [PD_EDOWN] = "a needed server does not answer",
    [PD_EFENCED] = "another leader has written",
    [PD_EOLD] = "written by a newer version",
};

const char *pd_err_text(enum pd_err err) {
  return (unsigned)err < PD_ERR_COUNT ? texts[err] : "unknown error";
}

void pd_assert_failed(const char *what, const char *file, int line) {
  fprintf(stderr, "paidan: broken promise: %s at %s:%d\n", what, file, line);
  abort();
}
