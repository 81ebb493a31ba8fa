/* gemver: A += u1 v1^T + u2 v2^T, then x += beta A^T y + z, then w += alpha A x. */
#define SIZES(_) _(N, 40, 120, 400, 2000, 4000)
#define ARRAYS(_)                                                                                                                \
    _(data_t, A, [N][N]), _(data_t, u1, [N]), _(data_t, v1, [N]), _(data_t, u2, [N]), _(data_t, v2, [N]), _(data_t, w, [N]),     \
        _(data_t, x, [N]), _(data_t, y, [N]), _(data_t, z, [N])
#define LIVE_OUT(_) _(w, 1, N)
#include "polybench.h"

static const data_t alpha = SCALAR(1.5), beta = SCALAR(1.2);

INITIALISE
{
    for (int i = 0; i < N; i++) {
        data_t part = (i + 1) / (data_t)N;
        u1[i] = i;
        u2[i] = part / 2.0;
        v1[i] = part / 4.0;
        v2[i] = part / 6.0;
        y[i] = part / 8.0;
        z[i] = part / 9.0;
        x[i] = 0;
        w[i] = 0;
        for (int j = 0; j < N; j++)
            A[i][j] = (data_t)(i * j % N) / N;
    }
}

KERNEL(gemver)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            A[i][j] = A[i][j] + u1[i] * v1[j] + u2[i] * v2[j];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            x[i] = x[i] + beta * A[j][i] * y[j];
    for (int i = 0; i < N; i++)
        x[i] = x[i] + z[i];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            w[i] = w[i] + alpha * A[i][j] * x[j];
}
