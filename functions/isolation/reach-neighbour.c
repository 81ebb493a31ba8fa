/* Reaches another start of itself on the same rung: two are made at once, and each listens on the parameter `port` of its own network,
 * and looks for the other on its loopback and on the addresses beside its own. */
#define _GNU_SOURCE
#include "connect.h"

#ifndef __wasm__
#include <ifaddrs.h>
#include <sys/random.h>
#include <sys/wait.h>

/* Both have begun by then, and each has tried everything. */
#define TOGETHER_S 4
#define BESIDE 8
#define NEAR_MS 50
#define NAME_BYTES 16

/* Tells a start from the other: that one was reached says nothing. */
static char name[NAME_BYTES];

static int is_own(const struct ifaddrs *own, uint32_t address)
{
    for (; own != NULL; own = own->ifa_next)
        if (own->ifa_addr != NULL && own->ifa_addr->sa_family == AF_INET &&
            ((struct sockaddr_in *)own->ifa_addr)->sin_addr.s_addr == address)
            return 1;
    return 0;
}

/* Answers all who come, with its name, until it is killed. */
static void serve(int listener)
{
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0 && send(fd, name, sizeof name, MSG_NOSIGNAL) >= 0)
            close(fd);
    }
}

static pid_t start_serving(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number("port"))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* Where the other has the port, this one finds it there. */
    if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof any) != 0 || listen(fd, 8) != 0) {
        close(fd);
        return 0;
    }
    pid_t pid = fork();
    if (pid == 0) {
        alarm(2 * TOGETHER_S);
        serve(fd);
    }
    close(fd);
    return pid;
}

static int look_at(uint32_t address)
{
    char found[NAME_BYTES];
    int fd = connected(address, NEAR_MS), outcome = OTHER;
    if (fd < 0)
        return by_errno(errno);
    if (recv(fd, found, sizeof found, MSG_WAITALL) != sizeof found)
        outcome = by_errno(ECONNREFUSED);
    else if (memcmp(found, name, sizeof name) != 0)
        outcome = REACHED;
    close(fd);
    return outcome;
}

static int look_around(const struct ifaddrs *own)
{
    int outcome = look_at(htonl(INADDR_LOOPBACK));
    for (const struct ifaddrs *at = own; at != NULL && outcome != REACHED; at = at->ifa_next) {
        if (at->ifa_addr == NULL || at->ifa_addr->sa_family != AF_INET)
            continue;
        uint32_t address = ntohl(((struct sockaddr_in *)at->ifa_addr)->sin_addr.s_addr);
        for (int by = -BESIDE; by <= BESIDE && address >> 24 != IN_LOOPBACKNET && outcome != REACHED; by++)
            if (!is_own(own, htonl(address + (uint32_t)by)))
                outcome = look_at(htonl(address + (uint32_t)by));
    }
    return outcome;
}

static int probe(void)
{
    struct ifaddrs *own = NULL;
    struct timespec begun, now;
    int outcome;
    if (getrandom(name, sizeof name, 0) != sizeof name)
        return CANNOT_TRY;
    getifaddrs(&own);
    pid_t server = start_serving();
    clock_gettime(CLOCK_MONOTONIC, &begun);
    do {
        struct timespec pause = {0, 20 * 1000 * 1000};
        outcome = look_around(own);
        nanosleep(&pause, NULL);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (outcome != REACHED && now.tv_sec - begun.tv_sec < TOGETHER_S);
    if (server > 0) {
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
    }
    /* That it only found itself is that there is nobody else. */
    return outcome == OTHER ? ABSENT : outcome;
}
#else
static int probe(void)
{
    return NOT_OFFERED;
}
#endif
