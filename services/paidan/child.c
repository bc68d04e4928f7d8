#include "services/paidan/child.h"

#include "services/paidan/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WAIT_FIRST_MS 100
#define WAIT_LAST_MS  5000
#define YOUNG_MS      10000

uint64_t child_clock_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* In the new process: only what is safe after fork. */
static _Noreturn void become(const struct child *child, pid_t parent) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  setpgid(0, 0); /* a terminal's Ctrl-C is for `up`, which stops them in the right order */
  if (getppid() != parent) _exit(0);
  int null = open("/dev/null", O_RDONLY);
  int journal = open(child->journal, O_WRONLY | O_CREAT | O_APPEND, 0640);
  if (null >= 0) dup2(null, STDIN_FILENO);
  if (journal >= 0) {
    dup2(journal, STDOUT_FILENO);
    dup2(journal, STDERR_FILENO);
  }
  execvp(child->words[0], (char *const *)child->words);
  dprintf(STDERR_FILENO, "cannot execute %s: error %d\n", child->words[0], errno);
  _exit(127);
}

enum pd_err child_start(struct child *child) {
  char text[24];
  pid_t parent = getpid();
  fflush(NULL);
  pid_t pid = fork();
  if (pid < 0) return PD_EIO;
  if (pid == 0) become(child, parent);
  child->pid = pid;
  child->started_ms = child_clock_ms();
  snprintf(text, sizeof text, "%d\n", (int)pid);
  return tool_write_file(child->pid_file, 0644, text);
}

bool child_ended(struct child *child) {
  if (child->pid == 0 || waitpid(child->pid, &child->status, WNOHANG) != child->pid) return false;
  uint64_t now = child_clock_ms();
  bool young = now - child->started_ms < YOUNG_MS;
  if (!young || child->wait_ms == 0)
    child->wait_ms = WAIT_FIRST_MS;
  else
    child->wait_ms = child->wait_ms * 2 < WAIT_LAST_MS ? child->wait_ms * 2 : WAIT_LAST_MS;
  child->next_ms = now + child->wait_ms;
  child->pid = 0;
  unlink(child->pid_file);
  return true;
}

void child_signal(const struct child *child, int signal) {
  if (child->pid > 0) kill(child->pid, signal);
}

void child_stop(struct child *child, uint32_t limit_ms) {
  uint64_t until = child_clock_ms() + limit_ms;
  while (child->pid != 0 && !child_ended(child)) {
    if (child_clock_ms() >= until) {
      child_signal(child, SIGKILL);
      waitpid(child->pid, &child->status, 0);
      child->pid = 0;
      unlink(child->pid_file);
      return;
    }
    usleep(10000);
  }
}
