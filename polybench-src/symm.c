/* symm: C = alpha A B + beta C, A symmetric, of which only the lower triangle is read. */
#define SIZES(_) _(M, 20, 60, 200, 1000, 2000), _(N, 30, 80, 240, 1200, 2600)
#define ARRAYS(_) _(data_t, C, [M][N]), _(data_t, A, [M][M]), _(data_t, B, [M][N])
#define LIVE_OUT(_) _(C, M, N, .pitch = M)
#include "polybench.h"

static const data_t alpha = SCALAR(1.5), beta = SCALAR(1.2);

INITIALISE
{
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            C[i][j] = (data_t)((i + j) % 100) / M;
            B[i][j] = (data_t)((N + i - j) % 100) / M;
        }
    for (int i = 0; i < M; i++) {
        for (int j = 0; j <= i; j++)
            A[i][j] = (data_t)((i + j) % 100) / M;
        for (int j = i + 1; j < M; j++)
            A[i][j] = -999; /* would show in the result if it were read */
    }
}

KERNEL(symm)
{
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            data_t above = 0;

            for (int k = 0; k < i; k++) {
                C[k][j] += alpha * B[i][j] * A[i][k];
                above += B[k][j] * A[i][k];
            }
            C[i][j] = beta * C[i][j] + alpha * B[i][j] * A[i][i] + alpha * above;
        }
}
