/* Looks in /proc for a process of the host by the token in its command line. */
#include "read.h"
#include <dirent.h>

static int has_token(const char *pid)
{
    char path[300], line[512];
    snprintf(path, sizeof path, "/proc/%s/cmdline", pid);
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, line, sizeof line - 1);
    close(fd);
    for (ssize_t i = 0; i < n; i++)
        if (line[i] == 0)
            line[i] = ' ';
    line[n < 0 ? 0 : n] = 0;
    return strstr(line, parameter("token")) != NULL;
}

static int probe(void)
{
    int seen = 0;
    DIR *proc = opendir("/proc");
    if (proc == NULL)
        return by_errno(errno);
    for (struct dirent *entry; (entry = readdir(proc)) != NULL;) {
        if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
            continue;
        if (has_token(entry->d_name))
            return REACHED;
        seen++;
    }
    closedir(proc);
    return seen > 0 ? OTHER : ABSENT;
}
