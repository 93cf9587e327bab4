/* Sparse matrices: entries gathered into dense blocks, products. */
#include <string.h>

#include "kernels.h"

#define ROWS 32
#define NEAR 512

/* `table` has strips of ROWS rows, column by column, as values are in memory mostly. */
DISPATCHED static void gather(int64_t rows, int64_t columns, const int32_t *table, const double *values, double *out)
{
    for (; rows >= ROWS; rows -= ROWS, out += ROWS * columns)
        for (int64_t j = 0; j < columns; j++, table += ROWS)
            for (int64_t i = 0; i < ROWS; i++)
                out[i * columns + j] = values[table[i]];
    for (int64_t j = 0; j < columns; j++)
        for (int64_t i = 0; i < rows; i++)
            out[i * columns + j] = values[*table++];
}

/* out[k][i, j] = values[tables[k][i, j]] for every block k of rows[k] × columns[k]: one call for all of a
   matrix' part. */
EXPORTED void gather_blocks(int64_t blocks, const int64_t *rows, const int64_t *columns, const int32_t *const *tables,
                            const double *values, double *const *out)
{
    for (int64_t k = 0; k < blocks; k++)
        gather(rows[k], columns[k], tables[k], values, out[k]);
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
            for (int64_t k = 0; k < length; k += NEAR) { /* so that the values are read from memory once */
                int64_t few = length - k < NEAR ? length - k : NEAR;
                add_dots(1, few, values + k, 0, x + i + k, &sum);
                add_multiple(few, factor, values + k, product + i + k);
            }
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
