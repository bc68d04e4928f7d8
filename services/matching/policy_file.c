#include "services/matching/policy_file.h"

#include "common/io/config.h"
#include "services/matching/policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX 65536
#define NUMBERS (POLICY_ROWS * MATCHING_KINDS)
#define LISTS 3
#define SETTINGS (NUMBERS + LISTS)
#define NAME_SIZE 48
#define NUMBER_MAX 24
#define WORDS_MAX 1024 /* bytes of a list */

_Static_assert(SETTINGS <= PD_SETTINGS_MAX, "the reader of settings has too few places");

static const char *const kind_names[MATCHING_KINDS] = {"",     "wish",  "appeal", "report",
                                                       "work", "visit", "menu",   "emergency"};

/* What the reader of settings fills in. */
struct values {
  uint64_t numbers[NUMBERS]; /* those of kind 0 first */
  char professional[WORDS_MAX];
  char dangerous[WORDS_MAX];
  char gendered[WORDS_MAX];
};

/* The table that the reader of settings works from. */
struct table {
  struct pd_setting settings[SETTINGS];
  struct values values;
  char names[NUMBERS][NAME_SIZE];
  char fallbacks[NUMBERS][NUMBER_MAX];
};

/* ---- lists ---- */

/* The skill of this lower-case name, 0 if there is none. */
static uint32_t skill_of(const char *word, size_t length) {
  char name[NAME_SIZE] = "SKILL_";
  size_t used = strlen(name);
  for (size_t i = 0; i < length && used + 1 < sizeof name; i++)
    name[used++] = (char)(word[i] >= 'a' && word[i] <= 'z' ? word[i] - 'a' + 'A' : word[i]);
  const ProtobufCEnumValue *value =
      protobuf_c_enum_descriptor_get_value_by_name(&paidan__v1__skill__descriptor, name);
  return value != NULL && strcspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") >= length
             ? (uint32_t)value->value
             : 0;
}

static const char *check_skills(const char *text) {
  static char rule[96];
  uint32_t met = 0;
  for (const char *word = text; *word != 0;) {
    size_t length = strcspn(word, ",");
    uint32_t skill = skill_of(word, length);
    if (skill == 0 || (met >> skill & 1u) != 0) {
      (void)snprintf(rule, sizeof rule, "must list skills, each once: '%.*s' is %s",
                     (int)(length < 32 ? length : 32), word,
                     skill == 0 ? "none that Paidan knows" : "there twice");
      return rule;
    }
    met |= 1u << skill;
    word += length + (word[length] == ',');
  }
  return NULL;
}

static bool is_listed(const struct matching_list *list, const char *word, size_t length) {
  for (uint32_t i = 0; i < list->count; i++)
    if (strncmp(list->names[i], word, length) == 0 &&
        (length == MATCHING_CATEGORY || list->names[i][length] == 0))
      return true;
  return false;
}

/* Words of a list into a list of categories; what breaks the rule, or NULL. */
static const char *take_categories(struct matching_list *list, const char *text) {
  *list = (struct matching_list){0};
  for (const char *word = text; *word != 0;) {
    size_t length = strcspn(word, ",");
    bool plain = strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789_") == length;
    if (!plain || is_listed(list, word, length) || !policy_list(list, word, length))
      return "must list at most 16 categories, each once: 1 to 32 of a-z, 0-9 and _";
    word += length + (word[length] == ',');
  }
  return NULL;
}

static const char *check_categories(const char *text) {
  struct matching_list list;
  return take_categories(&list, text);
}

static uint32_t skills_of(const char *text) {
  uint32_t mask = 0;
  for (const char *word = text; *word != 0;) {
    size_t length = strcspn(word, ",");
    mask |= 1u << skill_of(word, length);
    word += length + (word[length] == ',');
  }
  return mask & ~1u;
}

/* ---- the table ---- */

/* The default as the file would have it. */
static const char *default_skills(void) {
  static char text[WORDS_MAX];
  size_t used = 0;
  text[0] = 0;
  for (uint32_t left = matching_policy_default.professional; left != 0; left &= left - 1) {
    const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(
        &paidan__v1__skill__descriptor, __builtin_ctz(left));
    used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", used == 0 ? "" : ",",
                             value->name + strlen("SKILL_"));
  }
  for (char *c = text; *c != 0; c++)
    if (*c >= 'A' && *c <= 'Z') *c = (char)(*c - 'A' + 'a');
  return text;
}

static void add_lists(struct table *table) {
  const struct pd_setting lists[LISTS] = {
      {.name = "professional",
       .offset = offsetof(struct values, professional),
       .fallback = default_skills(),
       .check = check_skills,
       .help = "Skills that need a qualification on record: Art. 16."},
      {.name = "dangerous_categories",
       .offset = offsetof(struct values, dangerous),
       .check = check_categories,
       .help = "Categories whose orders count as dangerous: Art. 17."},
      {.name = "gender_categories",
       .offset = offsetof(struct values, gendered),
       .check = check_categories,
       .help = "Categories whose task justifies to ask for a gender."}};
  for (unsigned i = 0; i < LISTS; i++) {
    table->settings[NUMBERS + i] = lists[i];
    table->settings[NUMBERS + i].kind = PD_SETTING_LIST;
    table->settings[NUMBERS + i].size = WORDS_MAX;
  }
}

/* Said for emergencies, only the law's own word may be said. */
static const char *check_adults(const char *text) {
  return strcmp(text, "1") == 0 ? NULL : "must be 1: no minor serves in an emergency (Art. 15)";
}

static void add_row(struct table *table, unsigned kind, unsigned i) {
  const struct policy_row *row = &policy_rows[i];
  unsigned at = kind * POLICY_ROWS + i;
  bool adults =
      kind == PD_ORDER_KIND_EMERGENCY && row->number == PD_POLICY_NUMBER_ADULTS_ONLY;
  (void)snprintf(table->names[at], NAME_SIZE, "%s%s%s", kind_names[kind], kind == 0 ? "" : ".",
                 row->name);
  (void)snprintf(table->fallbacks[at], NUMBER_MAX, "%u", policy_get(&matching_policy_default, row));
  table->settings[at] = (struct pd_setting){
      .name = table->names[at],
      .kind = PD_SETTING_UINT,
      .offset = offsetof(struct values, numbers) + at * sizeof table->values.numbers[0],
      .min = row->min,
      .max = row->max,
      .fallback = adults ? NULL : table->fallbacks[at],
      .check = adults ? check_adults : NULL,
      .help = row->help};
}

/* What a kind does not say itself, it has from all kinds. */
static void inherit(struct table *table) {
  for (unsigned at = POLICY_ROWS; at < NUMBERS; at++)
    (void)snprintf(table->fallbacks[at], NUMBER_MAX, "%llu",
                   (unsigned long long)table->values.numbers[at % POLICY_ROWS]);
}

static unsigned place_of(unsigned kind, enum pd_policy_number number) {
  unsigned i = 0;
  while (i + 1 < POLICY_ROWS && policy_rows[i].number != number) i++;
  return kind * POLICY_ROWS + i;
}

/* A number may not be above what another one says; where it is not said, it gives way. */
static void bound(struct table *table, unsigned kind, enum pd_policy_number number,
                  uint64_t most) {
  unsigned at = place_of(kind, number);
  table->settings[at].max = (int64_t)most;
  if (strtoull(table->fallbacks[at], NULL, 10) > most)
    (void)snprintf(table->fallbacks[at], NUMBER_MAX, "%llu", (unsigned long long)most);
}

/* What would contradict itself: a wave that is too small for one slot, a look at fewer people than
 * are compared, a day too short for its services and the rest between them. */
static void bound_all(struct table *table) {
  const uint64_t *numbers = table->values.numbers;
  for (unsigned kind = 0; kind < MATCHING_KINDS; kind++) {
    uint64_t rest = numbers[place_of(kind, PD_POLICY_NUMBER_REST_MINUTES)];
    bound(table, kind, PD_POLICY_NUMBER_OFFERS_PER_SLOT,
          numbers[place_of(kind, PD_POLICY_NUMBER_WAVE_MAX)]);
    bound(table, kind, PD_POLICY_NUMBER_PHASE_OFFERS,
          numbers[place_of(kind, PD_POLICY_NUMBER_WAVE_MAX)]);
    bound(table, kind, PD_POLICY_NUMBER_CANDIDATES,
          numbers[place_of(kind, PD_POLICY_NUMBER_SCAN_MAX)] < 4096
              ? numbers[place_of(kind, PD_POLICY_NUMBER_SCAN_MAX)]
              : 4096);
    bound(table, kind, PD_POLICY_NUMBER_DAY_MAX_MINUTES, 1440 - rest);
  }
}

/* A fault that comes only when the bounds do is a contradiction: say which there are. */
static void say_contradiction(char *why, size_t why_size) {
  size_t used = strlen(why);
  if (used < why_size)
    (void)snprintf(why + used, why_size - used,
                   " (of one kind: offers_per_slot, phase_offers <= wave_max, "
                   "candidates <= scan_max, rest_minutes + day_max_minutes <= 1440)");
}

static void take(const struct table *table, struct matching_rules *rules) {
  const struct values *values = &table->values;
  *rules = (struct matching_rules){0};
  for (unsigned at = 0; at < NUMBERS; at++)
    policy_set(&rules->of[at / POLICY_ROWS], &policy_rows[at % POLICY_ROWS],
               (uint32_t)values->numbers[at]);
  struct matching_policy *emergency = &rules->of[PD_ORDER_KIND_EMERGENCY];
  if (emergency->adults_only == 0) emergency->adults_only = rules->of[0].adults_only;
  for (unsigned kind = 0; kind < MATCHING_KINDS; kind++)
    rules->of[kind].professional = skills_of(values->professional);
  (void)take_categories(&rules->dangerous, values->dangerous);
  (void)take_categories(&rules->gendered, values->gendered);
}

enum pd_err policy_parse(const char *name, const uint8_t *yaml, size_t size,
                         struct matching_rules *rules, char *why, size_t why_size) {
  static struct table table;
  const struct pd_program program = {
      .name = "rules", .settings = table.settings, .count = SETTINGS};
  for (unsigned at = 0; at < NUMBERS; at++) add_row(&table, at / POLICY_ROWS, at % POLICY_ROWS);
  add_lists(&table);
  /* Thrice: the values for all kinds, then those of each kind, then what contradicts another. */
  for (unsigned pass = 0; pass < 3; pass++) {
    enum pd_err err = pd_config_parse(&program, name, yaml, size, &table.values, why, why_size);
    if (err != PD_OK && pass == 2) say_contradiction(why, why_size);
    if (err != PD_OK) return err;
    if (pass == 0)
      inherit(&table);
    else
      bound_all(&table);
  }
  take(&table, rules);
  return PD_OK;
}

enum pd_err policy_read(const char *path, struct matching_rules *rules, char *why,
                        size_t why_size) {
  static uint8_t bytes[FILE_MAX + 1];
  FILE *file = fopen(path, "re");
  if (file == NULL) {
    (void)snprintf(why, why_size, "%s: cannot be read: %s", path, strerror(errno));
    return PD_EIO;
  }
  size_t size = fread(bytes, 1, sizeof bytes, file);
  bool bad = ferror(file) != 0;
  (void)fclose(file);
  if (bad) {
    (void)snprintf(why, why_size, "%s: cannot be read", path);
    return PD_EIO;
  }
  return policy_parse(path, bytes, size, rules, why, why_size);
}
