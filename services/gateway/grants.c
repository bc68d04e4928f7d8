#include "services/gateway/grants.h"

#include "common/wire/core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define DIGITS "0123456789"

static const char *const role_names[] = {"resident", "volunteer", "site", "ops"};
#define ROLES (sizeof role_names / sizeof role_names[0])

const char *grant_role_name(unsigned bit) { return bit < ROLES ? role_names[bit] : NULL; }

/* ---- one grant ---- */

const char *grant_set_name(struct grant *grant, const char *text) {
  size_t length = strlen(text);
  bool plain = text[strspn(text, LOWER DIGITS "._-")] == '\0';
  if (length == 0 || length >= GRANTS_NAME || !plain || strchr(LOWER, text[0]) == NULL)
    return "a name is 1 to 32 of a-z, 0-9, '.', '_' and '-', and begins with a letter";
  memcpy(grant->name, text, length + 1);
  return NULL;
}

const char *grant_set_key(struct grant *grant, const char *text) {
  static const char wrong[] = "a public key is 40 characters of Z85, as `paidan key new` prints it";
  if (strlen(text) != GRANTS_KEY_TEXT - 1 || zmq_z85_decode(grant->key, text) == NULL) return wrong;
  char again[GRANTS_KEY_TEXT];
  zmq_z85_encode(again, grant->key, GRANTS_KEY);
  if (strcmp(again, text) != 0) return wrong; /* characters outside of Z85 */
  memcpy(grant->key_text, text, GRANTS_KEY_TEXT);
  return NULL;
}

static const char *add_role(struct grant *grant, const char *text) {
  for (unsigned bit = 0; bit < ROLES; bit++) {
    if (strcmp(text, role_names[bit]) != 0) continue;
    grant->roles |= 1u << bit;
    return NULL;
  }
  return "a role is resident, volunteer, site or ops";
}

static const char *check_hear(const char *text) {
  size_t code = strspn(text, DIGITS);
  const char *kind = text + code + 1;
  bool right = code <= 6 && (text[code] == '\0' ||
                             (text[code] == '/' && kind[strspn(kind, LOWER DIGITS "._")] == '\0'));
  return right ? NULL
               : "what it hears is an adcode or the beginning of one, and maybe '/' and a kind: "
                 "\"3703\", \"370302/order_placed\", \"/order_\"";
}

/* "order_placed.note", or "event.origin" for the event itself. */
static const char *find_field(const char *text, struct grant_field *found) {
  static const char wrong[] =
      "no event has such a field: write KIND.FIELD as in event.proto, or "
      "event.origin, event.cause, event.trace";
  char kind[GRANTS_TEXT];
  const char *dot = strchr(text, '.');
  if (dot == NULL) return wrong;
  snprintf(kind, sizeof kind, "%.*s", (int)(dot - text), text);
  bool own = strcmp(kind, "event") == 0;
  const ProtobufCMessageDescriptor *type = &pd_event_descriptor;
  const ProtobufCFieldDescriptor *body =
      own ? NULL : protobuf_c_message_descriptor_get_field_by_name(type, kind);
  if (!own && (body == NULL || (body->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0)) return wrong;
  if (!own) type = body->descriptor;
  const ProtobufCFieldDescriptor *field =
      protobuf_c_message_descriptor_get_field_by_name(type, dot + 1);
  bool open = field != NULL && (!own || strcmp(dot + 1, "origin") == 0 ||
                                strcmp(dot + 1, "cause") == 0 || strcmp(dot + 1, "trace") == 0);
  if (!open) return wrong;
  *found = (struct grant_field){.kind = own ? 0 : body->id, .field = field->id};
  return NULL;
}

static const char *check_publish(const char *text) {
  const char *source = text + 4;
  size_t length = strncmp(text, "ext.", 4) == 0 ? strspn(source, LOWER DIGITS "_") : 0;
  bool right = length > 0 && length <= 32 && source[length] == '.';
  const char *name = right ? source + length + 1 : "";
  length = strspn(name, LOWER DIGITS "_");
  bool all = name[length] == '*' && name[length + 1] == '\0';
  right = right && length <= 32 && (all || (length > 0 && name[length] == '\0'));
  return right ? NULL : "a type is ext.SOURCE.NAME, or ext.SOURCE.NA* for all that begin so";
}

const char *grant_add(struct grant *grant, const char *list, const char *text) {
  if (strcmp(list, "roles") == 0) return add_role(grant, text);
  if (strlen(text) >= GRANTS_TEXT) return "longer than 79 bytes";
  bool hear = strcmp(list, "hear") == 0, publish = strcmp(list, "publish") == 0;
  uint32_t *count = hear ? &grant->hears : publish ? &grant->publishes : &grant->redacts;
  if (*count == GRANTS_LIST) return "more than 32 entries in one list";
  char(*entries)[GRANTS_TEXT] = hear ? grant->hear : publish ? grant->publish : grant->redact;
  const char *wrong = hear      ? check_hear(text)
                      : publish ? check_publish(text)
                                : find_field(text, &grant->fields[*count]);
  if (wrong != NULL) return wrong;
  snprintf(entries[*count], GRANTS_TEXT, "%s", text);
  (*count)++;
  return NULL;
}

/* ---- what it allows ---- */

void grant_view(const struct grant *grant, char *view) {
  view[0] = '\0';
  if (grant->redacts > 0) snprintf(view, GRANTS_NAME + 1, "%s/", grant->name);
}

bool grant_prefix(const char *entry, uint32_t shard, char *prefix) {
  char code[8];
  size_t length = strspn(entry, DIGITS);
  snprintf(code, sizeof code, "%06u", shard % 1000000);
  if (length > 6 || strncmp(entry, code, length) != 0) return false;
  snprintf(prefix, GRANTS_TEXT + 8, "%s/%s", code, entry[length] == '/' ? entry + length + 1 : "");
  return true;
}

bool grant_hears(const struct grant *grant, const char *topic) {
  uint32_t shard = (uint32_t)strtoul(topic, NULL, 10);
  char prefix[GRANTS_TEXT + 8];
  for (uint32_t i = 0; i < grant->hears; i++) {
    if (!grant_prefix(grant->hear[i], shard, prefix)) continue;
    if (strncmp(topic, prefix, strlen(prefix)) == 0) return true;
  }
  return false;
}

bool grant_publishes(const struct grant *grant, const char *type) {
  for (uint32_t i = 0; i < grant->publishes; i++) {
    const char *entry = grant->publish[i];
    size_t length = strcspn(entry, "*");
    if (strncmp(type, entry, length) == 0 && (entry[length] == '*' || type[length] == '\0'))
      return true;
  }
  return false;
}

const struct grant *grants_named(const struct grants *grants, const char *name) {
  for (uint32_t i = 0; i < grants->count; i++)
    if (strcmp(grants->keys[i].name, name) == 0) return &grants->keys[i];
  return NULL;
}

const struct grant *grants_keyed(const struct grants *grants, const uint8_t key[GRANTS_KEY]) {
  for (uint32_t i = 0; i < grants->count; i++)
    if (memcmp(grants->keys[i].key, key, GRANTS_KEY) == 0) return &grants->keys[i];
  return NULL;
}

/* ---- as a text ---- */

static void write_list(FILE *out, const char *name, const char (*entries)[GRANTS_TEXT],
                       uint32_t count) {
  if (count == 0) return;
  fprintf(out, "    %s: [", name);
  for (uint32_t i = 0; i < count; i++) fprintf(out, "%s\"%s\"", i == 0 ? "" : ", ", entries[i]);
  fprintf(out, "]\n");
}

static void write_grant(FILE *out, const struct grant *grant) {
  fprintf(out, "  - name: %s\n    key: \"%s\"\n", grant->name, grant->key_text);
  const char *between = "";
  if (grant->roles != 0) fprintf(out, "    roles: [");
  for (unsigned bit = 0; bit < ROLES; bit++) {
    if ((grant->roles & 1u << bit) == 0) continue;
    fprintf(out, "%s%s", between, role_names[bit]);
    between = ", ";
  }
  if (grant->roles != 0) fprintf(out, "]\n");
  write_list(out, "hear", grant->hear, grant->hears);
  write_list(out, "redact", grant->redact, grant->redacts);
  write_list(out, "publish", grant->publish, grant->publishes);
}

char *grants_render(const struct grants *grants) {
  char *text = NULL;
  size_t size = 0;
  FILE *out = open_memstream(&text, &size);
  if (out == NULL) return NULL;
  fprintf(out,
          "# Keys that the edge lets in.  `paidan key grant` writes this file anew; the edge "
          "reads it on SIGHUP.\n");
  fprintf(out, grants->count == 0 ? "keys: []\n" : "keys:\n");
  for (uint32_t i = 0; i < grants->count; i++) write_grant(out, &grants->keys[i]);
  return fclose(out) == 0 ? text : NULL;
}
