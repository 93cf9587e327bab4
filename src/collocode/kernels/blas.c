/* BLAS by the address that Python hands over, and the number of the sources. */
#include "kernels.h"

typedef void gemm_t(char *, char *, int *, int *, int *, double *, const double *, int *,
                    const double *, int *, double *, double *, int *);

static gemm_t *dgemm;

EXPORTED uint32_t kernels_version(void) { return VERSION; }

EXPORTED void kernels_blas(void **addresses) { dgemm = (gemm_t *)addresses[0]; }

/* BLAS stores by columns: by rows, a product is that of the transposes in the other order. */
void multiply(int transposed, int m, int n, int k, double alpha, const double *A, int lda,
              const double *B, int ldb, double beta, double *C, int ldc)
{
    if (m && n)
        dgemm("N", transposed ? "T" : "N", &n, &m, &k, &alpha, B, &ldb, A, &lda, &beta, C, &ldc);
}
