/* Steps of Lanczos' method with the inverse of a small matrix that Cholesky factorised. */
#include <math.h>
#include <string.h>

#include "kernels.h"

/* Rows `first` + 1 to `end` of V (·, n), each -(L Lᵀ)⁻¹ times the row before made orthogonal to all rows
   before, to working precision, of length one; `diagonal` and `beside` are the tridiagonal matrix.  L
   is stored by columns; `c` has room for `end` numbers.  Returns how many rows were multiplied: fewer
   than `end` if a row that is left is `negligible` beside the diagonal. */
EXPORTED int64_t lanczos_steps(int64_t n, int64_t first, int64_t end, double negligible,
                               const double *L, double *V, double *diagonal, double *beside,
                               double *c)
{
    double largest = 0.0;
    for (int64_t k = 0; k < first; k++)
        largest = fmax(largest, fabs(diagonal[k]));
    for (int64_t k = first; k < end; k++) {
        const double *v = V + k * n;
        double *w = V + (k + 1) * n, sum = 0.0;
        memcpy(w, v, n * sizeof(double));
        divide((int)n, L, 0, w);
        divide((int)n, L, 1, w);
        for (int64_t i = 0; i < n; i++)
            w[i] = -w[i];
        diagonal[k] = 0.0;
        add_dots(1, n, v, n, w, diagonal + k);
        for (int pass = 0; pass < 2; pass++) {
            memset(c, 0, (k + 1) * sizeof(double));
            add_dots((int)(k + 1), n, V, n, w, c);
            for (int64_t i = 0; i <= k; i++)
                add_multiple(n, -c[i], V + i * n, w);
        }
        add_dots(1, n, w, n, w, &sum);
        beside[k] = sqrt(sum);
        largest = fmax(largest, fabs(diagonal[k]));
        if (!(beside[k] > negligible * largest))
            return k + 1;
        for (int64_t i = 0; i < n; i++)
            w[i] /= beside[k];
    }
    return end;
}
