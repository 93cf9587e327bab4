/* BLAS by the address that Python hands over, and the number of the sources. */
#include "kernels.h"

typedef void syr2k_t(char *, char *, int *, int *, double *, const double *, int *, const double *,
                     int *, double *, double *, int *);

typedef void trsv_t(char *, char *, char *, int *, const double *, int *, double *, int *);

static syr2k_t *dsyr2k;
static trsv_t *dtrsv;

EXPORTED uint32_t kernels_version(void) { return VERSION; }

EXPORTED void kernels_blas(void **addresses)
{
    dsyr2k = (syr2k_t *)addresses[0];
    dtrsv = (trsv_t *)addresses[1];
}

/* BLAS stores by columns: to it A is Aᵀ, and the upper triangle the lower one. */
void add_both(int rows, int n, int apart, const double *A, const double *B, double *C)
{
    double one = 1.0;
    if (rows && n)
        dsyr2k("L", "N", &n, &rows, &one, A, &apart, B, &apart, &one, C, &n);
}

void divide(int n, const double *L, int transposed, double *x)
{
    int one = 1;
    dtrsv("L", transposed ? "T" : "N", "N", &n, L, &n, x, &one);
}
