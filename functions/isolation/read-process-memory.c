/* Reads a token out of the memory of a process of the host, as a debugger would: at once, or as its tracer. */
#define _GNU_SOURCE
#include "probe.h"
#ifndef __wasm__
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

/* Stops it for as long as it takes to read `n` bytes, and lets it go on. */
static int read_as_tracer(pid_t pid, unsigned long address, char *found, size_t n)
{
    int error = 0;
    if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) != 0)
        return errno;
    if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) != 0 || waitpid(pid, NULL, __WALL) != pid)
        return errno;
    for (size_t at = 0; at < n && error == 0; at += sizeof(long)) {
        errno = 0;
        long word = ptrace(PTRACE_PEEKDATA, pid, (void *)(address + at), NULL);
        error = errno;
        memcpy(found + at, &word, sizeof word);
    }
    ptrace(PTRACE_DETACH, pid, NULL, NULL);
    return error;
}
#endif

static int probe(void)
{
#ifdef __wasm__
    return NOT_OFFERED;
#else
    char found[16] = {0};
    pid_t pid = (pid_t)number("pid");
    unsigned long address = strtoul(parameter("address"), NULL, 16);
    struct iovec here = {found, sizeof found};
    struct iovec there = {(void *)address, sizeof found};
    if (process_vm_readv(pid, &here, 1, &there, 1, 0) != (ssize_t)sizeof found) {
        int error = errno;
        if (read_as_tracer(pid, address, found, sizeof found) != 0)
            return by_errno(error);
    }
    return digest((unsigned char *)found, sizeof found) == strtoull(parameter("memory"), NULL, 16) ? REACHED : OTHER;
#endif
}
