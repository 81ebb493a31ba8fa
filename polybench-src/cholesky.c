/* cholesky: A = L L^T for a positive definite A, L in place of A's lower triangle. */
#define SIZES(_) _(N, 40, 120, 400, 2000, 4000)
#define ARRAYS(_) _(data_t, A, [N][N])
#define LIVE_OUT(_) _(A, N, N, .triangle = LOWER, .pitch = N)
#define NO_INTEGER_FORM
#include "polybench.h"

INITIALISE
{
    initialise_positive_definite(N, A);
}

KERNEL(cholesky)
{
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < i; j++) {
            for (int k = 0; k < j; k++)
                A[i][j] -= A[i][k] * A[j][k];
            A[i][j] /= A[j][j];
        }
        for (int k = 0; k < i; k++)
            A[i][i] -= A[i][k] * A[i][k];
        A[i][i] = sqrt(A[i][i]);
    }
}
