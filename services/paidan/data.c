#include "services/paidan/data.h"

#include "services/paidan/data_table.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) ((uint32_t)(sizeof(array) / sizeof(array)[0]))

enum pd_skill data_skill(const char *name) {
  char full[40] = "SKILL_";
  size_t length = strlen(name);
  if (length == 0 || length > 24) return PD_SKILL_UNSPECIFIED;
  for (size_t i = 0; i < length; i++) {
    if (isupper((unsigned char)name[i])) return PD_SKILL_UNSPECIFIED;
    full[6 + i] = (char)toupper((unsigned char)name[i]);
  }
  const ProtobufCEnumValue *value =
      protobuf_c_enum_descriptor_get_value_by_name(&paidan__v1__skill__descriptor, full);
  return value == NULL ? PD_SKILL_UNSPECIFIED : (enum pd_skill)value->value;
}

static const struct table_word kinds[] = {
    {"micro_wish", PD_ORDER_KIND_WISH},    {"snap", PD_ORDER_KIND_REPORT},
    {"clean", PD_ORDER_KIND_REPORT},       {"micro_fix", PD_ORDER_KIND_WORK},
    {"repair", PD_ORDER_KIND_WORK},        {"electrics", PD_ORDER_KIND_WORK},
    {"move", PD_ORDER_KIND_WORK},          {"elder_watch", PD_ORDER_KIND_VISIT},
    {"elder_escort", PD_ORDER_KIND_VISIT}, {"errand", PD_ORDER_KIND_VISIT},
    {"phone_help", PD_ORDER_KIND_VISIT},   {"childcare", PD_ORDER_KIND_VISIT},
    {"psych", PD_ORDER_KIND_VISIT},        {"sign", PD_ORDER_KIND_VISIT},
    {"preach", PD_ORDER_KIND_MENU},        {"arts", PD_ORDER_KIND_MENU},
    {"sport", PD_ORDER_KIND_MENU},         {"science", PD_ORDER_KIND_MENU},
    {"clinic", PD_ORDER_KIND_MENU},        {"haircut", PD_ORDER_KIND_MENU},
    {"tutoring", PD_ORDER_KIND_MENU},      {"law", PD_ORDER_KIND_MENU},
    {"rescue", PD_ORDER_KIND_EMERGENCY},   {"first_aid", PD_ORDER_KIND_EMERGENCY},
};

enum pd_order_kind data_order_kind(const char *category) {
  for (size_t i = 0; i < COUNT(kinds); i++) {
    if (strcmp(kinds[i].word, category) == 0) return (enum pd_order_kind)kinds[i].value;
  }
  return PD_ORDER_KIND_APPEAL;
}

/* A number of one or two digits at *text, which moves behind it; -1 if there is none. */
static int take_small(const char **text) {
  int value = -1;
  for (int digits = 0; digits < 2 && isdigit((unsigned char)**text); digits++) {
    value = (value < 0 ? 0 : value * 10) + (*(*text)++ - '0');
  }
  return value;
}

static bool take_char(const char **text, char c) {
  if (**text != c) return false;
  (*text)++;
  return true;
}

bool data_availability(const char *text, uint32_t available[7]) {
  memset(available, 0, 7 * sizeof available[0]);
  while (*text != '\0') {
    int day = take_small(&text);
    if (day < 1 || day > 7 || !take_char(&text, ':')) return false;
    int from = take_small(&text);
    if (from < 0 || !take_char(&text, '-')) return false;
    int to = take_small(&text);
    if (to > 24 || from >= to) return false;
    for (int hour = from; hour < to; hour++) available[day - 1] |= 1u << hour;
    if (*text != '\0' && (!take_char(&text, '|') || *text == '\0')) return false;
  }
  return true;
}

/* ---- sites ---- */

enum { SITE_ID, SITE_LEVEL, SITE_PARENT, SITE_NAME, SITE_LON, SITE_LAT, SITE_CODE };
static const struct table_column site_columns[] = {
    [SITE_ID] = {"id", true},          [SITE_LEVEL] = {"level", true},
    [SITE_PARENT] = {"parent", true},  [SITE_NAME] = {"name", true},
    [SITE_LON] = {"lon", true},        [SITE_LAT] = {"lat", true},
    [SITE_CODE] = {"adcode12", false},
};
static const struct table_word levels[] = {
    {"center", PD_SITE_LEVEL_CENTER},
    {"institute", PD_SITE_LEVEL_INSTITUTE},
    {"station", PD_SITE_LEVEL_STATION},
    {"post", PD_SITE_LEVEL_POST},
    {NULL, 0},
};

static bool read_site(const struct table *table, struct data_site *site) {
  *site = (struct data_site){.row = table_row(table, SITE_ID), .body = PD_REGISTER_SITE_INIT};
  int level = 0;
  bool good = table_string(table, SITE_ID, 1, 32, &site->body.ref) &&
              table_choice(table, SITE_LEVEL, levels, "must be center, institute, station or post",
                           &level) &&
              table_string(table, SITE_PARENT, 0, 32, &site->body.parent_ref) &&
              table_string(table, SITE_NAME, 1, 192, &site->body.name) &&
              table_point(table, SITE_LON, SITE_LAT, &site->point) &&
              table_string(table, SITE_CODE, 0, 12, &site->body.code);
  site->body.level = (enum pd_site_level)level;
  site->body.point = &site->point;
  return good;
}

enum pd_err data_read_sites(const char *path, const struct data_listener *listener) {
  struct table table;
  enum pd_err err = table_open(&table, path, listener, site_columns, COUNT(site_columns));
  while (err == PD_OK && table_next(&table)) {
    struct data_site site;
    if (read_site(&table, &site) && listener->site != NULL &&
        !listener->site(listener->context, &site))
      break;
  }
  table_close(&table);
  return err;
}

/* ---- teams ---- */

enum { TEAM_ID, TEAM_NAME, TEAM_BRANCH, TEAM_SITE };
static const struct table_column team_columns[] = {
    [TEAM_ID] = {"id", true},
    [TEAM_NAME] = {"name", true},
    [TEAM_BRANCH] = {"branch", true},
    [TEAM_SITE] = {"site", true},
};

static bool read_team(const struct table *table, struct data_team *team) {
  *team = (struct data_team){.row = table_row(table, TEAM_ID), .body = PD_REGISTER_TEAM_INIT};
  bool good = table_string(table, TEAM_ID, 1, 32, &team->body.ref) &&
              table_string(table, TEAM_NAME, 1, 192, &team->body.name) &&
              table_number(table, TEAM_BRANCH, 0, 10, &team->body.branch) &&
              table_string(table, TEAM_SITE, 1, 32, &team->body.site_ref);
  if (team->body.branch == 0) team->body.branch = 10; /* emergency */
  return good;
}

enum pd_err data_read_teams(const char *path, const struct data_listener *listener) {
  struct table table;
  enum pd_err err = table_open(&table, path, listener, team_columns, COUNT(team_columns));
  while (err == PD_OK && table_next(&table)) {
    struct data_team team;
    if (read_team(&table, &team) && listener->team != NULL &&
        !listener->team(listener->context, &team))
      break;
  }
  table_close(&table);
  return err;
}

enum { MEMBER_TEAM, MEMBER_VOLUNTEER, MEMBER_ROLE };
static const struct table_column member_columns[] = {
    [MEMBER_TEAM] = {"team", true},
    [MEMBER_VOLUNTEER] = {"volunteer", true},
    [MEMBER_ROLE] = {"role", false},
};
static const struct table_word roles[] = {{"leader", 1}, {"member", 0}, {"", 0}, {NULL, 0}};

static bool read_member(const struct table *table, struct data_member *member) {
  *member =
      (struct data_member){.row = table_row(table, MEMBER_VOLUNTEER), .body = PD_JOIN_TEAM_INIT};
  int leader = 0;
  char *volunteer;
  bool good = table_string(table, MEMBER_TEAM, 1, 32, &member->body.team_ref) &&
              table_string(table, MEMBER_VOLUNTEER, 1, 32, &volunteer) &&
              table_choice(table, MEMBER_ROLE, roles, "must be leader or member", &leader);
  member->body.leader = leader;
  return good;
}

enum pd_err data_read_members(const char *path, const struct data_listener *listener) {
  struct table table;
  enum pd_err err = table_open(&table, path, listener, member_columns, COUNT(member_columns));
  while (err == PD_OK && table_next(&table)) {
    struct data_member member;
    if (read_member(&table, &member) && listener->member != NULL &&
        !listener->member(listener->context, &member))
      break;
  }
  table_close(&table);
  return err;
}

/* The days of a table are those of China, where the districts are. */
#define DATA_ZONE_MIN 480

/* ---- volunteers ---- */

enum {
  VOL_ID,
  VOL_NAME,
  VOL_PHONE,
  VOL_LON,
  VOL_LAT,
  VOL_BRANCH,
  VOL_SKILLS,
  VOL_HOURS,
  VOL_RADIUS,
  VOL_WEEK,
  VOL_AGE,
  VOL_VETTED,
  VOL_EMERGENCY,
  VOL_STATUS,
  VOL_GENDER,
  VOL_LIMITS,
  VOL_CREDENTIALS
};
static const struct table_column volunteer_columns[] = {
    [VOL_ID] = {"id", true},
    [VOL_NAME] = {"name", true},
    [VOL_PHONE] = {"phone", true},
    [VOL_LON] = {"home_lon", true},
    [VOL_LAT] = {"home_lat", true},
    [VOL_BRANCH] = {"branch", true},
    [VOL_SKILLS] = {"skills", true},
    [VOL_HOURS] = {"availability", true},
    [VOL_RADIUS] = {"radius_m", true},
    [VOL_WEEK] = {"max_per_week", true},
    [VOL_AGE] = {"age_band", true},
    [VOL_VETTED] = {"vetted", false},
    [VOL_EMERGENCY] = {"emergency", false},
    [VOL_STATUS] = {"status", false},
    [VOL_GENDER] = {"gender", false},
    [VOL_LIMITS] = {"limits", false},
    [VOL_CREDENTIALS] = {"credentials", false},
};
static const struct table_word genders[] = {{"", PD_GENDER_UNSPECIFIED},
                                            {"female", PD_GENDER_FEMALE},
                                            {"male", PD_GENDER_MALE},
                                            {NULL, 0}};
static const struct table_word ages[] = {
    {"14-17", PD_AGE_BAND_14_17}, {"18-35", PD_AGE_BAND_18_35}, {"36-59", PD_AGE_BAND_36_59},
    {"60-69", PD_AGE_BAND_60_69}, {"70+", PD_AGE_BAND_70_UP},   {"0-13", PD_AGE_BAND_UNDER_14},
    {NULL, 0},
};
static const struct table_word statuses[] = {
    {"active", DATA_ACTIVE}, {"", DATA_ACTIVE}, {"paused", DATA_PAUSED},
    {"exited", DATA_EXITED}, {NULL, 0},
};

/* What the matcher goes by. */
static bool read_offer_side(const struct table *table, struct data_volunteer *volunteer) {
  int age = 0, status = 0;
  bool good =
      table_skills(table, VOL_SKILLS, DATA_SKILLS, volunteer->skills, &volunteer->body.n_skills) &&
      (data_availability(table_text(table, VOL_HOURS), volunteer->available) ||
       table_complain(table, VOL_HOURS,
                      "must be like 1:8-11|4:14-17 (weekday 1-7:from-to, hours 0-24)")) &&
      table_number(table, VOL_RADIUS, 1, 50000, &volunteer->body.radius_m) &&
      table_number(table, VOL_WEEK, 1, 50, &volunteer->body.max_per_week) &&
      table_choice(table, VOL_AGE, ages, "must be 0-13, 14-17, 18-35, 36-59, 60-69 or 70+", &age) &&
      table_flag(table, VOL_VETTED, &volunteer->body.vetted) &&
      table_flag(table, VOL_EMERGENCY, &volunteer->body.emergency) &&
      table_choice(table, VOL_STATUS, statuses, "must be active, paused or exited", &status);
  volunteer->body.age = (enum pd_age_band)age;
  volunteer->status = (enum data_status)status;
  return good;
}

/* "insurance:2026-12-31|qualification.law:2027-06-30": papers, each with its last day. */
static bool read_credentials(const struct table *table, struct data_volunteer *volunteer) {
  const char *text = table_text(table, VOL_CREDENTIALS);
  while (*text != '\0') {
    size_t length = strcspn(text, "|");
    struct pd_record_credential *paper = &volunteer->papers[volunteer->paper_count];
    if (volunteer->paper_count == DATA_PAPERS)
      return table_complain(table, VOL_CREDENTIALS, "names too many papers");
    *paper = (struct pd_record_credential)PD_RECORD_CREDENTIAL_INIT;
    if (!papers_entry(text, length, DATA_ZONE_MIN, paper))
      return table_complain(table, VOL_CREDENTIALS,
                            "must be like insurance:2026-12-31|qualification.law:2027-06-30");
    if (paper->kind == PD_CREDENTIAL_KIND_GUARDIAN_CONSENT)
      volunteer->body.guardian_until_ms = paper->until_ms;
    else
      volunteer->paper_count++;
    text += length + (text[length] == '|');
  }
  return true;
}

/* What the law asks about; a table may lack all of it. */
static bool read_lawful_side(const struct table *table, struct data_volunteer *volunteer) {
  int gender = 0;
  bool good =
      table_choice(table, VOL_GENDER, genders, "must be female, male or empty", &gender) &&
      (papers_demands(table_text(table, VOL_LIMITS), volunteer->limits,
                      &volunteer->body.n_limits) ||
       table_complain(table, VOL_LIMITS, "must be like heavy|heights")) &&
      read_credentials(table, volunteer);
  volunteer->body.gender = (enum pd_gender)gender;
  volunteer->body.limits = volunteer->limits;
  return good;
}

static bool read_volunteer(const struct table *table, struct data_volunteer *volunteer) {
  *volunteer =
      (struct data_volunteer){.row = table_row(table, VOL_ID), .body = PD_REGISTER_VOLUNTEER_INIT};
  char *id;
  bool good = table_string(table, VOL_ID, 1, 32, &id) &&
              table_string(table, VOL_NAME, 1, 96, &volunteer->body.name) &&
              table_string(table, VOL_PHONE, 1, 24, &volunteer->body.phone) &&
              table_point(table, VOL_LON, VOL_LAT, &volunteer->home) &&
              table_number(table, VOL_BRANCH, 0, 10, &volunteer->body.branch) &&
              read_offer_side(table, volunteer) && read_lawful_side(table, volunteer);
  volunteer->body.home = &volunteer->home;
  volunteer->body.skills = volunteer->skills;
  volunteer->body.available = volunteer->available;
  volunteer->body.n_available = 7;
  return good;
}

enum pd_err data_read_volunteers(const char *path, const struct data_listener *listener) {
  struct table table;
  enum pd_err err = table_open(&table, path, listener, volunteer_columns, COUNT(volunteer_columns));
  while (err == PD_OK && table_next(&table)) {
    struct data_volunteer volunteer;
    if (!read_volunteer(&table, &volunteer) || listener->volunteer == NULL) continue;
    if (!listener->volunteer(listener->context, &volunteer)) break;
  }
  table_close(&table);
  return err;
}

/* ---- orders ---- */

enum {
  ORD_ID,
  ORD_PLACED,
  ORD_LON,
  ORD_LAT,
  ORD_CATEGORY,
  ORD_TITLE,
  ORD_SKILLS,
  ORD_NEED,
  ORD_FROM,
  ORD_TO,
  ORD_MINUTES,
  ORD_URGENCY,
  ORD_CHANNEL,
  ORD_REQUESTER,
  ORD_SENSITIVE,
  ORD_DANGER,
  ORD_GENDER,
  ORD_DEMANDS
};
static const struct table_column order_columns[] = {
    [ORD_ID] = {"id", true},
    [ORD_PLACED] = {"placed_at", true},
    [ORD_LON] = {"lon", true},
    [ORD_LAT] = {"lat", true},
    [ORD_CATEGORY] = {"category", true},
    [ORD_TITLE] = {"title", true},
    [ORD_SKILLS] = {"skills", true},
    [ORD_NEED] = {"volunteers_needed", true},
    [ORD_FROM] = {"window_start", true},
    [ORD_TO] = {"window_end", true},
    [ORD_MINUTES] = {"minutes", true},
    [ORD_URGENCY] = {"urgency", true},
    [ORD_CHANNEL] = {"channel", true},
    [ORD_REQUESTER] = {"requester", false},
    [ORD_SENSITIVE] = {"sensitive", false},
    [ORD_DANGER] = {"danger", false},
    [ORD_GENDER] = {"gender", false},
    [ORD_DEMANDS] = {"demands", false},
};
static const struct table_word urgencies[] = {
    {"0", PD_URGENCY_ROUTINE},
    {"1", PD_URGENCY_SOON},
    {"2", PD_URGENCY_URGENT},
    {"3", PD_URGENCY_EMERGENCY},
    {NULL, 0},
};
static const struct table_word channels[] = {
    {"miniprogram", PD_CHANNEL_MINIPROGRAM}, {"phone", PD_CHANNEL_PHONE},
    {"counter", PD_CHANNEL_COUNTER},         {"grid_worker", PD_CHANNEL_GRID_WORKER},
    {"hotline", PD_CHANNEL_HOTLINE},         {"311", PD_CHANNEL_HOTLINE},
    {"12345", PD_CHANNEL_HOTLINE},           {NULL, 0},
};

static bool read_window(const struct table *table, struct data_order *order) {
  struct pd_place_order *body = &order->body;
  if (!table_time(table, ORD_PLACED, &order->placed_at_ms) ||
      !table_time(table, ORD_FROM, &body->window_start_ms) ||
      !table_time(table, ORD_TO, &body->window_end_ms) ||
      !table_number(table, ORD_MINUTES, 5, 1440, &body->minutes)) {
    return false;
  }
  if (body->window_end_ms <= body->window_start_ms)
    return table_complain(table, ORD_TO, "must be after window_start");
  int64_t length_ms = (int64_t)body->minutes * 60000;
  /* Help that takes longer than its window has to begin in it: it may end so much later. */
  if (body->window_end_ms - body->window_start_ms < length_ms) body->window_end_ms += length_ms;
  return true;
}

static bool read_category(const struct table *table, struct data_order *order) {
  char *category;
  if (!table_string(table, ORD_CATEGORY, 1, 32, &category)) return false;
  if (category[strspn(category, "abcdefghijklmnopqrstuvwxyz0123456789_")] != '\0') {
    return table_complain(table, ORD_CATEGORY, "may hold a-z, 0-9 and _ only");
  }
  order->body.category = category;
  order->body.kind = data_order_kind(category);
  return true;
}

/* What the task asks of its helpers; a table may lack all of it. */
static bool read_demands(const struct table *table, struct data_order *order) {
  int gender = 0;
  bool good =
      table_flag(table, ORD_DANGER, &order->body.dangerous) &&
      table_choice(table, ORD_GENDER, genders, "must be female, male or empty", &gender) &&
      (papers_demands(table_text(table, ORD_DEMANDS), order->demands, &order->body.n_demands) ||
       table_complain(table, ORD_DEMANDS, "must be like heavy|heights"));
  order->body.gender = (enum pd_gender)gender;
  order->body.demands = order->demands;
  return good;
}

static bool read_order(const struct table *table, struct data_order *order) {
  *order = (struct data_order){.row = table_row(table, ORD_ID), .body = PD_PLACE_ORDER_INIT};
  struct pd_place_order *body = &order->body;
  int urgency = 0, channel = 0;
  char *id;
  bool good =
      table_string(table, ORD_ID, 1, 32, &id) &&
      table_point(table, ORD_LON, ORD_LAT, &order->point) && read_category(table, order) &&
      table_string(table, ORD_TITLE, 0, 512, &body->note) &&
      table_skills(table, ORD_SKILLS, 8, order->skills, &body->n_skills) &&
      table_number(table, ORD_NEED, 1, 64, &body->need) && read_window(table, order) &&
      table_choice(table, ORD_URGENCY, urgencies, "must be 0, 1, 2 or 3", &urgency) &&
      table_choice(table, ORD_CHANNEL, channels,
                   "must be miniprogram, phone, counter, grid_worker, hotline, 311 or 12345",
                   &channel) &&
      table_flag(table, ORD_SENSITIVE, &body->sensitive) && read_demands(table, order);
  body->urgency = (enum pd_urgency)urgency;
  body->channel = (enum pd_channel)channel;
  body->point = &order->point;
  body->skills = order->skills;
  order->requester = table_text(table, ORD_REQUESTER);
  return good;
}

enum pd_err data_read_orders(const char *path, const struct data_listener *listener) {
  struct table table;
  enum pd_err err = table_open(&table, path, listener, order_columns, COUNT(order_columns));
  while (err == PD_OK && table_next(&table)) {
    struct data_order order;
    if (!read_order(&table, &order) || listener->order == NULL) continue;
    if (!listener->order(listener->context, &order)) break;
  }
  table_close(&table);
  return err;
}
