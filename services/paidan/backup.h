/* backup - the files of a backup, which backup.c writes and restore.c reads. */
#ifndef PAIDAN_BACKUP_H
#define PAIDAN_BACKUP_H

#include "services/paidan/tool.h"

/* A NAME.entries file: this, then records, each followed by its entry's bytes.  Little endian. */
static const char BACKUP_MAGIC[16] = "paidan entries 1";

struct backup_record {
  uint64_t last_seq;
  uint64_t epoch;
  uint32_t size; /* of the bytes that follow */
  uint8_t hash[32];
  uint32_t zero;
};

/* `paidan restore DIR`; returns the exit code. */
int restore_run(struct tool *tool);

#endif
