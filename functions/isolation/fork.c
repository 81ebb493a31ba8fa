/* Starts as many processes as the parameter `processes` says, all alive at once. */
#include "probe.h"
#ifndef __wasm__
#include <sys/wait.h>
#endif

static int probe(void)
{
#ifdef __wasm__
    return NOT_OFFERED;
#else
    long wanted = number("processes"), made = 0;
    int error = 0, gate[2];
    pid_t *children = calloc((size_t)wanted, sizeof *children);
    if (children == NULL || pipe(gate) != 0)
        return CANNOT_TRY;
    for (; made < wanted; made++) {
        pid_t pid = fork();
        if (pid == 0) {
            char byte;
            close(gate[1]);
            _exit(read(gate[0], &byte, 1) != 0);
        }
        if (pid < 0) {
            error = errno;
            break;
        }
        children[made] = pid;
    }
    close(gate[1]);
    for (long i = 0; i < made; i++)
        waitpid(children[i], NULL, 0);
    return made == wanted ? worked() : by_errno(error);
#endif
}
