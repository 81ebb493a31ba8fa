/* gramschmidt: A = Q R by modified Gram-Schmidt, a column of Q and a row of R at a time. */
#define SIZES(_) _(M, 20, 60, 200, 1000, 2000), _(N, 30, 80, 240, 1200, 2600)
#define ARRAYS(_) _(data_t, A, [M][N]), _(data_t, R, [N][N]), _(data_t, Q, [M][N])
#define LIVE_OUT(_) _(R, N, N), _(Q, M, N)
#define NO_INTEGER_FORM
#include "polybench.h"

INITIALISE
{
    for (int i = 0; i < M; i++)
        for (int j = 0; j < N; j++) {
            A[i][j] = (data_t)(i * j % M) / M * 100 + 10;
            Q[i][j] = 0;
        }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            R[i][j] = 0;
}

KERNEL(gramschmidt)
{
    for (int k = 0; k < N; k++) {
        data_t squares = 0;

        for (int i = 0; i < M; i++)
            squares += A[i][k] * A[i][k];
        R[k][k] = sqrt(squares);
        for (int i = 0; i < M; i++)
            Q[i][k] = A[i][k] / R[k][k];
        for (int j = k + 1; j < N; j++) {
            R[k][j] = 0;
            for (int i = 0; i < M; i++)
                R[k][j] += Q[i][k] * A[i][j];
            for (int i = 0; i < M; i++)
                A[i][j] = A[i][j] - Q[i][k] * R[k][j];
        }
    }
}
