/* mvt: x1 += A y_1 and x2 += A^T y_2. */
#define SIZES(_) _(N, 40, 120, 400, 2000, 4000)
#define ARRAYS(_) _(data_t, x1, [N]), _(data_t, x2, [N]), _(data_t, y_1, [N]), _(data_t, y_2, [N]), _(data_t, A, [N][N])
#define LIVE_OUT(_) _(x1, 1, N), _(x2, 1, N)
#include "polybench.h"

INITIALISE
{
    for (int i = 0; i < N; i++) {
        x1[i] = (data_t)(i % N) / N;
        x2[i] = (data_t)((i + 1) % N) / N;
        y_1[i] = (data_t)((i + 3) % N) / N;
        y_2[i] = (data_t)((i + 4) % N) / N;
        for (int j = 0; j < N; j++)
            A[i][j] = (data_t)(i * j % N) / N;
    }
}

KERNEL(mvt)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            x1[i] = x1[i] + A[i][j] * y_1[j];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            x2[i] = x2[i] + A[j][i] * y_2[j];
}
