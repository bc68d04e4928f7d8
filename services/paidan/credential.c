/* volunteer credential, volunteer block - what is put on record about people. */
#include "services/paidan/data.h"
#include "services/paidan/papers.h"
#include "services/paidan/proto_json.h"
#include "services/paidan/tool.h"

#include <stdio.h>
#include <string.h>

static int read_period(struct tool *tool, struct pd_record_credential *body) {
  const char *from = args_get(&tool->args, "from"), *until = args_get(&tool->args, "until");
  bool withdraw = args_get(&tool->args, "withdraw") != NULL;
  if (withdraw && until != NULL)
    return tool_usage(tool, "--withdraw and --until exclude each other");
  if (from != NULL && !papers_time(from, tool->zone_min, false, &body->from_ms))
    return tool_usage(tool, "--from is a day like 2026-03-01, or a time with its zone");
  if (until != NULL && !papers_time(until, tool->zone_min, true, &body->until_ms))
    return tool_usage(tool, "--until is a day like 2026-03-01, or a time with its zone");
  if (until == NULL && !withdraw) body->until_ms = PAPERS_FOREVER;
  return 0;
}

static int cmd_credential(struct tool *tool) {
  struct pd_command command = PD_COMMAND_INIT;
  struct pd_record_credential body = PD_RECORD_CREDENTIAL_INIT;
  enum pd_demand limits[PAPERS_DEMANDS];
  struct pd_id person;
  const char *kind = tool->args.words[1], *skill = args_get(&tool->args, "skill");
  const char *stated = args_get(&tool->args, "limits");
  int code = tool_person(tool, tool->args.words[0], &person);
  if (code != 0) return code;
  body.kind = papers_kind(kind, strlen(kind));
  if (body.kind == PD_CREDENTIAL_KIND_UNSPECIFIED)
    return tool_usage(tool, "KIND is qualification, insurance, guardian, automated or health");
  if (skill != NULL) body.skill = data_skill(skill);
  if (skill != NULL && body.skill == PD_SKILL_UNSPECIFIED)
    return tool_usage(tool, "--skill is a skill of the contract, e.g. nursing");
  if (stated != NULL && !papers_demands(stated, limits, &body.n_limits))
    return tool_usage(tool, "--limits is like heavy|heights: of heavy, heights, stairs, standing, "
                            "outdoors, night, animals, dust");
  body.limits = limits;
  body.person = pd_bytes(&person);
  code = read_period(tool, &body);
  if (code != 0) return code;
  command.body_case = PD_COMMAND_RECORD_CREDENTIAL;
  command.record_credential = &body;
  return tool_send_about(tool, &command, body.until_ms != 0 ? "on record" : "withdrawn");
}

static int cmd_block(struct tool *tool) {
  struct pd_command command = PD_COMMAND_INIT;
  struct pd_block_pair body = PD_BLOCK_PAIR_INIT;
  struct pd_id person, other;
  int code = tool_person(tool, tool->args.words[0], &person);
  if (code == 0) code = tool_person(tool, tool->args.words[1], &other);
  if (code != 0) return code;
  body.person = pd_bytes(&person);
  body.other = pd_bytes(&other);
  body.lift = args_get(&tool->args, "lift") != NULL;
  command.body_case = PD_COMMAND_BLOCK_PAIR;
  command.block_pair = &body;
  return tool_send_about(tool, &command,
                      body.lift ? "may be matched again" : "never matched; the other is not told");
}

static const struct option_row credential_options[] = {
    {"skill", "SKILL", "of a qualification, e.g. nursing"},
    {"from", "DAY", "its first day (default: long ago), or a time with its zone"},
    {"until", "DAY", "its last day (default: without an end), or a time with its zone"},
    {"limits", "LIST", "of health: what not to ask for, e.g. heavy|heights"},
    {"withdraw", NULL, "it is not valid any more"},
    {"door", "NAME", "volunteer, site or ops (default ops)"},
    {"key", "TEXT", "idempotency key (default: a fresh one)"},
    {NULL, NULL, NULL},
};
static const struct option_row block_options[] = {
    {"lift", NULL, "does not mind any more"},
    {"door", "NAME", "resident, volunteer, site or ops (default ops)"},
    {"key", "TEXT", "idempotency key (default: a fresh one)"},
    {NULL, NULL, NULL},
};

#define SOMEBODY "0123456789abcdef0123456789abcdef"

const struct command papers_commands[] = {
    {"volunteer credential", "PERSON KIND",
     "Puts a paper on record: qualification, insurance, guardian, automated or health.",
     "paidan volunteer credential " SOMEBODY " insurance --until 2026-12-31", credential_options, 2,
     2, cmd_credential},
    {"volunteer block", "PERSON OTHER",
     "A volunteer does not wish to meet a resident; no reason is asked for, nobody is told.",
     "paidan volunteer block " SOMEBODY " fedcba9876543210fedcba9876543210", block_options, 2, 2,
     cmd_block},
    {"resident block", "PERSON OTHER",
     "A resident does not wish to meet a volunteer; no reason is asked for, nobody is told.",
     "paidan resident block " SOMEBODY " fedcba9876543210fedcba9876543210", block_options, 2, 2,
     cmd_block},
    {NULL, NULL, NULL, NULL, NULL, 0, 0, NULL},
};
