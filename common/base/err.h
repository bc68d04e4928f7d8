/* err - what can go wrong outside, and what must never go wrong inside.
 *
 * A function that can fail for a reason of the outside world returns an enum pd_err by value; the
 * caller must use it.  A promise broken by our own code is no error: pd_assert ends the process, in
 * production too.
 */
#ifndef PD_BASE_ERR_H
#define PD_BASE_ERR_H

enum pd_err {
  PD_OK = 0,
  PD_EINVAL,   /* an argument or a piece of input breaks its rule */
  PD_EBOUNDS,  /* longer, larger or more than the limit */
  PD_EFORMAT,  /* bytes that are not what they should be */
  PD_ECORRUPT, /* a checksum or a hash chain does not hold */
  PD_ENOENT,   /* not there */
  PD_EEXIST,   /* there already */
  PD_EIO,      /* the operating system refused or failed */
  PD_EAGAIN,   /* not now */
  PD_EDOWN,    /* a server that is needed does not answer */
  PD_EFENCED,  /* another leader has written to the log */
  PD_EOLD,     /* written by a newer version of this program */
  PD_ERR_COUNT
};

#define PD_MUST_USE __attribute__((warn_unused_result))

/* A lower-case English phrase for the error; never NULL, never freed. */
const char *pd_err_text(enum pd_err err);

/* Exit codes of every program. */
enum pd_exit {
  PD_EXIT_OK = 0,
  PD_EXIT_FAULT = 1,  /* the work was done and found wrong, or failed */
  PD_EXIT_USAGE = 2,  /* the command line is not understood */
  PD_EXIT_DOWN = 69,  /* a dependency does not answer */
  PD_EXIT_CONFIG = 78 /* bad configuration, or older than the log */
};

/* Print where and what, then abort. */
_Noreturn void pd_assert_failed(const char *what, const char *file, int line);

#define pd_assert(condition) \
  ((condition) ? (void)0 : pd_assert_failed(#condition, __FILE__, __LINE__))

#endif
