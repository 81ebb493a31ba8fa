/* gemm: C = alpha A B + beta C. */
#define SIZES(_) _(NI, 20, 60, 200, 1000, 2000), _(NJ, 25, 70, 220, 1100, 2300), _(NK, 30, 80, 240, 1200, 2600)
#define ARRAYS(_) _(data_t, C, [NI][NJ]), _(data_t, A, [NI][NK]), _(data_t, B, [NK][NJ])
#define LIVE_OUT(_) _(C, NI, NJ, .pitch = NI)
#include "polybench.h"

static const data_t alpha = SCALAR(1.5), beta = SCALAR(1.2);

INITIALISE
{
    for (int i = 0; i < NI; i++)
        for (int j = 0; j < NJ; j++)
            C[i][j] = (data_t)((i * j + 1) % NI) / NI;
    for (int i = 0; i < NI; i++)
        for (int j = 0; j < NK; j++)
            A[i][j] = (data_t)(i * (j + 1) % NK) / NK;
    for (int i = 0; i < NK; i++)
        for (int j = 0; j < NJ; j++)
            B[i][j] = (data_t)(i * (j + 2) % NJ) / NJ;
}

KERNEL(gemm)
{
    for (int i = 0; i < NI; i++) {
        for (int j = 0; j < NJ; j++)
            C[i][j] *= beta;
        for (int k = 0; k < NK; k++)
            for (int j = 0; j < NJ; j++)
                C[i][j] += alpha * A[i][k] * B[k][j];
    }
}
