/* A disk that is full after so many writes below a folder: preloaded, and told by chaos_fill_after when to begin. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static long left = -1; /* writes that still succeed; below zero: the disk never fills */
static char below[PATH_MAX];

void chaos_fill_after(long writes, const char *folder) {
    snprintf(below, sizeof below, "%s", folder);
    left = writes;
}

static int full(int file) {
    char link[64], path[PATH_MAX];
    ssize_t length;
    if (left < 0) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    if (strncmp(path, below, strlen(below)) != 0) return 0;
    if (left > 0) {
        left--;
        return 0;
    }
    errno = ENOSPC;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int file, const void *data, size_t size) { return full(file) ? -1 : REAL(write)(file, data, size); }

ssize_t writev(int file, const struct iovec *parts, int count) {
    return full(file) ? -1 : REAL(writev)(file, parts, count);
}

ssize_t pwrite(int file, const void *data, size_t size, off_t at) {
    return full(file) ? -1 : REAL(pwrite)(file, data, size, at);
}

ssize_t pwrite64(int file, const void *data, size_t size, off64_t at) {
    return full(file) ? -1 : REAL(pwrite64)(file, data, size, at);
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
