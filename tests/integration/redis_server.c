#include "redis_server.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what) {
  fprintf(stderr, "redis_server: %s\n", what);
  abort();
}

/* In the child: replace it by the server. */
static void become_server(const struct redis_server *self, const char *const *extra) {
  const char *argv[64] = {
      "redis-server", "--port",    "0",         "--unixsocket", self->socket, "--dir",
      self->dir,      "--save",    "",          "--appendonly", "yes",        "--appendfsync",
      "always",       "--logfile", "redis.log", "--bind",       "127.0.0.1"};
  size_t n = 17;
  for (size_t i = 0; extra != NULL && extra[i] != NULL && n < 63; i++) argv[n++] = extra[i];
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  int null = open("/dev/null", O_RDWR);
  dup2(null, 0);
  dup2(null, 1);
  execvp("redis-server", (char *const *)(void *)argv);
  _exit(127);
}

static int answers(const struct redis_server *self) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", self->socket);
  char reply[256] = "";
  int ok = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
           write(fd, "PING\r\n", 6) == 6 && read(fd, reply, sizeof reply - 1) > 0;
  close(fd);
  /* Anything but "still loading" will do: with users set up a PING is refused. */
  return ok && strncmp(reply, "-LOADING", 8) != 0;
}

void redis_server_again(struct redis_server *self, const char *const *extra) {
  unlink(self->socket);
  self->pid = fork();
  if (self->pid == 0) become_server(self, extra);
  for (int i = 0; i < 1000; i++) {
    if (answers(self)) return;
    usleep(10000);
  }
  fail("does not answer");
}

void redis_server_start(struct redis_server *self, const char *const *extra) {
  memset(self, 0, sizeof *self);
  snprintf(self->dir, sizeof self->dir, "/tmp/pd-redis-XXXXXX");
  if (mkdtemp(self->dir) == NULL) fail("no directory");
  snprintf(self->socket, sizeof self->socket, "%s/redis.sock", self->dir);
  snprintf(self->url, sizeof self->url, "unix:%s", self->socket);
  redis_server_again(self, extra);
}

void redis_server_kill(struct redis_server *self) {
  if (self->pid <= 0) return;
  kill(self->pid, SIGKILL);
  waitpid(self->pid, NULL, 0);
  self->pid = 0;
}

void redis_server_end(struct redis_server *self) {
  redis_server_kill(self);
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", self->dir);
  if (system(command) != 0) fail("directory stays");
}

void redis_server_cli(const struct redis_server *self, const char *command, char *answer,
                      size_t size) {
  char line[512];
  snprintf(line, sizeof line, "redis-cli -s '%s' %s", self->socket, command);
  FILE *pipe = popen(line, "r");
  if (pipe == NULL) fail("no redis-cli");
  answer[0] = '\0';
  if (fgets(answer, (int)size, pipe) != NULL) answer[strcspn(answer, "\r\n")] = '\0';
  char rest[4096];
  while (fgets(rest, sizeof rest, pipe) != NULL) continue;
  pclose(pipe);
}
