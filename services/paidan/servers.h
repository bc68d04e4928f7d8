/* servers - a shard's two Redis servers (logs and vault), five daemons, and the edge if it is asked
 * for, as files and command lines.
 *
 * Everything stands in the run folder (of a second instance of the daemons, in the folder `b` in
 * it): one configuration file a daemon, users.acl (only hashes of
 * passwords), the passwords themselves in secrets/ (0600), and what the programs say in NAME.log.
 * The servers listen on unix sockets alone.
 */
#ifndef PAIDAN_SERVERS_H
#define PAIDAN_SERVERS_H

#include "services/paidan/child.h"
#include "services/paidan/tool.h"

#define SERVERS_REDIS   2
#define SERVERS_DAEMONS 5
#define SERVERS_MOST    (SERVERS_REDIS + SERVERS_DAEMONS * TOOL_INSTANCES + 1)

struct servers {
  struct child children[SERVERS_MOST]; /* the two Redis servers first, the edge last */
  char texts[SERVERS_MOST][8][TOOL_PATH];
  size_t count;
};

/* How many daemons there are: five of each instance, and the edge, if there is one here. */
size_t servers_daemons(const struct tool *tool);

/* The name of one of them, and of which instance it is. */
const char *servers_daemon(const struct tool *tool, size_t number, uint32_t *instance);

/* A file of one of them, "NAME.kind", in a buffer of TOOL_PATH bytes; returns buffer. */
char *servers_daemon_path(const struct tool *tool, size_t number, const char *kind, char *buffer);

/* Make the folders and write every file.  Says what is wrong; returns the exit code. */
PD_MUST_USE int servers_prepare(struct tool *tool);

/* The command lines. */
void servers_describe(struct tool *tool, struct servers *servers);

/* Start the two Redis servers, wait until they have loaded their data, and load the Function
 * library.  Says what is wrong; returns the exit code. */
PD_MUST_USE int servers_start_redis(struct tool *tool, struct servers *servers);

/* The options of the user that deploys, for the logs' or the vault's server. */
struct pd_redis_options servers_deploy_options(const struct tool *tool, bool vault);

#endif
