/* heat-3d: the heat equation in a cube by explicit steps, from A to B and back. */
#define SIZES(_) _(TSTEPS, 20, 40, 100, 500, 1000), _(N, 10, 20, 40, 120, 200)
#define ARRAYS(_) _(data_t, A, [N][N][N]), _(data_t, B, [N][N][N])
#define LIVE_OUT(_) _(A, N * N, N)
#define NO_INTEGER_FORM
#include "polybench.h"

INITIALISE
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            for (int k = 0; k < N; k++)
                A[i][j][k] = B[i][j][k] = (data_t)(i + j + (N - k)) * 10 / N;
}

/* A point's value after a step: an eighth of the second difference in each direction is added. */
#define STEP(X)                                                                                                                  \
    (SCALAR(0.125) * (X[i + 1][j][k] - SCALAR(2) * X[i][j][k] + X[i - 1][j][k]) +                                                \
     SCALAR(0.125) * (X[i][j + 1][k] - SCALAR(2) * X[i][j][k] + X[i][j - 1][k]) +                                                \
     SCALAR(0.125) * (X[i][j][k + 1] - SCALAR(2) * X[i][j][k] + X[i][j][k - 1]) + X[i][j][k])

KERNEL(heat_3d)
{
    for (int t = 1; t <= TSTEPS; t++) {
        for (int i = 1; i < N - 1; i++)
            for (int j = 1; j < N - 1; j++)
                for (int k = 1; k < N - 1; k++)
                    B[i][j][k] = STEP(A);
        for (int i = 1; i < N - 1; i++)
            for (int j = 1; j < N - 1; j++)
                for (int k = 1; k < N - 1; k++)
                    A[i][j][k] = STEP(B);
    }
}
