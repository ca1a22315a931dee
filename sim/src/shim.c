/* What stands between a simulated process and the operating system.
 *
 * - Randomness is the seed's: getrandom() and getentropy() give the stream of ONSALE_SIM_SEED.
 * - Addresses are the same in each run: without address space randomisation, hash tables that are keyed by addresses are alike.
 * - The wall clock stands.
 * - Files under the simulated data directory can find the disk full, or die with the process: from a chosen operation on nothing
 *   has an effect.
 *
 * The program speaks to it by readlink() of a path that begins with /onsale-sim/; see shim.rs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define FDS 1024
#define REAL(name) ((__typeof__(&name))real(#name))

static const char place[] = "/dev/shm/onsale-sim.";
static uint64_t stream;
/* Descriptors of simulated files: 1, or 2 for a snapshot that isn't finished. */
static unsigned char simulated[FDS];
static long room = -1;   /* bytes that unfinished snapshots may still take; -1 is no limit */
static long points = -1; /* operations until the process dies; -1 is never */
static long full_count;
static int dead;

static void *real(const char *name) { return dlsym(RTLD_NEXT, name); }

__attribute__((constructor)) static void begin(int argc, char **argv, char **envp) {
    (void)argc;
    int now = personality(0xffffffff);
    if (now >= 0 && !(now & ADDR_NO_RANDOMIZE) && personality(now | ADDR_NO_RANDOMIZE) >= 0) {
        execve("/proc/self/exe", argv, envp);
    }
    const char *seed = getenv("ONSALE_SIM_SEED");
    stream = seed ? strtoull(seed, NULL, 10) : 0;
}

static uint64_t next(void) {
    stream += 0x9e3779b97f4a7c15u;
    uint64_t mixed = (stream ^ (stream >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
}

ssize_t getrandom(void *buffer, size_t len, unsigned flags) {
    (void)flags;
    unsigned char *bytes = buffer;
    for (size_t at = 0; at < len; at++) bytes[at] = (unsigned char)next();
    return (ssize_t)len;
}

int getentropy(void *buffer, size_t len) {
    getrandom(buffer, len, 0);
    return 0;
}

int clock_gettime(clockid_t id, struct timespec *at) {
    static __typeof__(&clock_gettime) other;
    if (!other) other = REAL(clock_gettime);
    int done = other(id, at);
    if (id == CLOCK_REALTIME) {
        at->tv_sec = 1800000000;
        at->tv_nsec = 0;
    }
    return done;
}

/* Counts an operation that changes a simulated file; says whether it has no effect any more. */
static int lost(void) {
    if (!dead && points > 0 && --points == 0) dead = 1;
    if (dead) errno = EIO;
    return dead;
}

static int is_simulated(const char *path) { return strncmp(path, place, sizeof place - 1) == 0; }

static int note(int fd, const char *path) {
    if (fd >= 0 && fd < FDS && is_simulated(path)) {
        size_t len = strlen(path);
        simulated[fd] = len > 8 && strcmp(path + len - 8, ".partial") == 0 ? 2 : 1;
    }
    return fd;
}

static int of(int fd) { return fd >= 0 && fd < FDS ? simulated[fd] : 0; }

#define OPEN(name)                                                                       \
    int name(const char *path, int flags, ...) {                                         \
        va_list rest;                                                                    \
        va_start(rest, flags);                                                           \
        mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;                        \
        va_end(rest);                                                                    \
        if ((flags & (O_CREAT | O_TRUNC)) && is_simulated(path) && lost()) return -1;    \
        return note(((int (*)(const char *, int, ...))real(#name))(path, flags, mode), path); \
    }
OPEN(open)
OPEN(open64)

int close(int fd) {
    if (fd >= 0 && fd < FDS) simulated[fd] = 0;
    return REAL(close)(fd);
}

static int refused(int fd, size_t len) {
    if (!of(fd)) return 0;
    if (lost()) return 1;
    if (of(fd) == 2 && room >= 0) {
        if ((size_t)room < len) {
            full_count++;
            errno = ENOSPC;
            return 1;
        }
        room -= (long)len;
    }
    return 0;
}

ssize_t write(int fd, const void *bytes, size_t len) {
    return refused(fd, len) ? -1 : REAL(write)(fd, bytes, len);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at) {
    return refused(fd, len) ? -1 : REAL(pwrite64)(fd, bytes, len, at);
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at) {
    return refused(fd, len) ? -1 : REAL(pwrite)(fd, bytes, len, at);
}

int fsync(int fd) { return of(fd) && lost() ? -1 : of(fd) ? 0 : REAL(fsync)(fd); }

int fdatasync(int fd) { return of(fd) && lost() ? -1 : of(fd) ? 0 : REAL(fdatasync)(fd); }

int ftruncate64(int fd, off64_t len) { return of(fd) && lost() ? -1 : REAL(ftruncate64)(fd, len); }

int rename(const char *from, const char *to) {
    return is_simulated(from) && lost() ? -1 : REAL(rename)(from, to);
}

int unlink(const char *path) { return is_simulated(path) && lost() ? -1 : REAL(unlink)(path); }

int mkdir(const char *path, mode_t mode) { return is_simulated(path) && lost() ? -1 : REAL(mkdir)(path, mode); }

/* Commands: /onsale-sim/room/N, /onsale-sim/points/N, /onsale-sim/alive, and the questions /onsale-sim/dead and /onsale-sim/full. */
ssize_t readlink(const char *path, char *buffer, size_t len) {
    static const char prefix[] = "/onsale-sim/";
    if (strncmp(path, prefix, sizeof prefix - 1) != 0) return REAL(readlink)(path, buffer, len);
    const char *word = path + sizeof prefix - 1;
    long told = 0;
    if (strncmp(word, "room/", 5) == 0) room = strtol(word + 5, NULL, 10);
    else if (strncmp(word, "points/", 7) == 0) points = strtol(word + 7, NULL, 10);
    else if (strcmp(word, "alive") == 0) dead = 0, points = -1, room = -1;
    else if (strcmp(word, "dead") == 0) told = dead;
    else if (strcmp(word, "full") == 0) told = full_count;
    int wrote = snprintf(buffer, len, "%ld", told);
    return wrote < 0 ? -1 : (ssize_t)wrote;
}
