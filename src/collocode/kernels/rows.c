/* Products of a few rows and small factorisations, too small for BLAS: eight numbers at once, whatever
   the processor has. */
#include <math.h>
#include <string.h>

#include "kernels.h"

#define INLINE static inline __attribute__((always_inline))
#define LANES 8
#define TINY 1e-13

typedef double numbers __attribute__((vector_size(8 * LANES)));
typedef double anywhere __attribute__((vector_size(8 * LANES), aligned(8), may_alias));
typedef int64_t bits __attribute__((vector_size(8 * LANES)));

INLINE numbers load(const double *p) { return *(const anywhere *)p; }

/* `rows` times `vectors` numbers of the sum are kept in registers; both are known here.  Numbers
   that `mask` leaves out are there already. */
INLINE void tile(int rows, int vectors, int terms, const double *M, int64_t ldm,
                 const double *const *in, double *const *out, int64_t j, bits mask, int add)
{
    numbers sum[4][2];
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++)
            sum[i][v] = (numbers){0.0};
    for (int k = 0; k < terms; k++)
        for (int v = 0; v < vectors; v++) {
            numbers b = load(in[k] + j + LANES * v);
            for (int i = 0; i < rows; i++)
                sum[i][v] += M[i * ldm + k] * b;
        }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vectors; v++) {
            double *to = out[i] + j + LANES * v;
            if (add)
                sum[i][v] = load(to) + (numbers)((bits)sum[i][v] & mask);
            *(anywhere *)to = sum[i][v];
        }
}

INLINE void tiles(int vectors, int rows, int terms, const double *M, int64_t ldm,
                  const double *const *in, double *const *out, int64_t j, bits mask, int add)
{
    int i = 0;
    for (; i + 4 <= rows; i += 4)
        tile(4, vectors, terms, M + i * ldm, ldm, in, out + i, j, mask, add);
    for (; i + 2 <= rows; i += 2)
        tile(2, vectors, terms, M + i * ldm, ldm, in, out + i, j, mask, add);
    if (i < rows)
        tile(1, vectors, terms, M + i * ldm, ldm, in, out + i, j, mask, add);
}

DISPATCHED void combine(int rows, int terms, int64_t width, const double *M, int64_t ldm,
                        const double *const *in, double *const *out, int add)
{
    const bits all = (bits){0} - 1;
    int64_t j = 0;
    if (width < LANES) {
        for (int i = 0; i < rows; i++)
            for (j = 0; j < width; j++) {
                double sum = add ? out[i][j] : 0.0;
                for (int k = 0; k < terms; k++)
                    sum += M[i * ldm + k] * in[k][j];
                out[i][j] = sum;
            }
        return;
    }
    for (; j + 2 * LANES <= width; j += 2 * LANES)
        tiles(2, rows, terms, M, ldm, in, out, j, all, add);
    for (; j + LANES <= width; j += LANES)
        tiles(1, rows, terms, M, ldm, in, out, j, all, add);
    if (j < width) { /* the last ones again, with what is left */
        bits left;
        for (int i = 0; i < LANES; i++)
            left[i] = width - LANES + i < j ? 0 : -1;
        tiles(1, rows, terms, M, ldm, in, out, width - LANES, left, add);
    }
}

DISPATCHED void add_dots(int rows, int64_t width, const double *a, int64_t lda, const double *x,
                         double *y)
{
    for (int i = 0; i < rows; i++, a += lda) {
        numbers first = {0.0}, second = {0.0};
        int64_t j = 0;
        for (; j + 2 * LANES <= width; j += 2 * LANES) {
            first += load(a + j) * load(x + j);
            second += load(a + j + LANES) * load(x + j + LANES);
        }
        for (; j + LANES <= width; j += LANES)
            first += load(a + j) * load(x + j);
        double sum = 0.0;
        first += second;
        for (int k = 0; k < LANES; k++)
            sum += first[k];
        for (; j < width; j++)
            sum += a[j] * x[j];
        y[i] += sum;
    }
}

DISPATCHED void add_multiple(int64_t width, double factor, const double *x, double *y)
{
    for (int64_t j = 0; j < width; j++)
        y[j] += factor * x[j];
}

DISPATCHED int reduce(int64_t rows, int64_t columns, double *W, double *M)
{
    int64_t all = columns + rows;
    double largest = 0.0, t[all];
    for (int64_t i = 0; i < rows; i++) {
        memset(W + i * all + columns, 0, rows * sizeof(double));
        W[i * all + columns + i] = 1.0;
    }
    for (int64_t j = 0; j < columns; j++) {
        double square = 0.0, *top = W + j * all;
        for (int64_t i = j; i < rows; i++)
            square += W[i * all + j] * W[i * all + j];
        double norm = top[j] >= 0.0 ? sqrt(square) : -sqrt(square);
        double corner = top[j] + norm, length = square + fabs(norm) * fabs(top[j]); /* |v|²/2 */
        top[j] = corner;
        for (int64_t k = j + 1; k < all; k++)
            t[k] = 0.0;
        for (int64_t i = j; i < rows; i++)
            add_multiple(all - j - 1, W[i * all + j], W + i * all + j + 1, t + j + 1);
        for (int64_t i = j; i < rows; i++)
            add_multiple(all - j - 1, -W[i * all + j] / (length > 0.0 ? length : 1.0), t + j + 1,
                         W + i * all + j + 1);
        top[j] = -norm;
    }
    for (int64_t i = 0; i < columns; i++)
        for (int64_t j = i; j < columns; j++)
            largest = fmax(largest, fabs(W[i * all + j]));
    int singular = 0;
    for (int64_t i = 0; i < columns; i++)
        singular |= !(fabs(W[i * all + i]) > TINY * largest);
    for (int64_t i = rows - 1; i >= 0; i--) {
        memcpy(M + i * rows, W + i * all + columns, rows * sizeof(double));
        if (i >= columns)
            continue;
        for (int64_t k = i + 1; k < columns; k++)
            add_multiple(rows, W[i * all + k], M + k * rows, M + i * rows);
        double factor = -1.0 / (W[i * all + i] + singular);
        for (int64_t k = 0; k < rows; k++)
            M[i * rows + k] *= factor;
    }
    return singular;
}
