// A disk that loses power: preloaded into a program, it lets the program's crash (_exit(137), what a fault point does) take
// with it whatever was not made durable below the folder LOSSY_DISK. Of a file that is the bytes since its last fsync; of
// names those that were made, linked or renamed and whose folder was not synced since (POSIX asks for no more). A removed
// name stays removed: file systems order removals before what is synced later. Files that are written through stdio are not
// seen and keep what they have.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { MOST = 1 << 16, CRASHED = 137, FIRST_KEPT_FD = 600 };

struct data {
  int fd;    // As the program knows it; -1 once it has closed the file.
  int kept;  // Ours, of the same file.
  off_t durable;
};

struct name {
  enum { CREATED, LINKED, RENAMED, FOLDER } how;
  char *path, *from, *replaced;  // replaced: a link to what had the name before.
  dev_t device;
  ino_t folder;  // Whose sync makes it durable.
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct data files[MOST];
static struct name names[MOST];
static int file_count, name_count, stashed;

static void *next(const char *function) {
  void *found = dlsym(RTLD_NEXT, function);
  if (!found) abort();
  return found;
}

static int covers(const char *path) {
  const char *root = getenv("LOSSY_DISK");
  return root && strncmp(path, root, strlen(root)) == 0;
}

static void full(const char *what) {
  fprintf(stderr, "lossy_disk: too many %s at once\n", what);
  abort();
}

static void note_name(int how, const char *path, const char *from, char *replaced) {
  char folder[4096];
  snprintf(folder, sizeof folder, "%s", path);
  char *slash = strrchr(folder, '/');
  if (slash) *slash = 0;
  struct stat info;
  if (stat(folder, &info) != 0) return;
  if (name_count == MOST) full("names that are not durable");
  struct name *one = &names[name_count++];
  *one = (struct name){how, strdup(path), from ? strdup(from) : NULL, replaced, info.st_dev, info.st_ino};
}

static void forget_name(int at) {
  free(names[at].path);
  free(names[at].from);
  if (names[at].replaced) {
    unlink(names[at].replaced);
    free(names[at].replaced);
  }
  memmove(&names[at], &names[at + 1], (size_t)(name_count - at - 1) * sizeof names[0]);
  name_count--;
}

static int open_as(int (*real)(const char *, int, ...), const char *path, int flags, mode_t mode) {
  const int writes = (flags & O_ACCMODE) != O_RDONLY && covers(path);
  if (!writes) return real(path, flags, mode);
  pthread_mutex_lock(&lock);
  const int is_new = access(path, F_OK) != 0;
  const int fd = real(path, flags, mode);
  const int error = errno;
  struct stat info;
  if (fd >= 0 && fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
    if (is_new) note_name(CREATED, path, NULL, NULL);
    if (file_count == MOST) full("files that are not durable");
    files[file_count++] = (struct data){fd, fcntl(fd, F_DUPFD_CLOEXEC, FIRST_KEPT_FD), is_new ? 0 : info.st_size};
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return fd;
}

int open(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open_as((int (*)(const char *, int, ...))next("open"), path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open_as((int (*)(const char *, int, ...))next("open64"), path, flags, mode);
}

int close(int fd) {
  pthread_mutex_lock(&lock);
  for (int i = file_count - 1; i >= 0; i--) {
    if (files[i].fd != fd) continue;
    struct stat info;
    files[i].fd = -1;
    if (fstat(files[i].kept, &info) == 0 && info.st_size != files[i].durable) break;
    syscall(SYS_close, files[i].kept);
    files[i] = files[--file_count];
    break;
  }
  pthread_mutex_unlock(&lock);
  return ((int (*)(int))next("close"))(fd);
}

static void made_durable(int fd) {
  struct stat info;
  if (fstat(fd, &info) != 0) return;
  for (int i = 0; i < file_count; i++) {
    struct stat other;
    if (fstat(files[i].kept, &other) == 0 && other.st_ino == info.st_ino && other.st_dev == info.st_dev)
      files[i].durable = info.st_size;
  }
  for (int i = name_count - 1; i >= 0; i--) {
    if (names[i].folder == info.st_ino && names[i].device == info.st_dev) forget_name(i);
  }
}

int fsync(int fd) {
  const int outcome = ((int (*)(int))next("fsync"))(fd);
  pthread_mutex_lock(&lock);
  if (outcome == 0) made_durable(fd);
  pthread_mutex_unlock(&lock);
  return outcome;
}

int fdatasync(int fd) { return fsync(fd); }

int mkdir(const char *path, mode_t mode) {
  pthread_mutex_lock(&lock);
  const int outcome = ((int (*)(const char *, mode_t))next("mkdir"))(path, mode);
  const int error = errno;
  if (outcome == 0 && covers(path)) note_name(FOLDER, path, NULL, NULL);
  pthread_mutex_unlock(&lock);
  errno = error;
  return outcome;
}

int link(const char *from, const char *to) {
  pthread_mutex_lock(&lock);
  const int outcome = ((int (*)(const char *, const char *))next("link"))(from, to);
  const int error = errno;
  if (outcome == 0 && covers(to)) note_name(LINKED, to, NULL, NULL);
  pthread_mutex_unlock(&lock);
  errno = error;
  return outcome;
}

int rename(const char *from, const char *to) {
  pthread_mutex_lock(&lock);
  char *replaced = NULL;
  if (covers(to) && access(to, F_OK) == 0) {
    char stash[4096];
    snprintf(stash, sizeof stash, "%s.lossy-%d-%d", getenv("LOSSY_DISK"), (int)getpid(), stashed++);
    if (((int (*)(const char *, const char *))next("link"))(to, stash) == 0) replaced = strdup(stash);
  }
  const int outcome = ((int (*)(const char *, const char *))next("rename"))(from, to);
  const int error = errno;
  if (outcome == 0 && covers(to)) {
    note_name(RENAMED, to, from, replaced);
  } else if (replaced) {
    unlink(replaced);
    free(replaced);
  }
  pthread_mutex_unlock(&lock);
  errno = error;
  return outcome;
}

// Of a thread that reads a mapped file which is shorter now.
static void stand_still(int number) {
  (void)number;
  for (;;) pause();
}

static void lose_power(void) {
  signal(SIGBUS, stand_still);
  int bytes = 0, lost = name_count;
  for (int i = 0; i < file_count; i++) {
    struct stat info;
    if (fstat(files[i].kept, &info) != 0 || info.st_size == files[i].durable) continue;
    if (ftruncate(files[i].kept, files[i].durable) == 0) bytes++;
  }
  for (int i = name_count - 1; i >= 0; i--) {
    struct name *one = &names[i];
    if (one->how == CREATED || one->how == LINKED) unlink(one->path);
    if (one->how == FOLDER) rmdir(one->path);
    if (one->how != RENAMED) continue;
    ((int (*)(const char *, const char *))next("rename"))(one->path, one->from);
    if (one->replaced) ((int (*)(const char *, const char *))next("rename"))(one->replaced, one->path);
  }
  fprintf(stderr, "lossy_disk: bytes of %d files and %d names are lost\n", bytes, lost);
}

void _exit(int code) {
  if (code == CRASHED && getenv("LOSSY_DISK")) {
    pthread_mutex_lock(&lock);  // For good: nobody writes any more.
    lose_power();
  }
  for (;;) syscall(SYS_exit_group, code);
}
