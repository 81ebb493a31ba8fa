/* ludcmp: solves A x = b by way of A = L U, then L y = b and U x = y. */
#define SIZES(_) _(N, 40, 120, 400, 2000, 4000)
#define ARRAYS(_) _(data_t, A, [N][N]), _(data_t, b, [N]), _(data_t, x, [N]), _(data_t, y, [N])
#define LIVE_OUT(_) _(x, 1, N)
#include "polybench.h"

INITIALISE
{
    for (int i = 0; i < N; i++) {
        x[i] = 0;
        y[i] = 0;
        b[i] = (i + 1) / (data_t)N / 2.0 + 4;
    }
    initialise_positive_definite(N, A);
}

KERNEL(ludcmp)
{
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < i; j++) {
            data_t w = A[i][j];
            for (int k = 0; k < j; k++)
                w -= A[i][k] * A[k][j];
            A[i][j] = w / A[j][j];
        }
        for (int j = i; j < N; j++) {
            data_t w = A[i][j];
            for (int k = 0; k < i; k++)
                w -= A[i][k] * A[k][j];
            A[i][j] = w;
        }
    }
    for (int i = 0; i < N; i++) {
        data_t w = b[i];
        for (int j = 0; j < i; j++)
            w -= A[i][j] * y[j];
        y[i] = w;
    }
    for (int i = N - 1; i >= 0; i--) {
        data_t w = y[i];
        for (int j = i + 1; j < N; j++)
            w -= A[i][j] * x[j];
        x[i] = w / A[i][i];
    }
}
