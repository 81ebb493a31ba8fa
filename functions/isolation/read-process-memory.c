/* Reads a token out of the memory of a process of the host, as a debugger would. */
#define _GNU_SOURCE
#include "probe.h"
#ifndef __wasm__
#include <sys/uio.h>
#endif

static int probe(void)
{
#ifdef __wasm__
    return NOT_OFFERED;
#else
    char found[16] = {0};
    struct iovec here = {found, sizeof found};
    struct iovec there = {(void *)strtoul(parameter("address"), NULL, 16), sizeof found};
    if (process_vm_readv((pid_t)number("pid"), &here, 1, &there, 1, 0) != (ssize_t)sizeof found)
        return by_errno(errno);
    return digest((unsigned char *)found, sizeof found) == strtoull(parameter("memory"), NULL, 16) ? REACHED : OTHER;
#endif
}
