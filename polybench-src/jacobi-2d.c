/* jacobi-2d: the mean of each point of a square and its four neighbours, from A to B and back. */
#define SIZES(_) _(TSTEPS, 20, 40, 100, 500, 1000), _(N, 30, 90, 250, 1300, 2800)
#define ARRAYS(_) _(data_t, A, [N][N]), _(data_t, B, [N][N])
#define LIVE_OUT(_) _(A, N, N)
#define NO_INTEGER_FORM
#include "polybench.h"

INITIALISE
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            A[i][j] = ((data_t)i * (j + 2) + 2) / N;
            B[i][j] = ((data_t)i * (j + 3) + 3) / N;
        }
}

KERNEL(jacobi_2d)
{
    for (int t = 0; t < TSTEPS; t++) {
        for (int i = 1; i < N - 1; i++)
            for (int j = 1; j < N - 1; j++)
                B[i][j] = SCALAR(0.2) * (A[i][j] + A[i][j - 1] + A[i][j + 1] + A[i + 1][j] + A[i - 1][j]);
        for (int i = 1; i < N - 1; i++)
            for (int j = 1; j < N - 1; j++)
                A[i][j] = SCALAR(0.2) * (B[i][j] + B[i][j - 1] + B[i][j + 1] + B[i + 1][j] + B[i - 1][j]);
    }
}
