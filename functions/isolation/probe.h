/* What the probes of `runtime_bench isolation` share. A probe is a program that tries one thing and says by its exit
 * code how that went: the only thing that every rung brings out of every function. crates/isolation/src/outcome.rs has
 * the same list, and a test holds the two together.
 *
 * What it aims at (a path, a port, a process) is planted on the host for one run, and written into the program's own
 * block of parameters before it is started: functions get no arguments. */
#ifndef PROBE_H
#define PROBE_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* For Faaslets that were granted something of the network: a component, which has sockets. */
#ifdef GRANTED
#include "../wasi-sockets.h"

/* As preview 1 has it, a component says by its exit code no more than whether it failed. */
FROM("wasi:cli/exit@0.2.12", "exit-with-code") void exit_with_code(int32_t code);
#endif

enum outcome {
    REACHED = 10,
    OTHER = 11,         /* there is one, but its own, not the host's */
    ABSENT = 12,        /* there is none */
    DENIED = 13,        /* EPERM, EACCES */
    READ_ONLY = 14,
    NOT_OFFERED = 15,   /* no such call */
    NO_CAPABILITY = 16, /* WASI: nothing was granted */
    UNREACHABLE = 17,
    LIMITED = 18,
    KILLED = 19,
    TIMED_OUT = 20,
    REFUSED = 21,       /* any other error */
    CANNOT_TRY = 22,
    OWN_KERNEL = 23,    /* it works, on a kernel that is not the host's */
    NO_SOCKET = 24,     /* there is nothing to send by */
};

/* A number is said by two starts, six bits each: this is 0. */
#define DIGIT 160

/* Longest time that a probe takes before it ends itself. */
#define LIMIT_S 20

#define SPACES_64 "                                                                "
#define SPACES_512 SPACES_64 SPACES_64 SPACES_64 SPACES_64 SPACES_64 SPACES_64 SPACES_64 SPACES_64

/* name=value;name=value;...; with spaces at the end. Volatile: it is written after compilation. */
static volatile char parameters[] = "faasm-bench probe parameters:" SPACES_512 SPACES_512;

/* The value of a parameter, empty where it was not given. */
static inline const char *parameter(const char *name)
{
    static char values[4][sizeof parameters];
    static int next;
    char *value = values[next++ % 4];
    size_t length = strlen(name), at = sizeof "faasm-bench probe parameters:" - 1;
    while (at < sizeof parameters) {
        size_t i = 0;
        while (i < length && parameters[at + i] == name[i])
            i++;
        if (i == length && parameters[at + i] == '=') {
            size_t n = 0;
            for (at += length + 1; at < sizeof parameters && parameters[at] != ';'; at++)
                value[n++] = parameters[at];
            value[n] = 0;
            return value;
        }
        while (at < sizeof parameters && parameters[at] != ';')
            at++;
        at++;
    }
    value[0] = 0;
    return value;
}

/* A path in `directory` of a name that is this run's alone. */
static inline const char *own_path(const char *directory)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/faasm-bench-%s", directory, parameter("token"));
    return path;
}

static inline long number(const char *name)
{
    return strtol(parameter(name), NULL, 10);
}

/* What an error says of the way in which something was contained. */
static inline int by_errno(int error)
{
    switch (error) {
    case ENOENT: case ENOTDIR: case ESRCH: case ENODEV: case ENXIO:
        return ABSENT;
    case EPERM: case EACCES:
        return DENIED;
    case EROFS:
        return READ_ONLY;
    case ENOSYS: case EAFNOSUPPORT: case EPROTONOSUPPORT: case ENOTSUP:
        return NOT_OFFERED;
#ifdef __wasm__
    case ENOTCAPABLE: case EBADF:
        return NO_CAPABILITY;
#endif
    case ECONNREFUSED: case ENETUNREACH: case EHOSTUNREACH: case ETIMEDOUT: case ENETDOWN:
        return UNREACHABLE;
    case ENOMEM: case EAGAIN: case ENOSPC: case EDQUOT: case EMFILE: case ENFILE: case EFBIG:
        return LIMITED;
    default:
        return REFUSED;
    }
}

/* FNV-1a over n bytes. */
static inline uint64_t digest(const unsigned char *bytes, size_t n)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3;
    return hash;
}

/* The digit of `value` that the parameter `digit` asks for: 0 the low six bits, 1 the thirty-seconds. They overlap by a bit,
 * so that two starts that counted a little differently are put together well. */
static inline int say_digit(long value)
{
    return DIGIT + (int)((number("digit") == 0 ? value : value >> 5) & 63);
}

#ifndef __wasm__
#include <signal.h>
#include <sys/utsname.h>

/* Whether this is the host's kernel: same release and version, and booted at the same time. */
static inline int on_host_kernel(void)
{
    struct utsname name;
    struct timespec real, boot;
    char found[sizeof name.release + sizeof name.version + 2];
    if (uname(&name) != 0 || clock_gettime(CLOCK_REALTIME, &real) != 0 || clock_gettime(CLOCK_BOOTTIME, &boot) != 0)
        return 0;
    snprintf(found, sizeof found, "%s %s", name.release, name.version);
    long booted = (long)(real.tv_sec - boot.tv_sec), difference = booted - number("booted");
    return strcmp(found, parameter("kernel")) == 0 && difference > -60 && difference < 60;
}

/* What something that worked has reached. */
static inline int worked(void)
{
    return on_host_kernel() ? REACHED : OWN_KERNEL;
}

static void late(int signal)
{
    (void)signal;
    _exit(TIMED_OUT);
}
#else
static inline int worked(void)
{
    return REACHED;
}
#endif

static int probe(void);

int main(void)
{
    /* Linked in even where nobody asks for a parameter. */
    (void)parameters[0];
#ifndef __wasm__
    signal(SIGALRM, late);
    alarm(LIMIT_S);
#endif
#ifdef GRANTED
    exit_with_code(probe());
#else
    return probe();
#endif
}

#endif
