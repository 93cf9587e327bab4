/* Chains of elements: what solvers/chains/plain.py, elimination.py and ends.py do, element by element.

   An element's rows (m = inner + states of them) read A_left x_l + A_i x_i + A_r x_r + B θ = r, with
   its inner columns x_i and the links x_l and x_r.  With Qᵀ A_i = (R; 0) all that is kept of them is

       M = (-R⁻¹ Q₁ᵀ; Q₂ᵀ)      and      T = -R⁻¹ Q₁ᵀ (A_left, A_r):

   M times the rows gives x_i = T (x_l; x_r) + U θ - M₁ r above, and the equation between the links
   below.  Groups of up to four neighbours are merged likewise, the links between them being x_i. */
#ifndef CHAINS_H
#define CHAINS_H

#include <math.h>
#include <string.h>

#include "kernels.h"

#define GROUP 4

/* One part, as solvers/chains/compiled.py fills it in.  Slots are the elements' own columns (inner,
   right link), then the first links of the chains; c = 2 states are the ends of a segment. */
typedef struct {
    int64_t elements, chains, states, inner, border, couples;
    int64_t singular, segments, levels;
    const int64_t *before;                      /* (elements) slot of the left link */
    const double *A_left, *A, *A_border;        /* (elements, m, states | own | border) */
    const double *H, *across, *H_border;        /* (slots, own, own), (elements, states, own), (slots, own, border) */
    double *Z;                                  /* (elements + 1, own, c + border) */
    int64_t *left, *right;                      /* (segments) slots */
    double *E, *B;                              /* (segments, states, c | border) */
    int64_t *start, *segment;                   /* (elements) */
    int64_t *level;                             /* (levels, 5), see below */
    int64_t *index;                             /* of a group: first segment, left, right, links between */
    double *numbers;                            /* of an element or a group: M, T */
    double *scratch;
    char *frozen, *stayed;                      /* (slots) */
} part_t;

/* A round of merging: segments that a group has, groups, segments before it, where its index and its
   numbers begin. */
enum { SIZE, GROUPS, BEFORE, INDEX, NUMBERS, LEVEL };

/* Sizes that all functions need. */
typedef struct {
    int64_t d, n, own, m, c, w, wide;
} sizes_t;

static inline sizes_t sizes(const part_t *p)
{
    int64_t d = p->states, n = p->inner;
    return (sizes_t){d, n, n + d, n + d, 2 * d, p->border, 2 * d + p->border};
}

/* A group of a level: m rows, of which the first q take out the links between its segments. */
typedef struct {
    int64_t size, m, q, first, left, right;
    const int64_t *middle;
    const double *M, *T;
} group_t;

static inline group_t group(const part_t *p, int64_t level, int64_t g)
{
    const int64_t *l = p->level + level * LEVEL, size = l[SIZE], d = p->states;
    const int64_t m = size * d, q = m - d, *index = p->index + l[INDEX] + g * (size + 2);
    const double *M = p->numbers + l[NUMBERS] + g * (m * m + q * 2 * d);
    return (group_t){size, m, q, index[0], index[1], index[2], index + 3, M, M + m * m};
}

static inline int64_t groups(const part_t *p, int64_t level) { return p->level[level * LEVEL + GROUPS]; }

/* M of an element, which T follows. */
static inline double *element(const part_t *p, sizes_t s, int64_t e)
{
    return p->numbers + e * (s.m * s.m + s.n * s.c);
}

/* Chains of k segments each, of which `first` is told: their links, size = (k + 1) states numbers,
   have the Hessian A, and b with the border.  The rows between them leave x = N v + Θ θ, with
   M = (P; Nᵀ) as above and Θ = Pᵀ B. */
typedef struct {
    int64_t count, segments;
    const int64_t *first;                 /* (count) */
    double *M, *A, *b, *theta;            /* (count, size, size | size | border | border) */
    double *D, *W;                        /* (count, states, states | border): Hessian of v, with the border */
    double *x;                            /* (count, size), of a right-hand side */
} ends_t;

static inline int64_t link_of(const part_t *p, const ends_t *t, int64_t chain, int64_t number)
{
    int64_t k = t->first[chain] + number;
    return number ? p->right[k - 1] : p->left[k];
}

/* Rows of a link's columns in the basis. */
static inline double *link(const part_t *p, sizes_t s, int64_t slot)
{
    return p->Z + (slot * s.own + s.n) * s.wide;
}

/* Rows of a matrix, for `combine`. */
static inline void point(int64_t count, const double *first, int64_t apart, const double **rows)
{
    for (int64_t i = 0; i < count; i++)
        rows[i] = first + i * apart;
}

/* y += factor A x, or with Aᵀ; A is small. */
static inline void small(int64_t rows, int64_t columns, double factor, const double *A, const double *x,
                  double *y)
{
    for (int64_t i = 0; i < rows; i++) {
        double sum = 0.0;
        for (int64_t j = 0; j < columns; j++)
            sum += A[i * columns + j] * x[j];
        y[i] += factor * sum;
    }
}

static inline void small_transposed(int64_t rows, int64_t columns, double factor, const double *A,
                             const double *x, double *y)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            y[j] += factor * x[i] * A[i * columns + j];
}

#endif
