/* A disk that is slower: every fdatasync and fsync of the process takes SLOW_DISK_MICROS longer.
 * gcc -shared -fPIC -O2 -o slow_disk.so slow_disk.c -ldl; LD_PRELOAD=slow_disk.so onsale serve */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static struct timespec pause_of;

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("SLOW_DISK_MICROS");
    long micros = text ? atol(text) : 0;
    pause_of.tv_sec = micros / 1000000;
    pause_of.tv_nsec = micros % 1000000 * 1000;
}

static int slowed(const char *name, int fd) {
    nanosleep(&pause_of, NULL);
    return ((int (*)(int))dlsym(RTLD_NEXT, name))(fd);
}

int fdatasync(int fd) { return slowed("fdatasync", fd); }
int fsync(int fd) { return slowed("fsync", fd); }
