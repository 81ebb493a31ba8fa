/* trisolv: solves L x = b for a lower triangular L. */
#define SIZES(_) _(N, 40, 120, 400, 2000, 4000)
#define ARRAYS(_) _(data_t, L, [N][N]), _(data_t, x, [N]), _(data_t, b, [N])
#define LIVE_OUT(_) _(x, 1, N, .break_after = true)
#include "polybench.h"

INITIALISE
{
    for (int i = 0; i < N; i++) {
        x[i] = -999;
        b[i] = i;
        for (int j = 0; j <= i; j++)
            L[i][j] = (data_t)(i + N - j + 1) * 2 / N;
    }
}

KERNEL(trisolv)
{
    for (int i = 0; i < N; i++) {
        x[i] = b[i];
        for (int j = 0; j < i; j++)
            x[i] -= L[i][j] * x[j];
        x[i] = x[i] / L[i][i];
    }
}
