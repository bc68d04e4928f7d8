/* grants - which keys the edge lets in, and what each may hear, see, say and publish.
 *
 *     keys:
 *       - name: charity                        # the principal of its commands; a-z first
 *         key: "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"   # its public CURVE key (Z85)
 *         roles: [resident]                    # doors whose commands it may say
 *         hear: ["37", "370302/order_placed"]  # adcode prefix, then maybe "/" and a kind's prefix
 *         redact: [order_placed.note, event.origin]         # fields that it does not see
 *         publish: [ext.charity.meal, "ext.charity.news*"]  # types that it may publish
 *
 * Lists may be left out; what is not granted is refused.  Anything that is not understood is
 * refused with line and column, and nothing of the file is taken.
 */
#ifndef GATEWAY_GRANTS_H
#define GATEWAY_GRANTS_H

#include "common/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GRANTS_KEYS 256
#define GRANTS_LIST 32         /* entries of one list */
#define GRANTS_NAME 33         /* bytes of a name, with its NUL */
#define GRANTS_TEXT 80         /* of any other entry */
#define GRANTS_FILE (1u << 20) /* bytes of a grants file */
#define GRANTS_KEY 32          /* bytes of a public key */
#define GRANTS_KEY_TEXT 41     /* the same in Z85, with its NUL */

/* A field that is left out: of the body `kind`, or of the event itself when kind is 0. */
struct grant_field {
  uint32_t kind;
  uint32_t field;
};

struct grant {
  char name[GRANTS_NAME];
  char key_text[GRANTS_KEY_TEXT];
  uint8_t key[GRANTS_KEY];
  uint32_t roles; /* PD_ROLE_s */
  uint32_t hears, redacts, publishes;
  char hear[GRANTS_LIST][GRANTS_TEXT];
  char redact[GRANTS_LIST][GRANTS_TEXT];
  char publish[GRANTS_LIST][GRANTS_TEXT];
  struct grant_field fields[GRANTS_LIST]; /* of redact, in its order */
};

struct grants {
  uint32_t count;
  struct grant keys[GRANTS_KEYS];
};

/* Read a grants file's text.  file is what messages call it.  PD_OK; PD_EINVAL: why is
 * "file:line:column: reason"; PD_EBOUNDS: too large. */
PD_MUST_USE enum pd_err grants_parse(const char *file, const uint8_t *yaml, size_t size,
                                     struct grants *grants, char *why, size_t why_size);

/* The same of a file on disk.  A file that is not there holds no keys (PD_ENOENT, why says so). */
PD_MUST_USE enum pd_err grants_load(const char *path, struct grants *grants, char *why,
                                    size_t why_size);

/* The text that grants_parse() would read back; the caller frees it.  NULL only without memory. */
char *grants_render(const struct grants *grants);

/* The grant of a name or a public key; NULL if there is none. */
const struct grant *grants_named(const struct grants *grants, const char *name);
const struct grant *grants_keyed(const struct grants *grants, const uint8_t key[GRANTS_KEY]);

/* Check one entry of a list and note it: NULL, or what is wrong with it.  kind: "roles", "hear",
 * "redact", "publish".  A full list is wrong, too. */
const char *grant_add(struct grant *grant, const char *list, const char *text);

/* Names and keys: NULL, or what is wrong. */
const char *grant_set_name(struct grant *grant, const char *text);
const char *grant_set_key(struct grant *grant, const char *text);

/* What a topic of this grant begins with: "", or its name and "/" when it has redactions.  view has
 * room for GRANTS_NAME + 1 bytes. */
void grant_view(const struct grant *grant, char *view);

/* May it hear this topic, "370302/order_placed", without its view? */
bool grant_hears(const struct grant *grant, const char *topic);

/* The prefix of topics in a shard that an entry of `hear` stands for; false if it is of other
 * districts.  prefix has room for GRANTS_TEXT + 8 bytes. */
bool grant_prefix(const char *entry, uint32_t shard, char *prefix);

/* May it publish this type? */
bool grant_publishes(const struct grant *grant, const char *type);

/* The names of roles, one for each bit, lowest first; NULL beyond the last. */
const char *grant_role_name(unsigned bit);

#endif
