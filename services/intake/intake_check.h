/* intake_check - the command at hand, and the rules that several commands share.
 *
 * A check returns true when its rule holds; otherwise it has refused the command and returns false,
 * so that checks are joined by &&.  After a refusal nothing more may be said.
 */
#ifndef INTAKE_CHECK_H
#define INTAKE_CHECK_H

#include "services/intake/intake_moves.h"
#include "services/intake/intake_refusals.h"
#include "services/intake/intake_state.h"

struct intake_call;

/* What is fixed for a kind of command. */
struct intake_rule {
  const char *name;   /* as in the contract: the field of a refusal that is about no single field */
  uint32_t doors;     /* enum pd_role bits that may say it; PD_ROLE_OPS always may */
  uint32_t own_doors; /* doors at which the actor must be the person concerned */
  const char *person; /* names of fields for shared refusals; NULL if it has none */
  const char *order;
  const char *slot;
  bool (*run)(struct intake_call *call); /* check, say the events; false: refused */
};

/* The command at hand. */
struct intake_call {
  struct intake *self;
  const struct pd_request *request;
  const struct pd_command *command;
  struct pd_outbox *out;
  const struct intake_rule *rule;
  int64_t now_ms;
};

/* Names of a point and its parts. */
struct intake_point_names {
  const char *point;
  const char *datum;
  const char *lon;
  const char *lat;
};

/* Refuse; field NULL: the one of the row.  Always false. */
bool intake_refuse(const struct intake_call *call, enum intake_refusal refusal, const char *field);

/* true, or refuse with this row at this field. */
bool intake_require(const struct intake_call *call, bool holds, enum intake_refusal refusal,
                    const char *field);

/* Shard, key, actor, trace, seen, door: what every command has. */
bool intake_check_envelope(const struct intake_call *call);

/* Length in bytes within least .. most, and UTF-8 (else CODE_MALFORMED); text NULL counts as empty.
 */
bool intake_check_text(const struct intake_call *call, const char *text, size_t least, size_t most,
                       enum intake_refusal refusal, const char *field);

/* An enum value or number within least .. most. */
bool intake_check_range(const struct intake_call *call, int64_t value, int64_t least, int64_t most,
                        enum intake_refusal refusal, const char *field);

/* At most `most` skills of the contract, each once. */
bool intake_check_skills(const struct intake_call *call, const enum pd_skill *skills, size_t count,
                         size_t most, const char *field);

/* Demands of the contract, each once. */
bool intake_check_demands(const struct intake_call *call, const enum pd_demand *demands,
                          size_t count, const char *field);

/* Room in the shard for so many more credentials. */
bool intake_check_paper_room(const struct intake_call *call, uint32_t more);

/* A minor's guardian has consented, where that is said or needed. */
bool intake_check_guardian(const struct intake_call *call,
                           const struct pd_register_volunteer *body);

/* An order asks for no gender, or may do so. */
bool intake_check_gender(const struct intake_call *call, const struct pd_place_order *body);

/* Say the credentials that a registration brings with it. */
void intake_say_papers(const struct intake_call *call, const struct pd_register_volunteer *body);

/* A point on the earth; converted to WGS-84. */
bool intake_check_point(const struct intake_call *call, const struct pd_point *point,
                        const struct intake_point_names *names, struct pd_lonlat *place);

/* The same, within the district: the box of its sites and 5 km around it. */
bool intake_check_place(const struct intake_call *call, const struct pd_point *point,
                        const struct intake_point_names *names, struct pd_lonlat *place);

/* A registered person who is not erased; *index says which. */
bool intake_check_person(const struct intake_call *call, ProtobufCBinaryData id, const char *field,
                         uint32_t *index);

/* A volunteer who has not left (index and flags are left in *index and *flags), and who says so
 * himself at his own door. */
bool intake_check_active(const struct intake_call *call, ProtobufCBinaryData id, uint32_t *index,
                         unsigned *flags);

/* At the doors where a person speaks for himself, the actor is this person. */
bool intake_check_actor(const struct intake_call *call, uint32_t person);

/* An order that is not closed, in a state in which this may be done to it. */
bool intake_check_order(const struct intake_call *call, uint64_t number,
                        struct intake_order **order);
bool intake_check_move(const struct intake_call *call, const struct intake_order *order,
                       enum intake_move move);

/* Can one more person be registered, with the id that the door made? */
bool intake_check_newcomer(const struct intake_call *call);

/* The commands of the registry and of orders: struct intake_rule.run. */
bool intake_register_site(struct intake_call *call);
bool intake_register_team(struct intake_call *call);
bool intake_join_team(struct intake_call *call);
bool intake_register_volunteer(struct intake_call *call);
bool intake_pause_volunteer(struct intake_call *call);
bool intake_resume_volunteer(struct intake_call *call);
bool intake_exit_volunteer(struct intake_call *call);
bool intake_register_resident(struct intake_call *call);
bool intake_erase_person(struct intake_call *call);
bool intake_record_credential(struct intake_call *call);
bool intake_block_pair(struct intake_call *call);
bool intake_place_order(struct intake_call *call);
bool intake_cancel_order(struct intake_call *call);
bool intake_answer_offer(struct intake_call *call);
bool intake_withdraw(struct intake_call *call);
bool intake_start_service(struct intake_call *call);
bool intake_finish_service(struct intake_call *call);
bool intake_confirm_service(struct intake_call *call);
bool intake_rate_order(struct intake_call *call);
bool intake_decide_hold(struct intake_call *call);
bool intake_publish_external(struct intake_call *call);
bool intake_command_offer(struct intake_call *call);
bool intake_ask_for_order(struct intake_call *call);

#endif
