#include "common/io/redis_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- addresses ---- */

static bool copy_part(char *to, size_t size, const char *from, size_t length) {
  if (length >= size) return false;
  memcpy(to, from, length);
  to[length] = '\0';
  return true;
}

static bool parse_port(const char *text, int *port) {
  char *end = NULL;
  long value = strtol(text, &end, 10);
  *port = (int)value;
  return end != text && *end == '\0' && value > 0 && value < 65536;
}

/* "host:port"; a host with colons only in brackets, unless a server said it. */
static bool parse_host(const char *text, bool said, struct redis_address *address) {
  const char *colon = strrchr(text, ':');
  if (colon == NULL || colon == text || !parse_port(colon + 1, &address->port)) return false;
  size_t length = (size_t)(colon - text);
  bool bracketed = text[0] == '[' && length > 2 && text[length - 1] == ']';
  if (bracketed) text++, length -= 2;
  if (!copy_part(address->host, sizeof address->host, text, length)) return false;
  return bracketed || said || strchr(address->host, ':') == NULL;
}

static bool parse_address(const char *text, struct redis_address *address) {
  *address = (struct redis_address){0};
  if (strncmp(text, "unix:", 5) == 0) {
    address->is_unix = true;
    return text[5] == '/' && copy_part(address->host, 108, text + 5, strlen(text + 5));
  }
  if (strncmp(text, "redis://", 8) == 0) text += 8;
  return parse_host(text, false, address);
}

bool redis_places_parse(struct redis_places *places, const char *url) {
  *places = (struct redis_places){0};
  while (url != NULL && places->count < REDIS_SEEDS) {
    char one[320];
    size_t length = strcspn(url, ",");
    if (!copy_part(one, sizeof one, url, length)) return false;
    if (!parse_address(one, &places->list[places->count++])) return false;
    places->seeds = places->count;
    if (url[length] == '\0') return true;
    url += length + 1;
  }
  return false;
}

const struct redis_address *redis_places_next(struct redis_places *places) {
  places->at = (places->at + 1) % places->count;
  return &places->list[places->at];
}

bool redis_address_same(const struct redis_address *a, const struct redis_address *b) {
  return a->is_unix == b->is_unix && a->port == b->port && strcmp(a->host, b->host) == 0;
}

void redis_address_text(const struct redis_address *address, char *text, size_t size) {
  if (address->is_unix)
    (void)snprintf(text, size, "unix:%s", address->host);
  else
    (void)snprintf(text, size, "%s:%d", address->host, address->port);
}

/* ---- what a cluster says ---- */

/* A node that does not know its name is where we are. */
static bool name_host(struct redis_address *there, const struct redis_address *here) {
  bool known = there->host[0] != '\0' && strcmp(there->host, "?") != 0;
  if (known) return true;
  memcpy(there->host, here->host, sizeof there->host);
  return !here->is_unix;
}

static void learn_node(struct redis_places *places, const redisReply *node,
                       const struct redis_address *here) {
  struct redis_address address = {0};
  if (places->count == REDIS_PLACES || node->type != REDIS_REPLY_ARRAY || node->elements < 2)
    return;
  const redisReply *host = node->element[0], *port = node->element[1];
  if (port->type != REDIS_REPLY_INTEGER || port->integer <= 0 || port->integer > 65535) return;
  address.port = (int)port->integer;
  if (host->type == REDIS_REPLY_STRING &&
      !copy_part(address.host, sizeof address.host, host->str, strlen(host->str)))
    return;
  if (!name_host(&address, here)) return;
  for (unsigned i = 0; i < places->count; i++)
    if (redis_address_same(&places->list[i], &address)) return;
  places->list[places->count++] = address;
}

void redis_places_learn(struct redis_places *places, const redisReply *slots,
                        const struct redis_address *here, bool masters_alone) {
  if (slots == NULL || slots->type != REDIS_REPLY_ARRAY) return;
  places->count = places->seeds;
  for (size_t i = 0; i < slots->elements; i++) {
    const redisReply *range = slots->element[i];
    if (range->type != REDIS_REPLY_ARRAY) continue;
    size_t end = masters_alone && range->elements > 3 ? 3 : range->elements;
    for (size_t j = 2; j < end; j++) learn_node(places, range->element[j], here);
  }
  if (places->at >= places->count) places->at = 0;
}

/* "MOVED 3999 127.0.0.1:6381"; the host may be missing. */
static bool parse_redirect(const char *text, const struct redis_address *here,
                           struct redis_address *there) {
  *there = (struct redis_address){0};
  const char *slot = strchr(text, ' ');
  const char *where = slot == NULL ? NULL : strchr(slot + 1, ' ');
  if (where == NULL) return false;
  if (where[1] == ':') return parse_port(where + 2, &there->port) && name_host(there, here);
  return parse_host(where + 1, true, there) && name_host(there, here);
}

static bool begins(const char *text, const char *word) {
  size_t length = strlen(word);
  return strncmp(text, word, length) == 0 && (text[length] == ' ' || text[length] == '\0');
}

enum redis_verdict redis_judge(const redisReply *reply, const struct redis_address *here,
                               struct redis_address *there) {
  /* A replica of an ordinary server says READONLY; that of a cluster says MOVED. */
  static const char *const unable[] = {"CLUSTERDOWN", "LOADING", "MASTERDOWN", "READONLY"};
  if (reply == NULL || reply->type != REDIS_REPLY_ERROR) return REDIS_ANSWERED;
  bool moved = begins(reply->str, "MOVED");
  if (moved || begins(reply->str, "ASK")) {
    if (!parse_redirect(reply->str, here, there)) return REDIS_ELSEWHERE;
    return moved ? REDIS_MOVED : REDIS_ASK;
  }
  for (size_t i = 0; i < sizeof unable / sizeof *unable; i++)
    if (begins(reply->str, unable[i])) return REDIS_ELSEWHERE;
  return REDIS_ANSWERED;
}

/* ---- passwords ---- */

/* The first line of the file; false if it cannot be read. */
static bool read_password(const char *path, char password[REDIS_PASSWORD]) {
  FILE *file = fopen(path, "re");
  if (file == NULL) return false;
  bool ok = fgets(password, REDIS_PASSWORD, file) != NULL;
  fclose(file);
  if (ok) password[strcspn(password, "\r\n")] = '\0';
  return ok;
}

int redis_auth_arguments(const char *user, const char *password_file,
                         char password[REDIS_PASSWORD], const char *texts[3]) {
  password[0] = '\0';
  if (user[0] == '\0' && password_file[0] == '\0') return 0;
  if (password_file[0] != '\0' && !read_password(password_file, password)) return -1;
  int count = 0;
  texts[count++] = "AUTH";
  if (user[0] != '\0') texts[count++] = user;
  texts[count++] = password;
  return count;
}
