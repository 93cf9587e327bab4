/* What all kernels share.  Matrices are stored by rows, as NumPy has them. */
#ifndef KERNELS_H
#define KERNELS_H

#include <stddef.h>
#include <stdint.h>

#define EXPORTED __attribute__((visibility("default")))

/* Compiled for several kinds of x86-64; the one that runs is found when the library is loaded. */
#if defined(DISPATCH) && defined(__x86_64__)
#define DISPATCHED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define DISPATCHED
#endif

/* C (m, n) = alpha op(A) B + beta C, with op(A) of (m, k): A itself, or Aᵀ if `transposed`.
   Rows of A, B and C begin `lda`, `ldb` and `ldc` numbers apart.  By SciPy's BLAS. */
void multiply(int transposed, int m, int n, int k, double alpha, const double *A, int lda,
              const double *B, int ldb, double beta, double *C, int ldc);

/* y (m) = alpha op(A) x + beta y, with A of (rows, columns). */
void apply(int transposed, int rows, int columns, double alpha, const double *A, int lda,
           const double *x, double beta, double *y);

#endif
