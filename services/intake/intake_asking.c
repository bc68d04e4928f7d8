/* Who is to be invited: a coordinator names somebody, a volunteer asks in the open hall.  Intake
 * records who asked; matching answers. */
#include "common/base/err.h"
#include "services/intake/intake_check.h"

#define NOTE_MAX 512

static bool check_reason(const struct intake_call *call, const struct pd_command_offer *body) {
  pd_assert(body->note != NULL);
  bool words = body->reason != PD_COMMAND_REASON_OTHER || body->note[0] != 0;
  return intake_check_range(call, body->reason, PD_COMMAND_REASON_KNOWN, PD_COMMAND_REASON_OTHER,
                            INTAKE_NO_COMMAND_REASON, NULL) &&
         intake_check_text(call, body->note, 0, NOTE_MAX, INTAKE_NO_COMMAND_NOTE, NULL) &&
         intake_require(call, words, INTAKE_NO_COMMAND_WORDS, NULL);
}

/* An order that still takes helpers, and a volunteer who may be one. */
static bool check_pair(const struct intake_call *call, uint64_t number,
                       ProtobufCBinaryData person) {
  struct intake_order *order = NULL;
  uint32_t index = PD_NONE;
  unsigned flags = 0;
  pd_assert(call->rule->order != NULL && call->rule->person != NULL);
  return intake_check_active(call, person, &index, &flags) &&
         intake_check_order(call, number, &order) && intake_check_move(call, order, INTAKE_ASK);
}

bool intake_command_offer(struct intake_call *call) {
  pd_assert(call->command->body_case == PD_COMMAND_COMMAND_OFFER);
  const struct pd_command_offer *body = call->command->command_offer;
  if (!check_pair(call, body->order, body->volunteer) || !check_reason(call, body)) return false;
  struct pd_offer_commanded said = PD_OFFER_COMMANDED_INIT;
  said.order = body->order;
  said.volunteer = body->volunteer;
  said.reason = body->reason;
  said.note = call->request->note;
  said.principal = (char *)call->request->principal; /* nothing writes to what is packed */
  pd_emit_offer_commanded(call->out, &said);
  pd_assert(call->out->emitted == 1);
  return true;
}

bool intake_ask_for_order(struct intake_call *call) {
  pd_assert(call->command->body_case == PD_COMMAND_ASK_FOR_ORDER);
  const struct pd_ask_for_order *body = call->command->ask_for_order;
  if (!check_pair(call, body->order, body->volunteer)) return false;
  struct pd_order_asked said = PD_ORDER_ASKED_INIT;
  said.order = body->order;
  said.volunteer = body->volunteer;
  pd_emit_order_asked(call->out, &said);
  pd_assert(call->out->emitted == 1);
  return true;
}
