/* adi: the heat equation on a square by alternating directions, each half step implicit in one of them. */
#define SIZES(_) _(TSTEPS, 20, 40, 100, 500, 1000), _(N, 20, 60, 200, 1000, 2000)
#define ARRAYS(_) _(data_t, u, [N][N]), _(data_t, v, [N][N]), _(data_t, p, [N][N]), _(data_t, q, [N][N])
#define LIVE_OUT(_) _(u, N, N)
#define NO_INTEGER_FORM
#include "polybench.h"

INITIALISE
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            u[i][j] = (data_t)(i + N - j) / N;
}

KERNEL(adi)
{
    const data_t dx = SCALAR(1) / N, dy = SCALAR(1) / N, dt = SCALAR(1) / TSTEPS;
    const data_t mul1 = SCALAR(2) * dt / (dx * dx), mul2 = SCALAR(1) * dt / (dy * dy);
    const data_t a = -mul1 / SCALAR(2), b = SCALAR(1) + mul1, c = a;
    const data_t d = -mul2 / SCALAR(2), e = SCALAR(1) + mul2, f = d;

    for (int t = 1; t <= TSTEPS; t++) {
        /* Down the columns: eliminate, then substitute back. */
        for (int i = 1; i < N - 1; i++) {
            v[0][i] = 1;
            p[i][0] = 0;
            q[i][0] = v[0][i];
            for (int j = 1; j < N - 1; j++) {
                p[i][j] = -c / (a * p[i][j - 1] + b);
                q[i][j] = (-d * u[j][i - 1] + (SCALAR(1) + SCALAR(2) * d) * u[j][i] - f * u[j][i + 1] - a * q[i][j - 1]) /
                          (a * p[i][j - 1] + b);
            }
            v[N - 1][i] = 1;
            for (int j = N - 2; j >= 1; j--)
                v[j][i] = p[i][j] * v[j + 1][i] + q[i][j];
        }
        /* Along the rows. */
        for (int i = 1; i < N - 1; i++) {
            u[i][0] = 1;
            p[i][0] = 0;
            q[i][0] = u[i][0];
            for (int j = 1; j < N - 1; j++) {
                p[i][j] = -f / (d * p[i][j - 1] + e);
                q[i][j] = (-a * v[i - 1][j] + (SCALAR(1) + SCALAR(2) * a) * v[i][j] - c * v[i + 1][j] - d * q[i][j - 1]) /
                          (d * p[i][j - 1] + e);
            }
            u[i][N - 1] = 1;
            for (int j = N - 2; j >= 1; j--)
                u[i][j] = p[i][j] * u[i][j + 1] + q[i][j];
        }
    }
}
