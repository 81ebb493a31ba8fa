/* bicg: the two products of a step of BiCGSTAB, q = A p and s = A^T r. */
#define SIZES(_) _(M, 38, 116, 390, 1900, 1800), _(N, 42, 124, 410, 2100, 2200)
#define ARRAYS(_) _(data_t, A, [N][M]), _(data_t, s, [M]), _(data_t, q, [N]), _(data_t, p, [M]), _(data_t, r, [N])
#define LIVE_OUT(_) _(s, 1, M), _(q, 1, N)
#define NO_INTEGER_FORM
#include "polybench.h"

INITIALISE
{
    for (int i = 0; i < M; i++)
        p[i] = (data_t)(i % M) / M;
    for (int i = 0; i < N; i++) {
        r[i] = (data_t)(i % N) / N;
        for (int j = 0; j < M; j++)
            A[i][j] = (data_t)(i * (j + 1) % N) / N;
    }
}

KERNEL(bicg)
{
    for (int i = 0; i < M; i++)
        s[i] = 0;
    for (int i = 0; i < N; i++) {
        q[i] = 0;
        for (int j = 0; j < M; j++) {
            s[j] = s[j] + r[i] * A[i][j];
            q[i] = q[i] + A[i][j] * p[j];
        }
    }
}
