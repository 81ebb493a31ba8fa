/* nussinov: the most base pairs that each stretch of an RNA sequence can form, by dynamic programming. */
#define SIZES(_) _(N, 60, 180, 500, 2500, 5500)
#define ARRAYS(_) _(char, seq, [N]), _(data_t, table, [N][N])
#define LIVE_OUT(_) _(table, N, N, .triangle = UPPER)
#define DEFAULT_TYPE_IS_INT
#include "polybench.h"

INITIALISE
{
    for (int i = 0; i < N; i++)
        seq[i] = (char)((i + 1) % 4); /* the four bases as 0 to 3; two pair up when they add to 3 */
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            table[i][j] = 0;
}

#define MAX(a, b) ((a) >= (b) ? (a) : (b))
#define PAIRS(a, b) ((a) + (b) == 3 ? 1 : 0)

KERNEL(nussinov)
{
    for (int i = N - 1; i >= 0; i--)
        for (int j = i + 1; j < N; j++) {
            table[i][j] = MAX(table[i][j], table[i][j - 1]);
            table[i][j] = MAX(table[i][j], table[i + 1][j]);
            if (i < j - 1) /* neighbours cannot pair */
                table[i][j] = MAX(table[i][j], table[i + 1][j - 1] + PAIRS(seq[i], seq[j]));
            else
                table[i][j] = MAX(table[i][j], table[i + 1][j - 1]);
            for (int k = i + 1; k < j; k++)
                table[i][j] = MAX(table[i][j], table[i][k] + table[k + 1][j]);
        }
}
