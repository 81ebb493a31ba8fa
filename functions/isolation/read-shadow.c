/* Reads the host's /etc/shadow; that of an image is another. */
#include "read.h"

static int probe(void)
{
    return read_file(parameter("shadow"));
}
