/* demo/sieve: a function whose initialisation is worth a snapshot. It sieves the primes below two million, which takes
 * milliseconds; then each start looks a few up. Exit code 0 says that they are right. */
#include "snapshot.h"

#define LIMIT 2000000

static unsigned char composite[LIMIT];
static int primes;

static void sieve(void)
{
    composite[0] = composite[1] = 1;
    for (int i = 2; i < LIMIT; i++) {
        if (composite[i])
            continue;
        primes++;
        for (long long j = (long long)i * i; j < LIMIT; j += i)
            composite[j] = 1;
    }
}

static int look_up(void)
{
    static const int prime[] = {2, 3, 1999993}, other[] = {0, 1, 4, 1999999};

    for (unsigned i = 0; i < sizeof prime / sizeof *prime; i++)
        if (composite[prime[i]])
            return 1;
    for (unsigned i = 0; i < sizeof other / sizeof *other; i++)
        if (!composite[other[i]])
            return 2;
    return primes == 148933 ? 0 : 3;
}

SNAPSHOT(sieve, look_up)
