/* durbin: solves a Toeplitz system (Yule-Walker) by Levinson and Durbin's recursion. */
#define SIZES(_) _(N, 40, 120, 400, 2000, 4000)
#define ARRAYS(_) _(data_t, r, [N]), _(data_t, y, [N])
#define LIVE_OUT(_) _(y, 1, N)
#define NO_INTEGER_FORM
#include "polybench.h"

INITIALISE
{
    for (int i = 0; i < N; i++)
        r[i] = N + 1 - i;
}

KERNEL(durbin)
{
    data_t z[N];
    data_t alpha = -r[0], beta = 1;

    y[0] = -r[0];
    for (int k = 1; k < N; k++) {
        data_t sum = 0;

        beta = (1 - alpha * alpha) * beta;
        for (int i = 0; i < k; i++)
            sum += r[k - i - 1] * y[i];
        alpha = -(r[k] + sum) / beta;
        for (int i = 0; i < k; i++)
            z[i] = y[i] + alpha * y[k - i - 1];
        for (int i = 0; i < k; i++)
            y[i] = z[i];
        y[k] = alpha;
    }
}
