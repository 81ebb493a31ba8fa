/* demo/park: demo/noop, but blocked inside main until it is released by closing its standard input:
 * what memory is measured with. */
#include <unistd.h>

int park(int fd)
{
    char byte;
    ssize_t n;
    do
        n = read(fd, &byte, 1);
    while (n > 0);
    return n == 0 ? 0 : 1;
}

int main(void)
{
    return park(0);
}
