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

/* What some entries of a symmetric matrix, of which one triangle is there, make of x (n).  They come in
   `runs` of neighbouring rows of a column, each by column, first row and length; an entry of the diagonal is
   a run of its own. */
EXPORTED DISPATCHED void symmetric_product(int64_t n, int64_t runs, const int32_t *columns,
                                           const int32_t *rows, const int32_t *lengths,
                                           const double *values, const double *x, double *product)
{
    double sum = 0.0;
    memset(product, 0, n * sizeof(double));
    for (int64_t run = 0; run < runs; run++) {
        int64_t i = rows[run], j = columns[run], length = lengths[run];
        double factor = x[j];
        if (i == j) {
            sum += values[0] * factor;
        } else if (length >= 8) {
            add_dots(1, length, values, 0, x + i, &sum);
            add_multiple(length, factor, values, product + i);
        } else
            for (int64_t k = 0; k < length; k++) {
                sum += values[k] * x[i + k];
                product[i + k] += values[k] * factor;
            }
        values += length;
        if (run + 1 == runs || columns[run + 1] != j) {
            product[j] += sum;
            sum = 0.0;
        }
    }
}
