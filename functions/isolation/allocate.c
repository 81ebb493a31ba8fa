/* Takes and touches as many bytes of memory as the parameter `bytes` says, in pieces. */
#include "probe.h"

#define PIECE (4 << 20)

static int probe(void)
{
    for (long left = number("bytes"); left > 0; left -= PIECE) {
        volatile char *piece = malloc(PIECE);
        if (piece == NULL)
            return LIMITED;
        for (size_t i = 0; i < PIECE; i += 4096)
            piece[i] = 1;
    }
    return worked();
}
