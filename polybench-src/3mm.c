/* 3mm: G = (A B) (C D), by way of E = A B and F = C D. */
#define SIZES(_)                                                                                                                 \
    _(NI, 16, 40, 180, 800, 1600), _(NJ, 18, 50, 190, 900, 1800), _(NK, 20, 60, 200, 1000, 2000), _(NL, 22, 70, 210, 1100, 2200), \
        _(NM, 24, 80, 220, 1200, 2400)
#define ARRAYS(_)                                                                                                                \
    _(data_t, E, [NI][NJ]), _(data_t, A, [NI][NK]), _(data_t, B, [NK][NJ]), _(data_t, F, [NJ][NL]), _(data_t, C, [NJ][NM]),      \
        _(data_t, D, [NM][NL]), _(data_t, G, [NI][NL])
#define LIVE_OUT(_) _(G, NI, NL, .pitch = NI)
#define NO_INTEGER_FORM
#include "polybench.h"

INITIALISE
{
    for (int i = 0; i < NI; i++)
        for (int j = 0; j < NK; j++)
            A[i][j] = (data_t)((i * j + 1) % NI) / (5 * NI);
    for (int i = 0; i < NK; i++)
        for (int j = 0; j < NJ; j++)
            B[i][j] = (data_t)((i * (j + 1) + 2) % NJ) / (5 * NJ);
    for (int i = 0; i < NJ; i++)
        for (int j = 0; j < NM; j++)
            C[i][j] = (data_t)(i * (j + 3) % NL) / (5 * NL);
    for (int i = 0; i < NM; i++)
        for (int j = 0; j < NL; j++)
            D[i][j] = (data_t)((i * (j + 2) + 2) % NK) / (5 * NK);
}

KERNEL(3mm)
{
    for (int i = 0; i < NI; i++)
        for (int j = 0; j < NJ; j++) {
            E[i][j] = 0;
            for (int k = 0; k < NK; k++)
                E[i][j] += A[i][k] * B[k][j];
        }
    for (int i = 0; i < NJ; i++)
        for (int j = 0; j < NL; j++) {
            F[i][j] = 0;
            for (int k = 0; k < NM; k++)
                F[i][j] += C[i][k] * D[k][j];
        }
    for (int i = 0; i < NI; i++)
        for (int j = 0; j < NL; j++) {
            G[i][j] = 0;
            for (int k = 0; k < NJ; k++)
                G[i][j] += E[i][k] * F[k][j];
        }
}
