#include "common/io/store_seam.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_BYTES ((size_t)4 << 20) /* a page ends with the entry that reaches this */

enum pd_err store_seam_init(struct store_seam *seam, const char *dir, uint32_t shard) {
  *seam = (struct store_seam){.shard = shard};
  int n = snprintf(seam->dir, sizeof seam->dir, "%s", dir);
  if (n >= 0 && (size_t)n < sizeof seam->dir) return PD_OK;
  seam->dir[0] = '\0';
  return PD_EBOUNDS;
}

void store_seam_close(struct store_seam *seam) {
  for (unsigned log = 0; log < PD_LOGS; log++) pd_archive_shut(seam->archives[log]);
  *seam = (struct store_seam){0};
}

bool store_seam_needed(const struct store_seam *seam, uint64_t from,
                       const struct pd_stored *entries, size_t count) {
  struct pd_entry_view view;
  if (seam->dir[0] == '\0' || count == 0) return false;
  /* An entry that is damaged is for the reader to judge. */
  if (pd_entry_open(entries[0].bytes, entries[0].size, &view) != PD_OK) return false;
  return view.head.first_seq > from;
}

static enum pd_err open_archive(struct store_seam *seam, enum pd_log log) {
  if (log == PD_LOG_UNSPECIFIED) return PD_ENOENT;
  if (seam->archives[log] != NULL) return PD_OK;
  struct pd_archive_place place = {.dir = seam->dir, .shard = seam->shard, .log = log};
  return pd_archive_open(&seam->archives[log], &place);
}

/* A page in the making. */
struct page {
  struct pd_stored *entries;
  size_t count;
  uint8_t *memory;
  size_t used;
};

/* Copy an entry behind the others. */
static bool add(struct page *page, const struct pd_stored *entry) {
  size_t size = entry->size + PD_HASH_SIZE;
  if (page->used + size > PAGE_BYTES + PD_ENTRY_MAX + PD_HASH_SIZE) return false;
  uint8_t *to = page->memory + page->used;
  page->entries[page->count] = *entry;
  page->entries[page->count].bytes = memcpy(to, entry->bytes, entry->size);
  page->entries[page->count].hash = memcpy(to + entry->size, entry->hash, PD_HASH_SIZE);
  page->count++;
  page->used += size;
  return true;
}

/* What follows the first entry is a gift: any error ends the page, and the next read tells it. */
static enum pd_err fill(struct page *page, struct pd_archive *archive, uint64_t from,
                        uint32_t max_entries) {
  struct pd_stored entry;
  while (page->count < max_entries && page->used < PAGE_BYTES) {
    enum pd_err err = pd_archive_read(archive, from, &entry);
    if (err != PD_OK) return page->count > 0 ? PD_OK : err;
    if (!add(page, &entry)) break;
    from = entry.last_seq + 1;
  }
  return page->count > 0 ? PD_OK : PD_ECORRUPT;
}

enum pd_err store_seam_read(struct store_seam *seam, const char *log, uint64_t from,
                            uint32_t max_entries, struct pd_stored **entries, size_t *count,
                            uint8_t **memory) {
  enum pd_log number = pd_log_named(log);
  *entries = NULL;
  *memory = NULL;
  *count = 0;
  enum pd_err err = open_archive(seam, number);
  if (err != PD_OK) return err;
  struct page page = {.entries = calloc(max_entries, sizeof *page.entries),
                      .memory = malloc(PAGE_BYTES + PD_ENTRY_MAX + PD_HASH_SIZE)};
  err = page.entries == NULL || page.memory == NULL
            ? PD_EIO
            : fill(&page, seam->archives[number], from, max_entries);
  if (err != PD_OK) {
    free(page.entries);
    free(page.memory);
    return err;
  }
  *entries = page.entries;
  *memory = page.memory;
  *count = page.count;
  return PD_OK;
}
