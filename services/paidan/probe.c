#include "services/paidan/probe.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BODY_MAX (4u << 20)

struct body {
  char *text;
  size_t size;
};

static size_t on_body(char *data, size_t one, size_t count, void *context) {
  struct body *body = context;
  size_t size = one * count;
  if (body->size + size > BODY_MAX) return 0;
  char *text = realloc(body->text, body->size + size + 1);
  if (text == NULL) return 0;
  memcpy(text + body->size, data, size);
  body->text = text;
  body->size += size;
  text[body->size] = '\0';
  return size;
}

enum pd_err probe_get(const char *socket_path, const char *path, long *status, char **text) {
  struct body body = {0};
  char url[128];
  snprintf(url, sizeof url, "http://localhost%s", path);
  CURL *curl = curl_easy_init();
  if (curl == NULL) return PD_EIO;
  curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket_path);
  curl_easy_setopt(curl, CURLOPT_URL, url);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 2000L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
  CURLcode code = curl_easy_perform(curl);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, status);
  curl_easy_cleanup(curl);
  if (code != CURLE_OK) {
    free(body.text);
    return PD_EDOWN;
  }
  *text = body.text == NULL ? strdup("") : body.text;
  return *text == NULL ? PD_EIO : PD_OK;
}

bool probe_metric(const char *text, const char *name, double *value) {
  size_t length = strlen(name);
  for (const char *line = text; line != NULL && *line != '\0';) {
    if (strncmp(line, name, length) == 0 && line[length] == ' ') {
      *value = strtod(line + length + 1, NULL);
      return true;
    }
    line = strchr(line, '\n');
    if (line != NULL) line++;
  }
  return false;
}
