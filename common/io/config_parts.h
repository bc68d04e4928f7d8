/* config_parts - what config's files share: a value with its place, the YAML reader, the printed
 * forms. */
#ifndef PD_IO_CONFIG_PARTS_H
#define PD_IO_CONFIG_PARTS_H

#include "common/io/config.h"

#define CONFIG_FILE_MAX 65536 /* bytes of a configuration file */
#define CONFIG_TEXT_MAX 4096  /* bytes of one value, with its NUL */

/* A load under way. */
struct config_load {
  const struct pd_program *program;
  char *values;
  FILE *err; /* each fault is printed here, or NULL */
  char *why; /* the first fault is kept here, or NULL */
  size_t why_size;
  unsigned faults;
  const char *sources[PD_SETTINGS_MAX]; /* where each value came from: "default", "file" ... */
};

/* Note a fault: "place: text". */
__attribute__((format(printf, 3, 4))) void config_fault(struct config_load *load, const char *place,
                                                        const char *format, ...);

/* Which setting has this name, `-` standing for `_` too; -1: none. */
int config_find(const struct pd_program *program, const char *name, size_t length);

/* Check the text and store its value; place is where it stands, for the message. */
void config_set(struct config_load *load, int setting, const char *text, const char *source,
                const char *place);

/* Set everything that a YAML text gives; name is what messages call it. */
void config_read_yaml(struct config_load *load, const char *name, const uint8_t *yaml, size_t size);

/* What --help shows. */
void config_print_help(const struct pd_program *program, FILE *out);
/* What --print-config shows: every value, secrets as ***, and its source. */
void config_print_values(const struct config_load *load, FILE *out);

#endif
