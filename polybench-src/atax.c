/* atax: y = A^T (A x). */
#define SIZES(_) _(M, 38, 116, 390, 1900, 1800), _(N, 42, 124, 410, 2100, 2200)
#define ARRAYS(_) _(data_t, A, [M][N]), _(data_t, x, [N]), _(data_t, y, [N]), _(data_t, tmp, [M])
#define LIVE_OUT(_) _(y, 1, N)
#define NO_INTEGER_FORM
#include "polybench.h"

INITIALISE
{
    for (int i = 0; i < N; i++)
        x[i] = 1 + i / (data_t)N;
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++)
            A[i][j] = (data_t)((i + j) % N) / (5 * M);
}

KERNEL(atax)
{
    for (int i = 0; i < N; i++)
        y[i] = 0;
    for (int i = 0; i < M; i++) {
        tmp[i] = 0;
        for (int j = 0; j < N; j++)
            tmp[i] = tmp[i] + A[i][j] * x[j];
        for (int j = 0; j < N; j++)
            y[j] = y[j] + A[i][j] * tmp[i];
    }
}
