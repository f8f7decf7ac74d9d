/* A disk and a clock that go wrong when they are told to. tests/faults.py compiles this and preloads it into a server.
 *
 * Environment: FAULTY_FOLDER, whose files are concerned; FAULTS, a folder with
 *   rules   one on a line, read anew at each call: OPERATION SUFFIX ACTION
 *           OPERATION  write, sync, cut (to another length), open (to write)
 *           SUFFIX     how the file's path ends
 *           ACTION     the number of an error, or "hang": it waits until the rule is gone
 *           or "clock - MICROSECONDS": how far the clock is from the true one
 *   met     a line "OPERATION PATH" for each time that a rule was met
 *   trace   where it is there: what was done to the files, for tests that cut the power. "W PATH OFFSET LENGTH" and the
 *           bytes; "C PATH 0 LENGTH"; "U PATH 0 0" unlinked; "B", "E", "F PATH 0 0" a sync began, ended, failed
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t tracing = PTHREAD_MUTEX_INITIALIZER;

static int open_own(const char *name, int flags) {
    char path[PATH_MAX];
    const char *folder = getenv("FAULTS");
    if (folder == NULL) return -1;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0600);
}

static void append(const char *name, int flags, const char *line, const void *data, size_t length) {
    int kept = errno, fd = open_own(name, O_WRONLY | O_APPEND | flags);
    if (fd >= 0) {
        (void)!syscall(SYS_write, fd, line, strlen(line));
        if (length > 0) (void)!syscall(SYS_write, fd, data, length);
        syscall(SYS_close, fd);
    }
    errno = kept;
}

static int is_ours(const char *path) {
    const char *folder = getenv("FAULTY_FOLDER");
    return folder != NULL && strncmp(path, folder, strlen(folder)) == 0;
}

static int path_of(int fd, char *path) {
    char link[64];
    int kept = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    errno = kept;
    if (length < 0) return 0;
    path[length] = '\0';
    return is_ours(path);
}

/* The action of the first rule for this, or an empty text. */
static void find_rule(const char *operation, const char *path, char action[32]) {
    char rules[1024], wanted[16], suffix[256];
    int kept = errno, fd = open_own("rules", O_RDONLY);
    action[0] = '\0';
    if (fd < 0) { errno = kept; return; }
    ssize_t length = syscall(SYS_read, fd, rules, sizeof rules - 1);
    syscall(SYS_close, fd);
    errno = kept;
    rules[length > 0 ? length : 0] = '\0';
    char *rest = rules;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        char found[32];
        if (sscanf(line, "%15s %255s %31s", wanted, suffix, found) != 3 || strcmp(wanted, operation) != 0) continue;
        size_t whole = strlen(path), end = strlen(suffix);
        if (strcmp(suffix, "-") != 0 && (whole < end || strcmp(path + whole - end, suffix) != 0)) continue;
        strcpy(action, found);
        return;
    }
}

/* Whether the call shall fail; errno is then the rule's. */
static int fails(const char *operation, const char *path) {
    char action[32], line[PATH_MAX + 32];
    int met = 0;
    for (;; usleep(5000)) {
        find_rule(operation, path, action);
        if (action[0] == '\0') return 0;
        snprintf(line, sizeof line, "%s %s\n", operation, path);
        if (!met++) append("met", O_CREAT, line, NULL, 0);
        if (strcmp(action, "hang") != 0) break;
    }
    errno = atoi(action);
    return 1;
}

static void trace(char what, const char *path, long long offset, long long length, const void *data) {
    char line[PATH_MAX + 64];
    snprintf(line, sizeof line, "%c %s %lld %lld\n", what, path, offset, length);
    append("trace", 0, line, data, what == 'W' ? (size_t)length : 0);
}

static ssize_t write_at(int fd, const void *data, size_t length, off_t offset, int at) {
    char path[PATH_MAX];
    int ours = path_of(fd, path);
    if (ours && fails("write", path)) return -1;
    if (!ours) return at ? syscall(SYS_pwrite64, fd, data, length, offset) : syscall(SYS_write, fd, data, length);
    pthread_mutex_lock(&tracing);
    if (!at) offset = lseek(fd, 0, SEEK_CUR);
    ssize_t done = at ? syscall(SYS_pwrite64, fd, data, length, offset) : syscall(SYS_write, fd, data, length);
    if (done > 0) trace('W', path, offset, done, data);
    pthread_mutex_unlock(&tracing);
    return done;
}

ssize_t write(int fd, const void *data, size_t length) { return write_at(fd, data, length, 0, 0); }
ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) { return write_at(fd, data, length, offset, 1); }
ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) { return write_at(fd, data, length, offset, 1); }

static int sync_with(long call, int fd) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return (int)syscall(call, fd);
    pthread_mutex_lock(&tracing);
    trace('B', path, 0, 0, NULL);
    pthread_mutex_unlock(&tracing);
    int failed = fails("sync", path) ? -1 : (int)syscall(call, fd);
    pthread_mutex_lock(&tracing);
    trace(failed ? 'F' : 'E', path, 0, 0, NULL);
    pthread_mutex_unlock(&tracing);
    return failed;
}

int fsync(int fd) { return sync_with(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_with(SYS_fdatasync, fd); }

int ftruncate(int fd, off_t length) {
    char path[PATH_MAX];
    int ours = path_of(fd, path);
    if (ours && fails("cut", path)) return -1;
    pthread_mutex_lock(&tracing);
    int failed = (int)syscall(SYS_ftruncate, fd, length);
    if (ours && !failed) trace('C', path, 0, length, NULL);
    pthread_mutex_unlock(&tracing);
    return failed;
}
int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }

int unlink(const char *path) {
    pthread_mutex_lock(&tracing);
    int failed = (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (is_ours(path) && !failed) trace('U', path, 0, 0, NULL);
    pthread_mutex_unlock(&tracing);
    return failed;
}

static int open_at(const char *path, int flags, mode_t mode) {
    if ((flags & O_ACCMODE) != O_RDONLY && is_ours(path) && fails("open", path)) return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static mode_t mode_of(int flags, va_list more) { return flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, mode_t) : 0; }

int open(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = mode_of(flags, more);
    va_end(more);
    return open_at(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = mode_of(flags, more);
    va_end(more);
    return open_at(path, flags | O_LARGEFILE, mode);
}

/* --- the clock --- */

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = (int)syscall(SYS_clock_gettime, clock, now);
    if (failed || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)) return failed;
    char action[32];
    find_rule("clock", "", action);
    long long shift = action[0] ? atoll(action) : 0, nanoseconds = now->tv_nsec + shift % 1000000 * 1000;
    now->tv_sec += shift / 1000000 + (nanoseconds < 0 ? -1 : nanoseconds / 1000000000);
    now->tv_nsec = (nanoseconds + 1000000000) % 1000000000;
    return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *seconds) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (seconds != NULL) *seconds = now.tv_sec;
    return now.tv_sec;
}
