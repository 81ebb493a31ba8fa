/* Reads a file that was planted outside of all that the function was given. */
#include "read.h"

static int probe(void)
{
    return read_file(parameter("file"));
}
