/* Reaches a listener on the host's loopback. */
#include "connect.h"

static int probe(void)
{
#ifdef GRANTED
    return connect_to((const uint8_t[]){127, 0, 0, 1});
#elif defined __wasm__
    return NOT_OFFERED;
#else
    return connect_to(htonl(INADDR_LOOPBACK), NULL);
#endif
}
