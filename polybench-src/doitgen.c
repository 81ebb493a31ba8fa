/* doitgen: each row A[r][q] of a three-way array times the matrix C4, in place. */
#define SIZES(_) _(NR, 10, 25, 50, 150, 250), _(NQ, 8, 20, 40, 140, 220), _(NP, 12, 30, 60, 160, 270)
#define ARRAYS(_) _(data_t, A, [NR][NQ][NP]), _(data_t, C4, [NP][NP]), _(data_t, sum, [NP])
#define LIVE_OUT(_) _(A, NR * NQ, NP)
#define NO_INTEGER_FORM
#include "polybench.h"

INITIALISE
{
    for (int i = 0; i < NR; i++)
        for (int j = 0; j < NQ; j++)
            for (int k = 0; k < NP; k++)
                A[i][j][k] = (data_t)((i * j + k) % NP) / NP;
    for (int i = 0; i < NP; i++)
        for (int j = 0; j < NP; j++)
            C4[i][j] = (data_t)(i * j % NP) / NP;
}

KERNEL(doitgen)
{
    for (int r = 0; r < NR; r++)
        for (int q = 0; q < NQ; q++) {
            for (int p = 0; p < NP; p++) {
                sum[p] = 0;
                for (int s = 0; s < NP; s++)
                    sum[p] += A[r][q][s] * C4[s][p];
            }
            for (int p = 0; p < NP; p++)
                A[r][q][p] = sum[p];
        }
}
