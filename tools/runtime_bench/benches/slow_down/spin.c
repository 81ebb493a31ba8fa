/* Keeps its processor for as many nanoseconds as its argument says, by its own clock. One source, native and Wasm. */
#include <stdlib.h>
#include <time.h>

static long long now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(int argc, char **argv)
{
    long long until_ns = now_ns() + (argc > 1 ? atoll(argv[1]) : 0);
    while (now_ns() < until_ns) {
    }
    return 0;
}
