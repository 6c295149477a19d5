/* A disk that is full or broken: the n-th write or sync of a file below a folder fails.
 *
 * Preloaded; told by a file that the test has mapped too. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

enum { WRITES = 1, SYNCS = 2 };

struct control {
  int at;      /* which call fails; 0 is none */
  int error;   /* its errno */
  int lasting; /* those after it fail too */
  int torn;    /* of the first one, half is written */
  int kinds;   /* of calls that are counted */
  int count;
  int failed;
};

static volatile struct control *control;
static const char *folder;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("FAILING_DISK");
  folder = getenv("FAILING_FOLDER");
  int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
  if (file < 0 || !folder) return;
  void *found = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (found != MAP_FAILED) control = found;
  close(file);
}

/* How many calls too late this one is: 0 is the one that fails first, -1 passes. */
static int late(int file, int kind) {
  char link[64], path[4096];
  if (!control || !control->at || !(control->kinds & kind)) return -1;
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return -1;
  path[length] = 0;
  if (strncmp(path, folder, strlen(folder))) return -1;
  int passed = __sync_add_and_fetch(&control->count, 1) - control->at;
  if (passed < 0 || (passed > 0 && !control->lasting)) return -1;
  __sync_add_and_fetch(&control->failed, 1);
  return passed;
}

/* Say whether a write fails, after its half was taken where that is asked for. */
static int refused(int file, size_t *length) {
  int found = late(file, WRITES);
  if (found == 0 && control->torn && *length > 1) {
    *length /= 2;
    return 0;
  }
  if (found >= 0) errno = control->error;
  return found >= 0;
}

static int unsynced(int file) {
  if (late(file, SYNCS) < 0) return 0;
  errno = control->error;
  return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *data, size_t length) {
  return refused(file, &length) ? -1 : REAL(write)(file, data, length);
}

ssize_t pwrite(int file, const void *data, size_t length, off_t at) {
  return refused(file, &length) ? -1 : REAL(pwrite)(file, data, length, at);
}

ssize_t pwrite64(int file, const void *data, size_t length, off64_t at) {
  return refused(file, &length) ? -1 : REAL(pwrite64)(file, data, length, at);
}

int fsync(int file) { return unsynced(file) ? -1 : REAL(fsync)(file); }

int fdatasync(int file) { return unsynced(file) ? -1 : REAL(fdatasync)(file); }
