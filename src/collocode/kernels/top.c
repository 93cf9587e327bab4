/* What is left of all chains, as solvers/chains/arrow.py and lowest.py have it: few enough rows for a dense matrix. */
#include <math.h>
#include <string.h>

#include "kernels.h"

/* The lower factor L (N, N), stored by columns, of the symmetric matrix of `count` blocks D (d, d), their border
   W (count d, n) and S (n, n), of which the upper triangle counts; N = count d + n.  `shift` is added to
   the diagonal, and in the border the squares of the `links` rows of `units` times it.  `before` has room for N
   numbers.  Returns whether every pivot is clearly positive, not `negligible` beside the diagonal. */
EXPORTED int64_t arrow_factor(int64_t count, int64_t d, int64_t n, const double *D,
                              const double *W, const double *S, double shift, int64_t links,
                              const double *units, double negligible, double *L, double *before)
{
    int64_t v = count * d, size = v + n;
    for (int64_t r = 0; r < v; r++) {
        double *row = L + r * size, *own = row + r / d * d;
        memset(row, 0, v * sizeof(double));
        memcpy(own, D + r * d, d * sizeof(double));
        memcpy(row + v, W + r * n, n * sizeof(double));
        row[r] += shift;
    }
    for (int64_t r = 0; r < n; r++) {
        double *row = L + (v + r) * size + v;
        memcpy(row + r, S + r * n + r, (n - r) * sizeof(double));
        row[r] += shift;
    }
    if (shift != 0.0)
        add_square((int)links, (int)n, shift, units, (int)size, L + v * size + v);
    for (int64_t r = 0; r < size; r++)
        before[r] = fabs(L[r * size + r]);
    if (!factorised((int)size, L))
        return 0;
    for (int64_t r = 0; r < size; r++) {
        double pivot = L[r * size + r];
        if (!(pivot * pivot > negligible * before[r]))
            return 0;
    }
    return 1;
}

/* Lanczos' method with -(L Lᵀ)⁻¹ from row 0 of V (most + 1, n), four steps at a time, until the lowest
   eigenvalue is known to `tolerance` of its size, and at most `most` of them.  `room` has 25 most numbers,
   `whole` 12 most; `found` is the eigenvalue, how near that is, and its vector (n).  Returns the number of
   steps, or 0 if LAPACK fails. */
EXPORTED int64_t lanczos_lowest(int64_t n, int64_t most, double tolerance, double negligible,
                                const double *L, double *V, double *room, int *whole,
                                double *found)
{
    double *diagonal = room, *beside = room + most, *c = beside + most, *value = c + most;
    double *vector = value + most, *work = vector + most, *x = found + 2;
    int64_t done = 0, due;
    while (done < most) {
        due = done + 4;
        done = lanczos_steps(n, done, due, negligible, L, V, diagonal, beside, c);
        if (!lowest_of_tridiagonal((int)done, diagonal, beside, value, vector, work, whole))
            return 0;
        double last = beside[done - 1], largest = 0.0;
        for (int64_t k = 0; k < done; k++)
            largest = fmax(largest, fabs(diagonal[k]));
        found[0] = value[0];
        found[1] = last * fabs(vector[done - 1]);
        if (last <= negligible * largest || found[1] <= tolerance * fabs(found[0]))
            break;
    }
    memset(x, 0, n * sizeof(double));
    for (int64_t k = 0; k < done; k++)
        add_multiple(n, vector[k], V + k * n, x);
    return done;
}
