/* fdtd-2d: finite differences in time for the electric field (ex, ey) and the magnetic field (hz) in a plane. */
#define SIZES(_) _(TMAX, 20, 40, 100, 500, 1000), _(NX, 20, 60, 200, 1000, 2000), _(NY, 30, 80, 240, 1200, 2600)
#define ARRAYS(_) _(data_t, ex, [NX][NY]), _(data_t, ey, [NX][NY]), _(data_t, hz, [NX][NY]), _(data_t, border, [TMAX])
#define LIVE_OUT(_) _(ex, NX, NY, .pitch = NX, .ends_dump = true), _(ey, NX, NY, .pitch = NX), _(hz, NX, NY, .pitch = NX)
#define NO_INTEGER_FORM
#include "polybench.h"

INITIALISE
{
    for (int t = 0; t < TMAX; t++)
        border[t] = t;
    for (int i = 0; i < NX; i++)
        for (int j = 0; j < NY; j++) {
            ex[i][j] = (data_t)i * (j + 1) / NX;
            ey[i][j] = (data_t)i * (j + 2) / NY;
            hz[i][j] = (data_t)i * (j + 3) / NX;
        }
}

KERNEL(fdtd_2d)
{
    for (int t = 0; t < TMAX; t++) {
        for (int j = 0; j < NY; j++)
            ey[0][j] = border[t];
        for (int i = 1; i < NX; i++)
            for (int j = 0; j < NY; j++)
                ey[i][j] = ey[i][j] - SCALAR(0.5) * (hz[i][j] - hz[i - 1][j]);
        for (int i = 0; i < NX; i++)
            for (int j = 1; j < NY; j++)
                ex[i][j] = ex[i][j] - SCALAR(0.5) * (hz[i][j] - hz[i][j - 1]);
        for (int i = 0; i < NX - 1; i++)
            for (int j = 0; j < NY - 1; j++)
                hz[i][j] = hz[i][j] - SCALAR(0.7) * (ex[i][j + 1] - ex[i][j] + ey[i + 1][j] - ey[i][j]);
    }
}
