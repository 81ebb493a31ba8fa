/* Opens sockets by which it could send and see any packet. */
#include "connect.h"
#ifndef __wasm__
#include <net/ethernet.h>
#endif

static int probe(void)
{
#ifdef __wasm__
    return NOT_OFFERED;
#else
    if (socket(AF_INET, SOCK_RAW, IPPROTO_ICMP) >= 0 || socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL)) >= 0)
        return worked();
    return by_errno(errno);
#endif
}
