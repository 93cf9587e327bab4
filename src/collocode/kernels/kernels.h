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

/* C += AᵀB + BᵀA, the upper triangle of C (n, n), with A and B of (rows, n), whose rows begin `apart`
   numbers apart.  By SciPy's BLAS. */
void add_both(int rows, int n, int apart, const double *A, const double *B, double *C);

/* x = L⁻¹ x or L⁻ᵀ x with the lower triangle L (n, n), stored by columns as LAPACK leaves it.  By SciPy's BLAS. */
void divide(int n, const double *L, int transposed, double *x);

/* C += factor AᵀA, the upper triangle of C (n, n), whose rows begin `apart` numbers apart, with A (rows, n).  By
   SciPy's BLAS. */
void add_square(int rows, int n, double factor, const double *A, int apart, double *C);

/* A = L Lᵀ in place, the upper triangle of A (n, n) by rows, which is L by columns.  Returns whether it is
   positive definite.  By SciPy's LAPACK. */
int factorised(int n, double *A);

/* Lowest eigenvalue of a symmetric tridiagonal matrix of n rows, and its vector (n); `value` and `whole` have
   room for n and 10 n + 2 numbers, `work` for 20 n.  Returns whether LAPACK has found it. */
int lowest_of_tridiagonal(int n, const double *diagonal, const double *beside, double *value,
                          double *vector, double *work, int *whole);

/* See lanczos.c. */
int64_t lanczos_steps(int64_t n, int64_t first, int64_t end, double negligible, const double *L,
                      double *V, double *diagonal, double *beside, double *c);

/* out[i][j] (+)= sum over k of M[i, k] in[k][j]: few rows made of few long ones, each given by
   where it begins, so that they may lie anywhere.  No row of `out` may be one of `in`. */
void combine(int rows, int terms, int64_t width, const double *M, int64_t ldm,
             const double *const *in, double *const *out, int add);

/* y[i] += sum over j of a[i, j] x[j]; the rows of a begin `lda` numbers apart. */
void add_dots(int rows, int64_t width, const double *a, int64_t lda, const double *x, double *y);

/* y[j] += factor x[j] */
void add_multiple(int64_t width, double factor, const double *x, double *y);

/* From A (rows, columns) = Q (R; 0) make M (rows, rows) = (-R⁻¹ Q₁ᵀ; Q₂ᵀ).  A stands in front of
   W (rows, columns + rows), on which work is done.  Returns whether R is singular to working
   precision; it is R + I then. */
int reduce(int64_t rows, int64_t columns, double *W, double *M);

#endif
