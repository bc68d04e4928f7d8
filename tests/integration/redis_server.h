/* redis_server - a private Redis for a test: unix socket, own directory, ended by its pid. */
#ifndef PD_TESTS_REDIS_SERVER_H
#define PD_TESTS_REDIS_SERVER_H

#include <sys/types.h>

struct redis_server {
  pid_t pid;
  char dir[64];
  char socket[96];
  char url[104]; /* "unix:<socket>" */
};

/* Make a directory and start a server in it: appendonly, appendfsync always.  extra: further
 * arguments, NULL-ended, or NULL.  Returns when it answers; ends the test otherwise. */
void redis_server_start(struct redis_server *self, const char *const *extra);

/* kill -9; the directory stays. */
void redis_server_kill(struct redis_server *self);

/* Start again in the same directory. */
void redis_server_again(struct redis_server *self, const char *const *extra);

/* SIGKILL if it runs, and remove the directory. */
void redis_server_end(struct redis_server *self);

/* Run one command with redis-cli; the first line of the answer is left in answer.  Ends the test if
 * it cannot run. */
void redis_server_cli(const struct redis_server *self, const char *command, char *answer,
                      size_t size);

#endif
