/* BLAS and LAPACK by the address that Python hands over, and the number of the sources. */
#include <string.h>

#include "kernels.h"

typedef void syr2k_t(char *, char *, int *, int *, double *, const double *, int *, const double *,
                     int *, double *, double *, int *);

typedef void trsv_t(char *, char *, char *, int *, const double *, int *, double *, int *);

typedef void syrk_t(char *, char *, int *, int *, double *, const double *, int *, double *, double *,
                    int *);

typedef void potrf_t(char *, int *, double *, int *, int *);

typedef void stemr_t(char *, char *, int *, double *, double *, double *, double *, int *, int *,
                     int *, double *, double *, int *, int *, int *, int *, double *, int *, int *,
                     int *, int *);

static syr2k_t *dsyr2k;
static trsv_t *dtrsv;
static syrk_t *dsyrk;
static potrf_t *dpotrf;
static stemr_t *dstemr;

EXPORTED uint32_t kernels_version(void) { return VERSION; }

EXPORTED void kernels_blas(void **addresses)
{
    dsyr2k = (syr2k_t *)addresses[0];
    dtrsv = (trsv_t *)addresses[1];
    dsyrk = (syrk_t *)addresses[2];
    dpotrf = (potrf_t *)addresses[3];
    dstemr = (stemr_t *)addresses[4];
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

void add_square(int rows, int n, double factor, const double *A, int apart, double *C)
{
    double one = 1.0;
    if (rows && n)
        dsyrk("L", "N", &n, &rows, &factor, A, &n, &one, C, &apart);
}

int factorised(int n, double *A)
{
    int info = 0;
    if (n)
        dpotrf("L", &n, A, &n, &info);
    return !info;
}

int lowest_of_tridiagonal(int n, const double *diagonal, const double *beside, double *value,
                          double *vector, double *work, int *whole)
{
    double low = 0.0, high = 1.0, *d = work, *e = work + n; /* LAPACK writes to what it is given */
    int first = 1, count = 0, exact = 1, room = 18 * n, more = 10 * n, info = 0;
    memcpy(d, diagonal, n * sizeof(double));
    memcpy(e, beside, n * sizeof(double));
    dstemr("V", "I", &n, d, e, &low, &high, &first, &first, &count, value, vector, &n, &first,
           whole, &exact, work + 2 * n, &room, whole + 2, &more, &info);
    return !info;
}
