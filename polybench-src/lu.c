/* lu: A = L U without pivoting, both in place of A. */
#define SIZES(_) _(N, 40, 120, 400, 2000, 4000)
#define ARRAYS(_) _(data_t, A, [N][N])
#define LIVE_OUT(_) _(A, N, N)
#include "polybench.h"

INITIALISE
{
    initialise_positive_definite(N, A);
}

KERNEL(lu)
{
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < i; j++) {
            for (int k = 0; k < j; k++)
                A[i][j] -= A[i][k] * A[k][j];
            A[i][j] /= A[j][j];
        }
        for (int j = i; j < N; j++)
            for (int k = 0; k < i; k++)
                A[i][j] -= A[i][k] * A[k][j];
    }
}
