/* paidan-story - lets stories happen and compares what came of them with what was expected.
 *
 *     paidan-story [--write] FILE…      --write prints the trace as it is instead
 */
#include "tests/stories/story.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const days[7] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};

char *story_time(int64_t time_ms, char *text) {
  int64_t minute = (time_ms - STORY_BEGIN_MS) / 60000, day = minute / 1440;
  int used = snprintf(text, 24, "%s", days[day % 7]);
  if (day >= 7) used += snprintf(text + used, 24 - (size_t)used, "+%dw", (int)(day / 7));
  snprintf(text + used, 24 - (size_t)used, " %02d:%02d", (int)(minute % 1440 / 60),
           (int)(minute % 60));
  return text;
}

bool story_time_parse(const char *text, int64_t *time_ms, const char **rest) {
  for (int day = 0; day < 7; day++) {
    if (strncmp(text, days[day], 3) != 0) continue;
    unsigned weeks = 0, hour, minute;
    int used = 0;
    text += 3;
    if (*text == '+' && sscanf(text, "+%uw%n", &weeks, &used) != 1) return false;
    text += used;
    used = 0;
    if (sscanf(text, " %2u:%2u%n", &hour, &minute, &used) != 2 || used == 0) return false;
    *time_ms =
        STORY_BEGIN_MS + (((int64_t)weeks * 7 + day) * 1440 + (int64_t)hour * 60 + minute) * 60000;
    *rest = text + used;
    return true;
  }
  return false;
}

const char *story_name(const struct story *story, ProtobufCBinaryData bytes) {
  struct pd_id id = PD_ID(bytes);
  for (uint32_t i = 0; i < story->people_count; i++)
    if (story->people[i].known && pd_id_equal(&story->people[i].id, &id))
      return story->people[i].name;
  return "nobody";
}

struct story_person *story_person(struct story *story, const char *text, const char **rest) {
  for (uint32_t i = 0; i < story->people_count; i++) {
    size_t length = strlen(story->people[i].name);
    bool here = strncmp(text, story->people[i].name, length) == 0 &&
                (text[length] == ' ' || text[length] == 0);
    if (!here) continue;
    *rest = text + length;
    return &story->people[i];
  }
  return NULL;
}

struct story_tie *story_tie(struct story *story, uint64_t order, uint32_t person) {
  for (uint32_t i = 0; i < story->tie_count; i++)
    if (story->ties[i].order == order && story->ties[i].person == person) return &story->ties[i];
  pd_assert(story->tie_count < sizeof story->ties / sizeof story->ties[0]);
  struct story_tie *tie = &story->ties[story->tie_count++];
  *tie = (struct story_tie){.order = order, .person = person};
  return tie;
}

void story_say(struct story *story, const char *text) {
  if (!story->telling) return;
  story->told = sim_grow(story->told, story->told_count, &story->told_room, sizeof *story->told);
  char *copy = sim_keep(story->sim, strlen(text) + 1);
  strcpy(copy, text);
  story->told[story->told_count++] = copy;
}

/* ---- hearing ---- */

static uint32_t index_of(const struct story *story, ProtobufCBinaryData bytes) {
  struct pd_id id = PD_ID(bytes);
  uint32_t at = 0;
  while (at < story->people_count && !pd_id_equal(&story->people[at].id, &id)) at++;
  return at;
}

static void hear(struct sim *sim, const struct pd_event *event) {
  struct story *story = sim->story;
  char text[STORY_LINE + 64];
  if (event->body_case == PD_EVENT_OFFER_MADE)
    story_tie(story, event->offer_made->order, index_of(story, event->offer_made->volunteer))
        ->offer = event->offer_made->offer;
  if (event->body_case == PD_EVENT_SLOT_FILLED)
    story_tie(story, event->slot_filled->order, index_of(story, event->slot_filled->volunteer))
        ->slot = event->slot_filled->slot;
  if (story_tell(story, event, text, sizeof text)) story_say(story, text);
}

/* ---- a file ---- */

static _Noreturn void give_up(const struct story *story, const char *line, const char *what) {
  fprintf(stderr, "%s:%d: %s: %s\n", story->file, story->line, what, line);
  exit(1);
}

static void run_to(struct sim *sim, int64_t wall_ms) {
  int64_t until_us = sim->now_us + (wall_ms - sim_wall(sim)) * SIM_MS;
  while (sim_step(sim, until_us)) continue;
  if (sim->now_us < until_us) sim->now_us = until_us;
}

/* A line with a time happens then; "given" lines happen one after the other before that. */
static void happen(struct story *story, const char *line) {
  struct sim *sim = story->sim;
  int64_t at_ms;
  const char *rest = line;
  bool timed = story_time_parse(line, &at_ms, &rest);
  if (timed) {
    if (at_ms < sim_wall(sim)) give_up(story, line, "time goes forward only");
    run_to(sim, at_ms);
    story->telling = true;
    while (*rest == ' ') rest++;
  }
  if (!story_act(story, rest)) give_up(story, line, "not understood");
  if (!timed) run_to(sim, sim_wall(sim) + 5000);
}

static char *trimmed(char *line) {
  size_t length = strcspn(line, "\r\n");
  while (length > 0 && line[length - 1] == ' ') length--;
  line[length] = 0;
  while (*line == ' ') line++;
  return line;
}

/* Lines up to the one that says "expect". */
static void read_acts(struct story *story, FILE *file) {
  char buffer[STORY_LINE];
  while (fgets(buffer, sizeof buffer, file) != NULL) {
    story->line++;
    char *line = trimmed(buffer);
    if (strcmp(line, "expect") == 0) return;
    if (*line != 0 && *line != '#') happen(story, line);
  }
}

static bool compare(struct story *story, FILE *file) {
  char buffer[STORY_LINE + 64];
  size_t at = 0;
  while (fgets(buffer, sizeof buffer, file) != NULL) {
    story->line++;
    const char *line = trimmed(buffer);
    if (*line == 0 || *line == '#') continue;
    const char *told = at < story->told_count ? story->told[at] : "(nothing more)";
    at++;
    if (strcmp(line, told) == 0) continue;
    printf("%s:%d:\n  expected: %s\n  happened: %s\n", story->file, story->line, line, told);
    return false;
  }
  if (at == story->told_count) return true;
  printf("%s: not expected: %s\n", story->file, story->told[at]);
  return false;
}

static bool run_story(const char *name, bool write) {
  static struct story story;
  struct sim_options options = {.seed = 3, .story = true};
  struct sim *sim = calloc(1, sizeof *sim);
  FILE *file = fopen(name, "r");
  if (file == NULL || sim == NULL) {
    fprintf(stderr, "%s: cannot be read\n", name);
    return false;
  }
  sim_open(sim, &options);
  story = (struct story){.sim = sim, .file = name};
  sim->story = &story;
  sim->heard = hear;
  run_to(sim, STORY_BEGIN_MS + 1000);
  read_acts(&story, file);
  bool same = true;
  if (write)
    for (size_t i = 0; i < story.told_count; i++) printf("%s\n", story.told[i]);
  else
    same = compare(&story, file);
  fclose(file);
  free(story.told);
  sim_close(sim);
  free(sim);
  return same;
}

int main(int argc, char **argv) {
  bool write = argc > 1 && strcmp(argv[1], "--write") == 0;
  int failed = 0, count = 0;
  for (int i = write ? 2 : 1; i < argc; i++, count++) failed += !run_story(argv[i], write);
  if (!write) printf("%d stories, %d failed\n", count, failed);
  return failed > 0 || count == 0;
}
