/* A disk that is full after so many writes below a folder: preloaded, and told by chaos_fill_after when to begin. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static long left = -1; /* writes that still succeed; below zero: the disk never fills */
static long *done; /* writes below the folder so far, where who began this process sees them */
static char below[PATH_MAX];

void chaos_fill_after(long writes, const char *folder, long *count) {
    snprintf(below, sizeof below, "%s", folder);
    done = count;
    *done = 0;
    left = writes;
}

/* How much of a write finds room: of the first one that does not, the first half, as on a real disk. */
static size_t room(int file, size_t size) {
    char link[64], path[PATH_MAX];
    ssize_t length;
    if (left < 0 || size == 0) return size;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    length = readlink(link, path, sizeof path - 1);
    if (length < 0) return size;
    path[length] = 0;
    if (strncmp(path, below, strlen(below)) != 0) return size;
    if ((*done)++ < left) return size;
    errno = ENOSPC;
    return *done == left + 1 ? size / 2 : 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *data, size_t size) {
    size_t fits = room(file, size);
    return size && !fits ? -1 : REAL(write)(file, data, fits);
}

ssize_t pwrite(int file, const void *data, size_t size, off_t at) {
    size_t fits = room(file, size);
    return size && !fits ? -1 : REAL(pwrite)(file, data, fits, at);
}

ssize_t pwrite64(int file, const void *data, size_t size, off64_t at) {
    size_t fits = room(file, size);
    return size && !fits ? -1 : REAL(pwrite64)(file, data, fits, at);
}

/* The others all or not at all. */

static int full(int file) { return room(file, 1) == 0; }

ssize_t writev(int file, const struct iovec *parts, int count) {
    return full(file) ? -1 : REAL(writev)(file, parts, count);
}

ssize_t pwritev(int file, const struct iovec *parts, int count, off_t at) {
    return full(file) ? -1 : REAL(pwritev)(file, parts, count, at);
}

ssize_t pwritev64(int file, const struct iovec *parts, int count, off64_t at) {
    return full(file) ? -1 : REAL(pwritev64)(file, parts, count, at);
}

int fallocate(int file, int mode, off_t at, off_t size) { return full(file) ? -1 : REAL(fallocate)(file, mode, at, size); }

int fallocate64(int file, int mode, off64_t at, off64_t size) {
    return full(file) ? -1 : REAL(fallocate64)(file, mode, at, size);
}

int posix_fallocate(int file, off_t at, off_t size) {
    return full(file) ? ENOSPC : REAL(posix_fallocate)(file, at, size);
}

int posix_fallocate64(int file, off64_t at, off64_t size) {
    return full(file) ? ENOSPC : REAL(posix_fallocate64)(file, at, size);
}

ssize_t sendfile(int out, int in, off_t *at, size_t size) {
    ssize_t (*real)(int, int, off_t *, size_t) = dlsym(RTLD_NEXT, "sendfile");
    return full(out) ? -1 : real(out, in, at, size);
}

ssize_t sendfile64(int out, int in, off64_t *at, size_t size) {
    ssize_t (*real)(int, int, off64_t *, size_t) = dlsym(RTLD_NEXT, "sendfile64");
    return full(out) ? -1 : real(out, in, at, size);
}

ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t size, unsigned flags) {
    return full(out) ? -1 : REAL(copy_file_range)(in, from, out, to, size, flags);
}
