/* A library to preload: the wall clock of the process is wrong by the seconds that the first eight
 * bytes of the file THICKET_TEST_CLOCK hold. Other clocks are right. Compiled by wrong_clock.rs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *wrong_by;
static int (*of_libc)(clockid_t, struct timespec *);

__attribute__((constructor)) static void prepare(void) {
    of_libc = dlsym(RTLD_NEXT, "clock_gettime");
    const char *path = getenv("THICKET_TEST_CLOCK");
    int file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return;
    }
    void *map = mmap(NULL, sizeof *wrong_by, PROT_READ, MAP_SHARED, file, 0);
    close(file);
    wrong_by = map == MAP_FAILED ? NULL : map;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = of_libc != NULL ? of_libc(clock, time) : (int)syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && wrong_by != NULL && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        time->tv_sec += *wrong_by;
    }
    return result;
}
