#include "services/paidan/tool.h"

int tool_vault(struct tool *tool, struct pd_vault_now **vault) {
  char why[200] = "";
  int code = tool_need_shard(tool);
  if (code != 0) return code;
  struct pd_redis_options options = tool_vault_redis(tool);
  if (pd_vault_now_open(vault, &options, tool->shard, why, sizeof why) == PD_OK) return 0;
  return out_fail(&tool->out, PD_EXIT_DOWN, "the vault does not answer", why, tool_advice);
}
