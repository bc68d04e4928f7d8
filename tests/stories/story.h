/* story - a story's people, its clock, and the words in which events are told.
 *
 *     story.c        reads a file, lets its lines happen, compares the trace
 *     story_acts.c   what the people of a story do
 *     story_tell.c   an event as a sentence
 */
#ifndef TESTS_STORY_H
#define TESTS_STORY_H

#include "tests/sim/sim.h"

#define STORY_BEGIN_MS INT64_C(1740931200000) /* Mon 00:00: 2025-03-03, +08:00 */
#define STORY_PEOPLE 32
#define STORY_LINE 240

struct story_person {
  char name[24];
  struct pd_id id;
  bool known;
};

/* Where somebody is booked, or was invited, last. */
struct story_tie {
  uint64_t order, offer;
  uint32_t person, slot;
};

struct story {
  struct sim *sim;
  struct story_person people[STORY_PEOPLE];
  uint32_t people_count;
  struct story_tie ties[256];
  uint32_t tie_count;
  bool telling;
  char **told; /* the trace */
  size_t told_count, told_room;
  const char *file;
  int line;
};

/* "Mon 09:00" or "Tue+1w 14:30" as Unix milliseconds; false if it is anything else.  *rest: what
 * follows. */
bool story_time_parse(const char *text, int64_t *time_ms, const char **rest);

/* And back, into room for 24 bytes; returns text. */
char *story_time(int64_t time_ms, char *text);

/* The name of a person, "nobody" for none. */
const char *story_name(const struct story *story, ProtobufCBinaryData id);

/* The person of this name at the beginning of text, or NULL; *rest: what follows. */
struct story_person *story_person(struct story *story, const char *text, const char **rest);

/* The tie of a person to an order, made if it is not there. */
struct story_tie *story_tie(struct story *story, uint64_t order, uint32_t person);

/* Write an event as a sentence; false if it is nothing to be told. */
bool story_tell(struct story *story, const struct pd_event *event, char *text, size_t size);

/* Let a line of the story happen; false if it is not understood. */
bool story_act(struct story *story, const char *line);

/* Add a line to the trace. */
void story_say(struct story *story, const char *text);

#endif
