/* replay - a fuzz target without libFuzzer: runs the inputs in the given files and folders.
 *
 *     fuzz_entry CORPUS…            every file once; a crash ends the program
 *     fuzz_entry --seeds FOLDER     write the target's own seeds there
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX (1 << 20)

static uint8_t input[INPUT_MAX];

/* Each input in a block of its own size, so that a sanitizer sees what is read beyond it. */
static int run_file(const char *path) {
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    perror(path);
    return 0;
  }
  size_t size = fread(input, 1, sizeof input, file);
  fclose(file);
  uint8_t *copy = malloc(size > 0 ? size : 1);
  if (copy == NULL) abort();
  memcpy(copy, input, size);
  fprintf(stderr, "%s\n", path); /* names the culprit if it crashes */
  LLVMFuzzerTestOneInput(copy, size);
  free(copy);
  return 1;
}

static int run(const char *path) {
  struct dirent **names;
  int count = scandir(path, &names, NULL, alphasort), inputs = 0;
  if (count < 0) return run_file(path);
  for (int i = 0; i < count; i++) {
    char inside[4096];
    snprintf(inside, sizeof inside, "%s/%s", path, names[i]->d_name);
    if (names[i]->d_name[0] != '.') inputs += run_file(inside);
    free(names[i]);
  }
  free(names);
  return inputs;
}

static int write_seeds(const char *folder) {
  int count = 0;
  for (uint32_t index = 0;; index++) {
    size_t size = fuzz_seed(index, input, sizeof input);
    if (size == 0) break;
    char path[4096];
    snprintf(path, sizeof path, "%s/seed-%02u", folder, index);
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(input, 1, size, file) != size || fclose(file) != 0) {
      perror(path);
      return 0;
    }
    count++;
  }
  return count;
}

int main(int argc, char **argv) {
  int count = 0;
  if (argc == 3 && strcmp(argv[1], "--seeds") == 0)
    count = write_seeds(argv[2]);
  else
    for (int i = 1; i < argc; i++) count += run(argv[i]);
  printf("%d inputs\n", count);
  return count > 0 ? 0 : 1; /* an empty corpus tests nothing */
}
