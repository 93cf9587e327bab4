/* Sparse matrices: entries gathered into dense blocks, products. */
#include <string.h>

#include "kernels.h"

DISPATCHED static void gather(int64_t count, const int32_t *table, const double *values, double *out)
{
    for (int64_t i = 0; i < count; i++)
        out[i] = values[table[i]];
}

/* out[k][i] = values[tables[k][i]] for every block k: one call for all of a matrix' part. */
EXPORTED void gather_blocks(int64_t blocks, const int64_t *counts, const int32_t *const *tables,
                            const double *values, double *const *out)
{
    for (int64_t k = 0; k < blocks; k++)
        gather(counts[k], tables[k], values, out[k]);
}

/* Product of a symmetric matrix with x, by some rows of its upper triangle: `above` (rows), and what
   the transpose adds to all in `below` (n); the diagonal counts in `above`.  The entries of a row
   are runs of neighbouring columns, from `begins` on, each by its first column and its length. */
EXPORTED DISPATCHED void upper_product(int64_t first, int64_t rows, int64_t n,
                                       const int64_t *begins, const int32_t *columns,
                                       const int32_t *lengths, const double *values,
                                       const double *x, double *above, double *below)
{
    memset(below, 0, n * sizeof(double));
    for (int64_t i = 0; i < rows; i++) {
        double sum = 0.0, pivot = x[first + i];
        for (int64_t run = begins[i]; run < begins[i + 1]; run++) {
            int64_t j = columns[run], length = lengths[run];
            if (length >= 8) {
                add_dots(1, length, values, 0, x + j, &sum);
                add_multiple(length, pivot, values, below + j);
            } else
                for (int64_t k = 0; k < length; k++) {
                    sum += values[k] * x[j + k];
                    below[j + k] += j + k == first + i ? 0.0 : values[k] * pivot;
                }
            values += length;
        }
        above[i] = sum;
    }
}
