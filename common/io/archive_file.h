/* archive_file - how a segment lies on the disk, for archive.c (reading) and archive_write.c. */
#ifndef PD_IO_ARCHIVE_FILE_H
#define PD_IO_ARCHIVE_FILE_H

#include "common/io/archive.h"

#include <sodium.h>
#include <stdio.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
               "a segment's numbers are written as they stand in memory");

enum {
  ARCHIVE_FORMAT = 1,
  ARCHIVE_PATH = 512,
  ARCHIVE_BLOCK = 1 << 20,  /* bytes of entries that end a block */
  ARCHIVE_BLOCKS = 1 << 20, /* the most that a reader believes */
};

/* The largest block: one that was nearly full when the largest entry came. */
#define ARCHIVE_BLOCK_MAX ((size_t)ARCHIVE_BLOCK + PD_ENTRY_MAX + 128)

struct archive_head {
  char magic[8];
  uint32_t format;
  uint32_t shard;
  uint32_t log;
  uint32_t zero;
  uint64_t first_seq;
};

/* What stands before each entry in a block. */
struct archive_frame {
  uint64_t last_seq;
  uint64_t epoch;
  uint32_t size;
  uint32_t zero;
  struct pd_hash hash;
};

/* One block in the index. */
struct archive_block {
  uint64_t last_seq;
  uint64_t offset; /* in the file */
  uint32_t stored; /* bytes of the zstd frame */
  uint32_t raw;    /* bytes of the entries and their frames */
};

struct archive_foot {
  struct pd_segment segment;
  struct pd_hash meta; /* over head, index and segment */
  struct pd_hash all;  /* over the file up to here */
};

extern const char archive_magic[8];

/* `<dir>/<shard>/<log>`; false if that is too long. */
bool archive_folder(char path[ARCHIVE_PATH], const struct pd_archive_place *place);

/* A segment's path in its folder; last_seq 0: of one in the making. */
bool archive_path(char path[ARCHIVE_PATH], const char *folder, uint64_t first_seq,
                  uint64_t last_seq);

/* The hash over head, index and segment. */
struct pd_hash archive_meta(const struct archive_head *head, const struct archive_block *index,
                            const struct pd_segment *segment);

#endif
