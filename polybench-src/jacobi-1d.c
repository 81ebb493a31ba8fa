/* jacobi-1d: the mean of each point of a line and its two neighbours, from A to B and back. */
#define SIZES(_) _(TSTEPS, 20, 40, 100, 500, 1000), _(N, 30, 120, 400, 2000, 4000)
#define ARRAYS(_) _(data_t, A, [N]), _(data_t, B, [N])
#define LIVE_OUT(_) _(A, 1, N)
#include "polybench.h"

INITIALISE
{
    for (int i = 0; i < N; i++) {
        A[i] = ((data_t)i + 2) / N;
        B[i] = ((data_t)i + 3) / N;
    }
}

/* The factor is a double whatever the elements are: this kernel's definition says so. */
KERNEL(jacobi_1d)
{
    for (int t = 0; t < TSTEPS; t++) {
        for (int i = 1; i < N - 1; i++)
            B[i] = 0.33333 * (A[i - 1] + A[i] + A[i + 1]);
        for (int i = 1; i < N - 1; i++)
            A[i] = 0.33333 * (B[i - 1] + B[i] + B[i + 1]);
    }
}
