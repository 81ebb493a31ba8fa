/* covariance: the sample covariance of each pair of M attributes over N points. */
#define SIZES(_) _(M, 28, 80, 240, 1200, 2600), _(N, 32, 100, 260, 1400, 3000)
#define ARRAYS(_) _(data_t, data, [N][M]), _(data_t, cov, [M][M]), _(data_t, mean, [M])
#define LIVE_OUT(_) _(cov, M, M)
#define NO_INTEGER_FORM
#include "polybench.h"

INITIALISE
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < M; j++)
            data[i][j] = (data_t)i * j / M;
}

KERNEL(covariance)
{
    const data_t points = N;

    for (int j = 0; j < M; j++) {
        mean[j] = 0;
        for (int i = 0; i < N; i++)
            mean[j] += data[i][j];
        mean[j] /= points;
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < M; j++)
            data[i][j] -= mean[j];
    for (int i = 0; i < M; i++)
        for (int j = i; j < M; j++) {
            cov[i][j] = 0;
            for (int k = 0; k < N; k++)
                cov[i][j] += data[k][i] * data[k][j];
            cov[i][j] /= points - SCALAR(1);
            cov[j][i] = cov[i][j];
        }
}
