/* The noisy neighbour: for `seconds`, spins, thrashes memory bandwidth, writes files, or starts processes. */
#include "read.h"
#ifndef __wasm__
#include <sys/wait.h>
#endif

/* Several of them may see one directory. */
#ifdef __wasm__
#define NUMBER_OF_IT 0
#else
#define NUMBER_OF_IT getpid()
#endif

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void spin(void)
{
    for (volatile long i = 0; i < 1000000; i++)
        ;
}

static void thrash(void)
{
    static char *memory;
    const size_t bytes = 16 << 20;
    if (memory == NULL && (memory = malloc(2 * bytes)) == NULL)
        return;
    memcpy(memory, memory + bytes, bytes);
    memory[bytes]++;
}

static void write_file(void)
{
    static char bytes[1 << 16];
    static char path[300];
    snprintf(path, sizeof path, "%s-%d", own_path("/tmp"), (int)NUMBER_OF_IT);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    for (int i = 0; fd >= 0 && i < 16; i++)
        if (write(fd, bytes, sizeof bytes) < 0)
            break;
    if (fd >= 0) {
        close(fd);
        unlink(path);
    }
}

static void start_process(void)
{
#ifndef __wasm__
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    if (pid > 0)
        waitpid(pid, NULL, 0);
#endif
}

static int probe(void)
{
    const char *kind = parameter("kind");
    void (*what)(void) = kind[0] == 's' ? spin : kind[0] == 'm' ? thrash : kind[0] == 'f' ? write_file : start_process;
    double end = now() + (double)number("milliseconds") / 1000;
    while (now() < end)
        what();
    return 0;
}
