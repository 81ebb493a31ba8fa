/* gesummv: y = alpha A x + beta B x. */
#define SIZES(_) _(N, 30, 90, 250, 1300, 2800)
#define ARRAYS(_) _(data_t, A, [N][N]), _(data_t, B, [N][N]), _(data_t, tmp, [N]), _(data_t, x, [N]), _(data_t, y, [N])
#define LIVE_OUT(_) _(y, 1, N)
#define NO_INTEGER_FORM
#include "polybench.h"

static const data_t alpha = SCALAR(1.5), beta = SCALAR(1.2);

INITIALISE
{
    for (int i = 0; i < N; i++) {
        x[i] = (data_t)(i % N) / N;
        for (int j = 0; j < N; j++) {
            A[i][j] = (data_t)((i * j + 1) % N) / N;
            B[i][j] = (data_t)((i * j + 2) % N) / N;
        }
    }
}

KERNEL(gesummv)
{
    for (int i = 0; i < N; i++) {
        tmp[i] = 0;
        y[i] = 0;
        for (int j = 0; j < N; j++) {
            tmp[i] = A[i][j] * x[j] + tmp[i];
            y[i] = B[i][j] * x[j] + y[i];
        }
        y[i] = alpha * tmp[i] + beta * y[i];
    }
}
