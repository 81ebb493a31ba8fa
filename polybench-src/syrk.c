/* syrk: C = alpha A A^T + beta C, the lower triangle of C only. */
#define SIZES(_) _(M, 20, 60, 200, 1000, 2000), _(N, 30, 80, 240, 1200, 2600)
#define ARRAYS(_) _(data_t, C, [N][N]), _(data_t, A, [N][M])
#define LIVE_OUT(_) _(C, N, N)
#include "polybench.h"

static const data_t alpha = SCALAR(1.5), beta = SCALAR(1.2);

INITIALISE
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < M; j++)
            A[i][j] = (data_t)((i * j + 1) % N) / N;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            C[i][j] = (data_t)((i * j + 2) % M) / M;
}

KERNEL(syrk)
{
    for (int i = 0; i < N; i++) {
        for (int j = 0; j <= i; j++)
            C[i][j] *= beta;
        for (int k = 0; k < M; k++)
            for (int j = 0; j <= i; j++)
                C[i][j] += alpha * A[i][k] * A[j][k];
    }
}
