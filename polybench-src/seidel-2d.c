/* seidel-2d: the mean of each point of a square and its eight neighbours, in place. */
#define SIZES(_) _(TSTEPS, 20, 40, 100, 500, 1000), _(N, 40, 120, 400, 2000, 4000)
#define ARRAYS(_) _(data_t, A, [N][N])
#define LIVE_OUT(_) _(A, N, N)
#define NO_INTEGER_FORM
#include "polybench.h"

INITIALISE
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            A[i][j] = ((data_t)i * (j + 2) + 2) / N;
}

KERNEL(seidel_2d)
{
    for (int t = 0; t < TSTEPS; t++)
        for (int i = 1; i < N - 1; i++)
            for (int j = 1; j < N - 1; j++)
                A[i][j] = (A[i - 1][j - 1] + A[i - 1][j] + A[i - 1][j + 1] + A[i][j - 1] + A[i][j] + A[i][j + 1] +
                           A[i + 1][j - 1] + A[i + 1][j] + A[i + 1][j + 1]) /
                          SCALAR(9);
}
