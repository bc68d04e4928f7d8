/* Any bytes as a grants file: refused with a reason, or taken; what is taken is written and read
 * back the same.
 */
#include "common/base/err.h"
#include "services/gateway/grants.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

static struct grants taken, again;

static void check_grant(const struct grant *grant) {
  char view[GRANTS_NAME + 1], prefix[GRANTS_TEXT + 8];
  pd_assert(grant->name[0] >= 'a' && grant->name[0] <= 'z');
  pd_assert(grants_named(&taken, grant->name) == grant);
  pd_assert(grants_keyed(&taken, grant->key) == grant);
  pd_assert(grant->hears <= GRANTS_LIST && grant->redacts <= GRANTS_LIST);
  pd_assert(grant->publishes <= GRANTS_LIST);
  grant_view(grant, view);
  pd_assert((view[0] != 0) == (grant->redacts > 0));
  for (uint32_t i = 0; i < grant->hears; i++)
    if (grant_prefix(grant->hear[i], FUZZ_SHARD, prefix))
      pd_assert(strncmp(prefix, "370302", strnlen(prefix, 6)) == 0);
  for (uint32_t i = 0; i < grant->publishes; i++)
    pd_assert(strncmp(grant->publish[i], "ext.", 4) == 0);
  if (grant->publishes == 0) pd_assert(!grant_publishes(grant, "ext.charity.meal"));
  if (grant->hears == 0) pd_assert(!grant_hears(grant, "370302/order_placed"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char why[256] = "";
  enum pd_err err = grants_parse("f", data, size, &taken, why, sizeof why);
  pd_assert((err == PD_OK) == (why[0] == 0));
  if (err != PD_OK) return 0;
  for (uint32_t i = 0; i < taken.count; i++) check_grant(&taken.keys[i]);
  char *text = grants_render(&taken);
  pd_assert(text != NULL);
  err = grants_parse("g", (const uint8_t *)text, strlen(text), &again, why, sizeof why);
  pd_assert(err == PD_OK && again.count == taken.count);
  for (uint32_t i = 0; i < taken.count; i++) {
    const struct grant *a = &taken.keys[i], *b = &again.keys[i];
    pd_assert(strcmp(a->name, b->name) == 0 && memcmp(a->key, b->key, sizeof a->key) == 0);
    pd_assert(a->roles == b->roles && a->hears == b->hears && a->redacts == b->redacts);
    pd_assert(a->publishes == b->publishes && memcmp(a->hear, b->hear, sizeof a->hear) == 0);
  }
  free(text);
  return 0;
}

/* ---- seeds ---- */

#define KEY "\"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\""

size_t fuzz_seed(uint32_t index, uint8_t *data, size_t max) {
  static const char *const texts[] = {
      "keys:\n  - name: charity\n    key: " KEY "\n    roles: [resident]\n"
      "    hear: [\"37\", \"370302/order_placed\"]\n    redact: [order_placed.note, event.origin]\n"
      "    publish: [ext.charity.meal, \"ext.charity.news*\"]\n",
      "keys: []\n", "keys:\n  - {name: a, key: " KEY "}\n",
      "keys:\n  - name: a\n    key: \"short\"\n", "keys:\n  - name: A/b\n    key: " KEY "\n",
      "keys:\n  - {name: a, key: " KEY "}\n  - {name: a, key: " KEY "}\n",
      "keys:\n  - {name: a, key: " KEY ", hear: [\"x\", \"3703021\"], redact: [nothing.here]}\n",
      "keys: &k\n  - *k\n"};
  if (index >= sizeof texts / sizeof *texts || strlen(texts[index]) > max) return 0;
  memcpy(data, texts[index], strlen(texts[index]));
  return strlen(texts[index]);
}
