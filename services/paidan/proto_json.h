/* proto_json - any message of the contract as JSON, by a walk over its descriptor.
 *
 *     enums       their names without the type's prefix, in lower case: REASON_SKILL -> "skill"; a
 * number if unknown bytes       lower-case hexadecimal 64 bits     a number below 2^53, else a text
 * of digits x_ms        also "x": the same time as text, local to the zone a oneof     only its
 * member that is set; messages that are absent are left out; all other fields are always there
 */
#ifndef PAIDAN_PROTO_JSON_H
#define PAIDAN_PROTO_JSON_H

#include "common/wire/core.h"

#include "pd_names.h"

#include <jansson.h>

/* A new object; never NULL (a broken text inside becomes null). */
json_t *proto_json(const ProtobufCMessage *message, int32_t zone_min);

/* An event: what proto_json() gives, with "kind" (the body's name), "cause" and "origin" only where
 * they are. */
json_t *proto_json_event(const struct pd_event *event, int32_t zone_min);

/* Name of an event's kind, e.g. "order_placed"; "unknown" for a kind of a newer version. */
const char *proto_kind(const struct pd_event *event);

/* The body of an event; NULL for an unknown kind. */
const ProtobufCMessage *proto_body(const struct pd_event *event);

/* The short name of an enum's value, in buffer; its number if it has none.  Returns buffer. */
#define PROTO_NAME 48
const char *proto_enum(const ProtobufCEnumDescriptor *type, int value, char buffer[PROTO_NAME]);

/* The value of a short name ("skill", case does not matter); -1 if there is none. */
int proto_enum_value(const ProtobufCEnumDescriptor *type, const char *name);

/* An unsigned or enum field of a message by its name, e.g. "order"; false if the message has no
 * such field. */
bool proto_number(const ProtobufCMessage *message, const char *field, uint64_t *value);

/* A 16-byte field of a message by its name, e.g. "volunteer"; false if there is none of that size.
 */
bool proto_id(const ProtobufCMessage *message, const char *field, struct pd_id *id);

#endif
