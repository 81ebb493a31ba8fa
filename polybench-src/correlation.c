/* correlation: the correlation of each pair of M attributes over N points. */
#define SIZES(_) _(M, 28, 80, 240, 1200, 2600), _(N, 32, 100, 260, 1400, 3000)
#define ARRAYS(_) _(data_t, data, [N][M]), _(data_t, corr, [M][M]), _(data_t, mean, [M]), _(data_t, stddev, [M])
#define LIVE_OUT(_) _(corr, M, M)
#define NO_INTEGER_FORM
#include "polybench.h"

INITIALISE
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < M; j++)
            data[i][j] = (data_t)(i * j) / M + i;
}

KERNEL(correlation)
{
    const data_t points = N, almost_none = SCALAR(0.1);

    for (int j = 0; j < M; j++) {
        mean[j] = 0;
        for (int i = 0; i < N; i++)
            mean[j] += data[i][j];
        mean[j] /= points;
    }
    for (int j = 0; j < M; j++) {
        stddev[j] = 0;
        for (int i = 0; i < N; i++)
            stddev[j] += (data[i][j] - mean[j]) * (data[i][j] - mean[j]);
        stddev[j] /= points;
        stddev[j] = sqrt(stddev[j]);
        /* An attribute that hardly varies must not be divided by nearly nothing. */
        stddev[j] = stddev[j] <= almost_none ? SCALAR(1) : stddev[j];
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < M; j++) {
            data[i][j] -= mean[j];
            data[i][j] /= sqrt(points) * stddev[j];
        }
    for (int i = 0; i < M - 1; i++) {
        corr[i][i] = 1;
        for (int j = i + 1; j < M; j++) {
            corr[i][j] = 0;
            for (int k = 0; k < N; k++)
                corr[i][j] += data[k][i] * data[k][j];
            corr[j][i] = corr[i][j];
        }
    }
    corr[M - 1][M - 1] = 1;
}
