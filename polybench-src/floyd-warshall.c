/* floyd-warshall: the shortest path between each pair of N nodes. */
#define SIZES(_) _(N, 60, 180, 500, 2800, 5600)
#define ARRAYS(_) _(data_t, path, [N][N])
#define LIVE_OUT(_) _(path, N, N)
#define DEFAULT_TYPE_IS_INT
#include "polybench.h"

INITIALISE
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            bool far = (i + j) % 13 == 0 || (i + j) % 7 == 0 || (i + j) % 11 == 0;
            path[i][j] = far ? 999 : i * j % 7 + 1;
        }
}

KERNEL(floyd_warshall)
{
    for (int k = 0; k < N; k++)
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++)
                path[i][j] = path[i][j] < path[i][k] + path[k][j] ? path[i][j] : path[i][k] + path[k][j];
}
