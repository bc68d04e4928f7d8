/* The cursor file: how far each log was handled, as text.
 *
 *     paidan-cursor 370302
 *     intake 812
 *     matching 4711
 */
#include "common/client/parts.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEXT_MAX 1024

static int unusable(struct paidan_events *events, const char *why) {
  return client_fail(events->paidan, PAIDAN_ECURSOR, "the cursor file %s cannot be used: %s",
                     events->cursor_file, why);
}

static bool take_line(struct paidan_events *events, const char *line) {
  char name[32];
  uint64_t seq;
  int end = 0;
  if (sscanf(line, "%31s %" SCNu64 "%n", name, &seq, &end) != 2 || line[end] != '\0') return false;
  enum pd_log log = pd_log_named(name);
  if (log == PD_LOG_UNSPECIFIED || seq == UINT64_MAX) return false;
  events->tracks[log].next = seq + 1;
  return true;
}

static int take_text(struct paidan_events *events, char *text) {
  unsigned shard = 0;
  char *rest = NULL, *line = strtok_r(text, "\n", &rest);
  if (line == NULL || sscanf(line, "paidan-cursor %u", &shard) != 1)
    return unusable(events, "it does not begin with \"paidan-cursor DISTRICT\"");
  if (shard != events->paidan->shard) return unusable(events, "it is of another district");
  while ((line = strtok_r(NULL, "\n", &rest)) != NULL)
    if (!take_line(events, line)) return unusable(events, "a line is not \"LOG SEQ\"");
  return PAIDAN_OK;
}

int cursor_load(struct paidan_events *events) {
  char text[TEXT_MAX];
  FILE *file = fopen(events->cursor_file, "re");
  if (file == NULL) return errno == ENOENT ? PAIDAN_OK : unusable(events, strerror(errno));
  size_t size = fread(text, 1, sizeof text - 1, file);
  (void)fclose(file);
  text[size] = '\0';
  return take_text(events, text);
}

/* Into a file beside it, which then takes its place: it is whole whatever happens. */
int cursor_save(struct paidan_events *events) {
  char text[TEXT_MAX], aside[4096];
  int size = snprintf(text, sizeof text, "paidan-cursor %06u\n", events->paidan->shard);
  for (unsigned log = 1; log < PD_LOGS; log++)
    if (events->tracks[log].next != 0)
      size += snprintf(text + size, sizeof text - (size_t)size, "%s %" PRIu64 "\n",
                       pd_log_name(log), events->tracks[log].next - 1);
  if (snprintf(aside, sizeof aside, "%s.new", events->cursor_file) >= (int)sizeof aside)
    return unusable(events, "its path is too long");
  int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return unusable(events, strerror(errno));
  bool good = write(fd, text, (size_t)size) == size && fdatasync(fd) == 0;
  good = close(fd) == 0 && good && rename(aside, events->cursor_file) == 0;
  return good ? PAIDAN_OK : unusable(events, strerror(errno));
}
