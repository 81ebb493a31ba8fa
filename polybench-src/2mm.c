/* 2mm: D = alpha A B C + beta D, by way of tmp = alpha A B. */
#define SIZES(_) \
    _(NI, 16, 40, 180, 800, 1600), _(NJ, 18, 50, 190, 900, 1800), _(NK, 22, 70, 210, 1100, 2200), _(NL, 24, 80, 220, 1200, 2400)
#define ARRAYS(_) \
    _(data_t, tmp, [NI][NJ]), _(data_t, A, [NI][NK]), _(data_t, B, [NK][NJ]), _(data_t, C, [NJ][NL]), _(data_t, D, [NI][NL])
#define LIVE_OUT(_) _(D, NI, NL, .pitch = NI)
#define NO_INTEGER_FORM
#include "polybench.h"

static const data_t alpha = SCALAR(1.5), beta = SCALAR(1.2);

INITIALISE
{
    for (int i = 0; i < NI; i++)
        for (int j = 0; j < NK; j++)
            A[i][j] = (data_t)((i * j + 1) % NI) / NI;
    for (int i = 0; i < NK; i++)
        for (int j = 0; j < NJ; j++)
            B[i][j] = (data_t)(i * (j + 1) % NJ) / NJ;
    for (int i = 0; i < NJ; i++)
        for (int j = 0; j < NL; j++)
            C[i][j] = (data_t)((i * (j + 3) + 1) % NL) / NL;
    for (int i = 0; i < NI; i++)
        for (int j = 0; j < NL; j++)
            D[i][j] = (data_t)(i * (j + 2) % NK) / NK;
}

KERNEL(2mm)
{
    for (int i = 0; i < NI; i++)
        for (int j = 0; j < NJ; j++) {
            tmp[i][j] = 0;
            for (int k = 0; k < NK; k++)
                tmp[i][j] += alpha * A[i][k] * B[k][j];
        }
    for (int i = 0; i < NI; i++)
        for (int j = 0; j < NL; j++) {
            D[i][j] *= beta;
            for (int k = 0; k < NJ; k++)
                D[i][j] += tmp[i][k] * C[k][j];
        }
}
