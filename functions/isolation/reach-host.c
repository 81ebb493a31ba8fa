/* Reaches a listener on an address of the host other than its loopback: those that it had when the run began, and the one
 * beyond the default route. */
#include "connect.h"

static int probe(void)
{
#ifdef GRANTED
    return connect_to_host();
#elif defined __wasm__
    return NOT_OFFERED;
#else
    return connect_to_host(NULL);
#endif
}
