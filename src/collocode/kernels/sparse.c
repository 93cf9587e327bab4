/* Sparse matrices: entries gathered into dense blocks, products. */
#include <string.h>

#include "kernels.h"

#define ROWS 32
#define NEAR 512

/* A strip of `rows` rows of a column: from head on if that is a number of a value, or from the table's places
   −1 − head on.  Not dispatched: instructions that gather and scatter take longer than one load and one store after the other. */
static inline void strip(int64_t rows, int64_t columns, int32_t head, const int32_t *table, const double *values,
                         double *out)
{
    const double *next = values + head;
    if (head >= 0)
        for (int64_t i = 0; i < rows; i++)
            out[i * columns] = next[i];
    else
        for (int64_t i = 0; i < rows; i++)
            out[i * columns] = values[table[i - 1 - head]];
}

/* Blocks k of rows[k] × columns[k] numbers are filled from the values of a matrix, strips of ROWS rows one after the
   other, each column by column as values mostly are in memory: one call for all of a matrix' part. */
EXPORTED void gather_blocks(int64_t blocks, const int64_t *rows, const int64_t *columns, const int32_t *const *heads,
                            const int32_t *const *tables, const double *values, double *const *out)
{
    for (int64_t k = 0; k < blocks; k++) {
        const int32_t *head = heads[k];
        for (int64_t first = 0; first < rows[k]; first += ROWS)
            for (int64_t j = 0; j < columns[k]; j++) {
                double *to = out[k] + first * columns[k] + j;
                /* of the next strip, of which a processor sees no order */
                const double *ahead = out[k] + (first + ROWS) * columns[k] + j * ROWS;
                for (int64_t i = 0; i < ROWS; i += 8) {
                    __builtin_prefetch(ahead + i, 1);
                    if (*head >= 0)
                        __builtin_prefetch(values + *head + ROWS + i, 0);
                }
                if (rows[k] - first >= ROWS)
                    strip(ROWS, columns[k], *head++, tables[k], values, to);
                else
                    strip(rows[k] - first, columns[k], *head++, tables[k], values, to);
            }
    }
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
