/* publish - an outside service says something in its own words.
 *
 *     publish tcp://127.0.0.1:5670 SERVER_KEY charity.key_secret ext.charity.meal Meal/1 TEXT [KEY]
 *
 * The key needs a grant: paidan key grant charity --publish ext.charity.meal
 * KEY is the idempotency key: with the same one it is said once, however often this is run.
 * Several may be in flight at once, so this uses the form that does not wait.
 */
#include <inttypes.h>
#include <paidan-client.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_reply(void *context, const struct paidan_reply *reply) {
  *(int *)context = reply->code;
  if (reply->code == PAIDAN_OK)
    printf("recorded at intake %" PRIu64 "%s\n", reply->seq, reply->duplicate ? ", before" : "");
  if (reply->code == PAIDAN_REFUSED)
    fprintf(stderr, "publish: refused: %s: %s; %s\n", reply->field, reply->rule, reply->next);
  if (reply->code == PAIDAN_ETIMEOUT)
    fprintf(stderr, "publish: no answer; say it again with the key %s\n", reply->key);
}

static int publish(struct paidan *paidan, char **words, const char *key) {
  Paidan__V1__PublishExternal body = PAIDAN__V1__PUBLISH_EXTERNAL__INIT;
  Paidan__V1__Command command = PAIDAN__V1__COMMAND__INIT;
  body.type = words[0];
  body.schema = words[1];
  body.payload = (ProtobufCBinaryData){strlen(words[2]), (uint8_t *)words[2]};
  command.body_case = PAIDAN__V1__COMMAND__BODY_PUBLISH_EXTERNAL;
  command.publish_external = &body;
  size_t size = paidan__v1__command__get_packed_size(&command);
  uint8_t *bytes = malloc(size);
  if (bytes == NULL) return PAIDAN_EIO;
  paidan__v1__command__pack(&command, bytes);
  int outcome = PAIDAN_EIO;
  int code = paidan_send(paidan, bytes, size, key, on_reply, &outcome);
  free(bytes);
  if (code != PAIDAN_OK) fprintf(stderr, "publish: %s\n", paidan_why(paidan));
  while (code == PAIDAN_OK && paidan_turn(paidan, 100) > 0) continue;
  return code == PAIDAN_OK ? outcome : code;
}

int main(int argc, char **argv) {
  if (argc < 7 || argc > 8) {
    fprintf(stderr, "usage: publish tcp://HOST:PORT SERVER_KEY KEY_FILE TYPE SCHEMA TEXT [KEY]\n");
    return 64;
  }
  struct paidan *paidan;
  struct paidan_options options = PAIDAN_OPTIONS_INIT;
  options.edge = argv[1];
  options.server_key = argv[2];
  options.key_file = argv[3];
  int code = paidan_open(&paidan, &options);
  if (code == PAIDAN_OK)
    code = publish(paidan, argv + 4, argc == 8 ? argv[7] : NULL);
  else
    fprintf(stderr, "publish: %s\n", paidan_why(paidan));
  paidan_close(paidan);
  return code == PAIDAN_OK ? 0 : 1;
}
