#include "services/gateway/events.h"

#include <string.h>

/* ---- leaving fields out ---- */

static bool leaves_out(const struct grant *grant, uint32_t kind, uint32_t number) {
  for (uint32_t i = 0; i < grant->redacts; i++)
    if (grant->fields[i].kind == kind && grant->fields[i].field == number) return true;
  return false;
}

static bool touches(const struct grant *grant, uint32_t kind) {
  for (uint32_t i = 0; i < grant->redacts; i++)
    if (grant->fields[i].kind == kind) return true;
  return false;
}

/* Copy a message without the fields left out of `kind`; a copy that breaks off where the bytes do.
 */
static uint8_t *copy_without(const uint8_t *at, const uint8_t *end, const struct grant *grant,
                             uint32_t kind, uint8_t *out) {
  struct pd_field field;
  while (pd_field_next(&at, end, &field)) {
    if (leaves_out(grant, kind, field.number)) continue;
    size_t size = (size_t)(field.end - field.start);
    memcpy(out, field.start, size);
    out += size;
  }
  return out;
}

/* The body with its tag and its new length. */
static uint8_t *copy_body(const struct pd_field *body, const struct grant *grant, uint8_t *out) {
  uint8_t *content = out + pd_varint_size((uint64_t)body->number << 3) + pd_varint_size(body->size);
  uint8_t *end = copy_without(body->data, body->data + body->size, grant, body->number, content);
  size_t size = (size_t)(end - content);
  out = pd_varint_write(out, (uint64_t)body->number << 3 | PD_WIRE_BYTES);
  out = pd_varint_write(out, size);
  memmove(out, content, size);
  return out + size;
}

size_t edge_event_redact(const struct pd_event_view *event, const struct grant *grant,
                         uint8_t *out) {
  struct pd_field field;
  const uint8_t *at = event->bytes;
  uint8_t *to = out;
  while (pd_field_next(&at, event->bytes + event->size, &field)) {
    bool body = field.number >= PD_BODY_FIRST && field.type == PD_WIRE_BYTES;
    if (!body && leaves_out(grant, 0, field.number)) continue;
    if (body && touches(grant, field.number)) {
      to = copy_body(&field, grant, to);
      continue;
    }
    size_t size = (size_t)(field.end - field.start);
    memcpy(to, field.start, size);
    to += size;
  }
  return (size_t)(to - out);
}
