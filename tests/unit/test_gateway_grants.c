#include "services/gateway/grants.h"
#include "common/io/keyfile.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
#define OTHER "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"

static struct grants grants;
static char why[512];

static enum pd_err parse(const char *text) {
  return grants_parse("g", (const uint8_t *)text, strlen(text), &grants, why, sizeof why);
}

static void refused(const char *text, const char *reason) {
  cr_assert_eq(parse(text), PD_EINVAL, "%s was taken", text);
  cr_assert_eq(strncmp(why, reason, strlen(reason)), 0, "said \"%s\", not \"%s\"", why, reason);
  cr_assert_eq(grants.count, 0, "nothing of a bad file is taken");
}

Test(gateway_grants, a_file_says_who_may_do_what) {
  cr_assert_eq(parse("# comment\nkeys:\n  - name: charity\n    key: \"" KEY "\"\n"
                     "    roles: [resident, site]\n    hear: [\"37\", \"110105/order_\"]\n"
                     "    redact: [order_placed.note, event.origin]\n"
                     "    publish: [ext.charity.meal, \"ext.charity.n*\"]\n"
                     "  - {name: b, key: \"" OTHER "\"}\n"),
               PD_OK, "%s", why);
  cr_assert_eq(grants.count, 2);
  const struct grant *grant = grants_named(&grants, "charity");
  cr_assert_eq(grant->roles, 5);
  cr_assert(grant_hears(grant, "370302/order_placed"));
  cr_assert(grant_hears(grant, "110105/order_placed"));
  cr_assert_not(grant_hears(grant, "110105/offer_made"));
  cr_assert_not(grant_hears(grant, "110106/order_placed"));
  cr_assert(grant_publishes(grant, "ext.charity.meal"));
  cr_assert(grant_publishes(grant, "ext.charity.news"));
  cr_assert_not(grant_publishes(grant, "ext.charity.meals"));
  cr_assert_not(grant_publishes(grant, "ext.other.meal"));
  char view[GRANTS_NAME + 1];
  grant_view(grant, view);
  cr_assert_str_eq(view, "charity/");
  const struct grant *other = grants_named(&grants, "b");
  grant_view(other, view);
  cr_assert_str_eq(view, "");
  cr_assert_eq(grants_keyed(&grants, other->key), other);
  cr_assert_not(grant_hears(other, "370302/order_placed"), "what is not granted is refused");
}

Test(gateway_grants, a_file_without_keys_lets_nobody_in) {
  cr_assert_eq(parse(""), PD_OK);
  cr_assert_eq(parse("# nothing\n"), PD_OK);
  cr_assert_eq(parse("keys: []\n"), PD_OK);
  cr_assert_eq(grants.count, 0);
}

Test(gateway_grants, what_is_wrong_is_named_with_line_and_column) {
  refused("keys: 3\n", "g:1:7: a list of keys is expected here");
  refused("key: []\n", "g:1:1: one list called keys");
  refused("keys: []\nkeys: []\n", "g:2:1: one list called keys");
  refused("- a\n", "g:1:1: keys: is expected");
  refused("keys:\n  - name: A\n", "g:2:11: a name is");
  refused("keys:\n  - name: a/b\n", "g:2:11: a name is");
  refused("keys:\n  - name: a\n    key: short\n", "g:3:10: a public key is");
  refused("keys:\n  - name: a\n    wishes: []\n", "g:3:5: unknown \"wishes\"");
  refused("keys:\n  - name: a\n    name: b\n", "g:3:5: name is given twice");
  refused("keys:\n  - name: a\n", "g:2:5: a key needs name and key");
  refused("keys:\n  - roles: [king]\n", "g:2:13: roles: a role is");
  refused("keys:\n  - roles: resident\n", "g:2:12: a list");
  refused("keys:\n  - hear: [1234567]\n", "g:2:12: hear: ");
  refused("keys:\n  - hear: [\"37/a\"]\n  - hear: [\"37/A\"]\n", "g:2:5: a key needs");
  refused("keys:\n  - redact: [order_placed.nothing]\n", "g:2:14: redact: no event");
  refused("keys:\n  - redact: [event.seq]\n", "g:2:14: redact: no event");
  refused("keys:\n  - redact: [seq.seq]\n", "g:2:14: redact: no event");
  refused("keys:\n  - publish: [order_placed]\n", "g:2:15: publish: a type");
  refused("keys:\n  - publish: [ext.a.b.c]\n", "g:2:15: publish: a type");
  refused("keys: [\n", "g:2:1: ");
  refused("keys: &a [*a]\n", "g:1:11: a key with name");
  refused("keys:\n  - {name: a, key: \"" KEY "\"}\n  - {name: a, key: \"" OTHER "\"}\n",
          "g:3:12: stands here twice");
  refused("keys:\n  - {name: a, key: \"" KEY "\"}\n  - {name: b, key: \"" KEY "\"}\n",
          "g:3:20: stands here twice");
}

Test(gateway_grants, a_deep_file_ends_at_its_first_level) {
  static char deep[100000];
  memset(deep, '[', sizeof deep - 1);
  cr_assert_eq(parse(deep), PD_EINVAL);
  memcpy(deep, "keys: ", 6);
  cr_assert_eq(parse(deep), PD_EINVAL);
}

Test(gateway_grants, what_is_written_is_read_back) {
  struct grant *grant = &grants.keys[0];
  grants.count = 2;
  cr_assert_null(grant_set_name(grant, "charity"));
  cr_assert_null(grant_set_key(grant, KEY));
  cr_assert_null(grant_add(grant, "roles", "volunteer"));
  cr_assert_null(grant_add(grant, "hear", "370302/order_placed"));
  cr_assert_null(grant_add(grant, "redact", "slot_filled.volunteer"));
  cr_assert_null(grant_add(grant, "publish", "ext.a.b*"));
  cr_assert_null(grant_set_name(&grants.keys[1], "b"));
  cr_assert_null(grant_set_key(&grants.keys[1], OTHER));
  struct grants *before = malloc(sizeof *before);
  memcpy(before, &grants, sizeof grants);
  char *text = grants_render(&grants);
  cr_assert_eq(parse(text), PD_OK, "%s: %s", why, text);
  cr_assert_eq(memcmp(before, &grants, sizeof grants), 0);
  free(text);
  free(before);
}

Test(gateway_grants, a_list_has_at_most_32_entries_and_a_file_256_keys) {
  struct grant *grant = calloc(1, sizeof *grant);
  for (int i = 0; i < GRANTS_LIST; i++) cr_assert_null(grant_add(grant, "hear", "37"));
  cr_assert_not_null(grant_add(grant, "hear", "37"));
  free(grant);
  char *text = NULL, key[41];
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  fprintf(out, "keys:\n");
  for (int i = 0; i <= GRANTS_KEYS; i++) {
    struct pd_keyfile keys;
    cr_assert(pd_keyfile_make(&keys, "x"));
    memcpy(key, keys.public_key, sizeof key);
    fprintf(out, "  - {name: k%d, key: \"%s\"}\n", i, key);
  }
  fclose(out);
  refused(text, "g:258:5: more than 256 keys");
  free(text);
}

Test(gateway_grants, a_key_file_is_read_back_and_guarded) {
  char folder[] = "/tmp/paidan-keys.XXXXXX", path[64];
  cr_assert_not_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/a.key_secret", folder);
  struct pd_keyfile made, read;
  cr_assert(pd_keyfile_make(&made, "a"));
  cr_assert_eq(pd_keyfile_write(&made, path, true), PD_OK);
  cr_assert_eq(pd_keyfile_write(&made, path, true), PD_EEXIST, "an old key is never overwritten");
  struct stat status;
  cr_assert_eq(stat(path, &status), 0);
  cr_assert_eq(status.st_mode & 0777, 0600);
  cr_assert_eq(pd_keyfile_read(path, &read), PD_OK);
  cr_assert_eq(memcmp(&made, &read, sizeof made), 0);
  chmod(path, 0644);
  cr_assert_eq(pd_keyfile_read(path, &read), PD_EINVAL, "others may read it");
  unlink(path);
  cr_assert_eq(pd_keyfile_write(&made, path, false), PD_OK);
  cr_assert_eq(pd_keyfile_read(path, &read), PD_OK);
  cr_assert_str_eq(read.secret_key, "");
  unlink(path);
  rmdir(folder);
}
