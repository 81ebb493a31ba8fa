/* trmm: B = alpha A^T B, A lower triangular with ones on its diagonal. */
#define SIZES(_) _(M, 20, 60, 200, 1000, 2000), _(N, 30, 80, 240, 1200, 2600)
#define ARRAYS(_) _(data_t, A, [M][M]), _(data_t, B, [M][N])
#define LIVE_OUT(_) _(B, M, N, .pitch = M)
#include "polybench.h"

static const data_t alpha = SCALAR(1.5);

INITIALISE
{
    for (int i = 0; i < M; i++) {
        for (int j = 0; j < i; j++)
            A[i][j] = (data_t)((i + j) % M) / M;
        A[i][i] = 1;
        for (int j = 0; j < N; j++)
            B[i][j] = (data_t)((N + (i - j)) % N) / N;
    }
}

KERNEL(trmm)
{
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            for (int k = i + 1; k < M; k++)
                B[i][j] += A[k][i] * B[k][j];
            B[i][j] = alpha * B[i][j];
        }
}
