/* deriche: a recursive filter that smooths an image, two passes along its rows and two down its columns. */
#define SIZES(_) _(W, 64, 192, 720, 4096, 7680), _(H, 64, 128, 480, 2160, 4320)
#define ARRAYS(_) _(data_t, imgIn, [W][H]), _(data_t, imgOut, [W][H]), _(data_t, y1, [W][H]), _(data_t, y2, [W][H])
#define LIVE_OUT(_) _(imgOut, W, H)
#define DEFAULT_TYPE_IS_FLOAT
#define NO_INTEGER_FORM
#include "polybench.h"

static const data_t alpha = SCALAR(0.25);

INITIALISE
{
    for (int i = 0; i < W; i++)
        for (int j = 0; j < H; j++)
            imgIn[i][j] = (data_t)((313 * i + 991 * j) % 65536) / 65535.0f;
}

KERNEL(deriche)
{
    const data_t k = (SCALAR(1) - exp(-alpha)) * (SCALAR(1) - exp(-alpha)) /
                     (SCALAR(1) + SCALAR(2) * alpha * exp(-alpha) - exp(SCALAR(2) * alpha));
    const data_t a1 = k, a5 = k;
    const data_t a2 = k * exp(-alpha) * (alpha - SCALAR(1)), a6 = a2;
    const data_t a3 = k * exp(-alpha) * (alpha + SCALAR(1)), a7 = a3;
    const data_t a4 = -k * exp(SCALAR(-2) * alpha), a8 = a4;
    const data_t b1 = pow(SCALAR(2), -alpha), b2 = -exp(SCALAR(-2) * alpha);
    const data_t c1 = 1, c2 = 1;

    for (int i = 0; i < W; i++) {
        data_t before = 0, out1 = 0, out2 = 0;
        for (int j = 0; j < H; j++) {
            y1[i][j] = a1 * imgIn[i][j] + a2 * before + b1 * out1 + b2 * out2;
            before = imgIn[i][j];
            out2 = out1;
            out1 = y1[i][j];
        }
    }
    for (int i = 0; i < W; i++) {
        data_t in1 = 0, in2 = 0, out1 = 0, out2 = 0;
        for (int j = H - 1; j >= 0; j--) {
            y2[i][j] = a3 * in1 + a4 * in2 + b1 * out1 + b2 * out2;
            in2 = in1;
            in1 = imgIn[i][j];
            out2 = out1;
            out1 = y2[i][j];
        }
    }
    for (int i = 0; i < W; i++)
        for (int j = 0; j < H; j++)
            imgOut[i][j] = c1 * (y1[i][j] + y2[i][j]);

    for (int j = 0; j < H; j++) {
        data_t before = 0, out1 = 0, out2 = 0;
        for (int i = 0; i < W; i++) {
            y1[i][j] = a5 * imgOut[i][j] + a6 * before + b1 * out1 + b2 * out2;
            before = imgOut[i][j];
            out2 = out1;
            out1 = y1[i][j];
        }
    }
    for (int j = 0; j < H; j++) {
        data_t in1 = 0, in2 = 0, out1 = 0, out2 = 0;
        for (int i = W - 1; i >= 0; i--) {
            y2[i][j] = a7 * in1 + a8 * in2 + b1 * out1 + b2 * out2;
            in2 = in1;
            in1 = imgOut[i][j];
            out2 = out1;
            out1 = y2[i][j];
        }
    }
    for (int i = 0; i < W; i++)
        for (int j = 0; j < H; j++)
            imgOut[i][j] = c2 * (y1[i][j] + y2[i][j]);
}
