/* What outside services say in their own words: checked for form, logged, and passed on unread. */
#include "common/base/err.h"
#include "services/intake/intake_check.h"

#include <string.h>

#define EXTERNAL_WORD_MAX 32
#define SCHEMA_MAX 96
#define EXTERNAL_MAX 16384

/* One word of a type: [a-z0-9_], 1 to 32 bytes; returns its length, 0 if it is none. */
static size_t word_length(const char *text) {
  size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_");
  pd_assert(length <= strlen(text));
  return length <= EXTERNAL_WORD_MAX ? length : 0;
}

static bool is_type(const char *type) {
  pd_assert(type != NULL);
  if (strncmp(type, "ext.", 4) != 0) return false;
  const char *source = type + 4;
  size_t length = word_length(source);
  if (length == 0 || source[length] != '.') return false;
  const char *name = source + length + 1;
  length = word_length(name);
  return length > 0 && name[length] == '\0';
}

bool intake_publish_external(struct intake_call *call) {
  pd_assert(call->command->body_case == PD_COMMAND_PUBLISH_EXTERNAL);
  const struct pd_publish_external *body = call->command->publish_external;
  bool type = body->type != NULL && is_type(body->type);
  bool right =
      intake_require(call, type, INTAKE_NO_EXTERNAL_TYPE, NULL) &&
      intake_check_text(call, body->schema, 1, SCHEMA_MAX, INTAKE_NO_EXTERNAL_SCHEMA, NULL) &&
      intake_require(call, body->payload.len <= EXTERNAL_MAX, INTAKE_NO_EXTERNAL_PAYLOAD, NULL);
  if (!right) return false;
  struct pd_external_noted said = PD_EXTERNAL_NOTED_INIT;
  said.type = body->type;
  said.schema = body->schema;
  said.payload = body->payload;
  pd_emit_external_noted(call->out, &said);
  return true;
}
