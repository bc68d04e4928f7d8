/* keys - the edge's own key and the grants of others, in DATA_DIR/edge:
 *
 *     server.key_secret (0600), server.key     the edge's; its public half is pinned by every
 * client grants.yaml                              who may do what keys/NAME.key_secret (0600),
 * NAME.key    pairs that `paidan key new` made, to be handed over
 */
#ifndef PAIDAN_KEYS_H
#define PAIDAN_KEYS_H

#include "services/paidan/tool.h"

/* Make what the edge needs to start and is not there yet. */
PD_MUST_USE enum pd_err keys_prepare(const struct tool *tool);

#endif
