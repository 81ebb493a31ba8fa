/* No probe: the process of the host that probes aim at. Says where a token lies in its memory, then a line for each
 * SIGUSR1, until its standard input ends. Its first argument is the token. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char token[17];

static void on_signal(int signal)
{
    (void)signal;
    if (write(1, "signalled\n", 10) < 0)
        _exit(1);
}

int main(int argc, char **argv)
{
    char byte, line[64];
    ssize_t n;
    if (argc < 2 || strlen(argv[1]) != 16)
        return 2;
    memcpy(token, argv[1], 16);
    signal(SIGUSR1, on_signal);
    n = snprintf(line, sizeof line, "%lx\n", (unsigned long)(void *)token);
    if (write(1, line, (size_t)n) != n)
        return 1;
    do
        n = read(0, &byte, 1);
    while (n > 0 || (n < 0 && errno == EINTR));
    return 0;
}
