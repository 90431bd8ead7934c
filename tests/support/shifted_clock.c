/* Preloaded before the program: its wall clock is CLOCK_SHIFT seconds off, or as many as the file CLOCK_SHIFT_FILE says at the
 * moment (8 bytes), so that it can be set while the program runs. Makes a lake whose instants are hours old. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile const long *live_shift(void) {
  static void *mapped;
  const char *path = getenv("CLOCK_SHIFT_FILE");
  if (mapped == NULL && path != NULL) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) mapped = mmap(NULL, sizeof(long), PROT_READ, MAP_SHARED, fd, 0);
    if (fd < 0 || mapped == MAP_FAILED) abort();
    close(fd);
  }
  return mapped;
}

static long shift(void) {
  if (live_shift() != NULL) return *live_shift();
  const char *text = getenv("CLOCK_SHIFT");
  return text == NULL ? 0 : atol(text);
}

int clock_gettime(clockid_t clock, struct timespec *at) {
  static int (*real)(clockid_t, struct timespec *);
  if (real == NULL) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
  const int outcome = real(clock, at);
  if (outcome == 0 && clock == CLOCK_REALTIME) at->tv_sec += shift();
  return outcome;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
  (void)zone;
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  at->tv_sec = now.tv_sec;
  at->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *at) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (at != NULL) *at = now.tv_sec;
  return now.tv_sec;
}
