/* System calls that change or look into what is not the program's own. */
#ifndef ATTEMPT_H
#define ATTEMPT_H

#define _GNU_SOURCE
#include "probe.h"

#ifndef __wasm__
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* What `attempt` returns, made in a child: a filter may kill who makes a call. It returns an error number, or 0. */
static inline int in_child(int (*attempt)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        alarm(LIMIT_S / 2);
        _exit(attempt());
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return CANNOT_TRY;
    if (WIFSIGNALED(status))
        return KILLED;
    return WEXITSTATUS(status) == 0 ? worked() : by_errno(WEXITSTATUS(status));
}
#define ATTEMPT(attempt) in_child(attempt)
#else
#define ATTEMPT(attempt) NOT_OFFERED
#endif

#endif
