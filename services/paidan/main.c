/* paidan - the command-line tool: finds the command, prints the help. */
#include "services/paidan/tool.h"

#include <locale.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

#ifndef PAIDAN_VERSION
#define PAIDAN_VERSION "0.1.0"
#endif

static const struct option_row global_options[] = {
    {"output", "json|text", "what to print: text for people (default) or one JSON object a line"},
    {"run-dir", "DIR", "folder of the shard's sockets (default ./paidan-run; PAIDAN_RUN_DIR)"},
    {"data-dir", "DIR", "folder of its data (default RUN_DIR/data; PAIDAN_DATA_DIR)"},
    {"shard", "ADCODE", "the district, six digits (default: what `paidan up` was given)"},
    {"zone", "ZONE", "its local time: +08:00 (default), or a name like Asia/Shanghai"},
    {"help", NULL, "this help"},
    {NULL, NULL, NULL},
};

static const struct command *const families[] = {
    up_commands,     status_commands,  load_commands, order_commands, people_commands,
    papers_commands, logs_commands,    trace_commands, why_commands,  verify_commands,
    backup_commands, archive_commands, key_commands,  hall_commands,  replay_commands,
};
#define FAMILIES (sizeof families / sizeof families[0])

/* Does the command's name stand at the head of argv?  Returns how many words it has, else 0. */
static int matches(const char *name, int argc, char *const *argv) {
  int words = 0;
  while (*name != '\0') {
    size_t length = strcspn(name, " ");
    if (words >= argc || strlen(argv[words]) != length || memcmp(argv[words], name, length) != 0)
      return 0;
    words++;
    name += length;
    if (*name == ' ') name++;
  }
  return words;
}

static const struct command *find_command(int argc, char *const *argv, int *words) {
  for (size_t f = 0; f < FAMILIES; f++) {
    for (const struct command *command = families[f]; command->name != NULL; command++) {
      *words = matches(command->name, argc, argv);
      if (*words > 0) return command;
    }
  }
  return NULL;
}

static void print_options(const struct option_row *rows) {
  char left[64];
  for (; rows != NULL && rows->name != NULL; rows++) {
    const char *value = rows->value == NULL ? "" : rows->value;
    snprintf(left, sizeof left, "--%s%s%s", rows->name, value[0] == '\0' ? "" : " ", value);
    printf("  %-24s %s\n", left, rows->help);
  }
}

static void help_command(const struct command *command) {
  printf("paidan %s%s%s\n\n  %s\n", command->name, command->words[0] == '\0' ? "" : " ",
         command->words, command->summary);
  printf("\nexample:\n  %s\n", command->example);
  if (command->options != NULL) {
    printf("\noptions:\n");
    print_options(command->options);
  }
  printf("\noptions of every command:\n");
  print_options(global_options);
}

/* Commands that begin with the word, or all. */
static int list_commands(const char *word) {
  int listed = 0;
  for (size_t f = 0; f < FAMILIES; f++) {
    for (const struct command *command = families[f]; command->name != NULL; command++) {
      size_t length = word == NULL ? 0 : strlen(word);
      if (length > 0 && (strncmp(command->name, word, length) != 0 || command->name[length] != ' '))
        continue;
      printf("  %-20s  %s\n", command->name, command->summary);
      listed++;
    }
  }
  return listed;
}

static void help_all(void) {
  printf("paidan - 派单: runs and asks a district's volunteer dispatch\n\n");
  printf("usage: paidan COMMAND [WORDS] [--OPTION VALUE]\n\ncommands:\n");
  list_commands(NULL);
  printf("\noptions of every command:\n");
  print_options(global_options);
  printf("\nexamples:\n");
  printf("  paidan up --shard 370302 --detach\n");
  printf("  paidan load --data district\n");
  printf("  paidan tail order_placed offer_made --output json\n");
  printf(
      "\nexit codes: 0 done, 1 fault found or refused, 2 command line, 69 a server is down, 78 "
      "configuration\n");
  printf("`paidan COMMAND --help` says more and shows an example.\n");
}

static int unknown_command(struct tool *tool, char *const *argv) {
  char why[128];
  snprintf(why, sizeof why, "there is no command '%.60s'", argv[0]);
  return out_fail(&tool->out, PD_EXIT_USAGE, "the command line is not understood", why,
                  "paidan --help lists all");
}

static bool asks_json(int argc, char *const *argv) {
  for (int i = 0; i < argc; i++) {
    if (strcmp(argv[i], "--output=json") == 0) return true;
    if (i + 1 < argc && strcmp(argv[i], "--output") == 0 && strcmp(argv[i + 1], "json") == 0)
      return true;
  }
  return false;
}

static int check_words(struct tool *tool) {
  const char *output = args_get(&tool->args, "output");
  if (output != NULL && strcmp(output, "json") != 0 && strcmp(output, "text") != 0) {
    return tool_usage(tool, "--output must be json or text");
  }
  if (tool->args.count < tool->command->least) return tool_usage(tool, "a word is missing");
  if (tool->args.count > tool->command->most) return tool_usage(tool, "there is a word too many");
  return 0;
}

static int run(struct tool *tool, int argc, char **argv, const char *argv0) {
  int words = 0;
  tool->command = find_command(argc, argv, &words);
  if (tool->command == NULL) {
    if (argc == 2 && strcmp(argv[1], "--help") == 0 && list_commands(argv[0]) > 0) return 0;
    return unknown_command(tool, argv);
  }
  tool->args.own = tool->command->options;
  tool->args.global = global_options;
  enum pd_err err = args_parse(&tool->args, argc - words, argv + words);
  if (args_get(&tool->args, "help") != NULL) {
    help_command(tool->command);
    return 0;
  }
  if (err != PD_OK) return tool_usage(tool, tool->args.wrong);
  int code = check_words(tool);
  if (code == 0) code = tool_settle(tool, argv0);
  return code != 0 ? code : tool->command->run(tool);
}

int main(int argc, char **argv) {
  static struct tool tool;
  setlocale(LC_CTYPE, "C.UTF-8");
  tool.out.json = asks_json(argc - 1, argv + 1);
  if (sodium_init() < 0) {
    return out_fail(&tool.out, PD_EXIT_DOWN, "the system has no randomness", NULL, NULL);
  }
  if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
    help_all();
    return argc < 2 ? PD_EXIT_USAGE : PD_EXIT_OK;
  }
  if (strcmp(argv[1], "--version") == 0) {
    printf("paidan %s\n", PAIDAN_VERSION);
    return PD_EXIT_OK;
  }
  int code = run(&tool, argc - 1, argv + 1, argv[0]);
  if (tool.zmq != NULL) zmq_ctx_term(tool.zmq);
  fflush(stdout);
  return code;
}
