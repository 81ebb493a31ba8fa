/* /init of a Linux guest: says hello, runs the function that the kernel's command line names after its two
 * dashes, says how it ended, and resets the machine. With a second argument, `ready`, it first says so and
 * waits for a line: that is where a snapshot is taken. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *text)
{
    /* Nobody is left to be told of a failure. */
    if (write(1, text, strlen(text)) < 0)
        _exit(1);
}

/* A root without /dev/console leaves init without streams. */
static void open_console(void)
{
    if (fcntl(1, F_GETFD) >= 0)
        return;
    mkdir("/dev", 0755);
    mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
    if (open("/dev/console", O_RDWR) == 0) {
        dup2(0, 1);
        dup2(0, 2);
    }
}

static int run(char *function)
{
    int status;
    char *argv[] = {function, NULL}, *envp[] = {NULL};
    pid_t pid = vfork();
    if (pid == 0) {
        execve(function, argv, envp);
        _exit(127);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return 126;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
    char text[32], byte;
    open_console();
    if (argc > 2 && strcmp(argv[2], "ready") == 0) {
        say("ready\n");
        while (read(0, &byte, 1) == 1 && byte != '\n')
            ;
    }
    say("hello\n");
    snprintf(text, sizeof text, "exit %d\n", argc > 1 ? run(argv[1]) : 125);
    say(text);
    sync();
    reboot(RB_AUTOBOOT);
    return 1;
}
