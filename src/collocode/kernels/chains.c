/* Chains of elements: what solvers/chains/elimination.py and part.py do, element by element.

   An element's rows (m = inner + states of them) read A_left x_l + A_i x_i + A_r x_r + B θ = r, with
   its inner columns x_i and the links x_l and x_r.  With Qᵀ A_i = (R; 0) all that is kept of them is

       M = (-R⁻¹ Q₁ᵀ; Q₂ᵀ)      and      T = -R⁻¹ Q₁ᵀ (A_left, A_r):

   M times the rows gives x_i = T (x_l; x_r) + U θ - M₁ r above, and the equation between the links
   below.  Groups of up to four neighbours are merged likewise, the links between them being x_i. */
#include <math.h>
#include <string.h>

#include "kernels.h"

#define GROUP 4
#define TINY 1e-13

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

static sizes_t sizes(const part_t *p)
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

static group_t group(const part_t *p, int64_t level, int64_t g)
{
    const int64_t *l = p->level + level * LEVEL, size = l[SIZE], d = p->states;
    const int64_t m = size * d, q = m - d, *index = p->index + l[INDEX] + g * (size + 2);
    const double *M = p->numbers + l[NUMBERS] + g * (m * m + q * 2 * d);
    return (group_t){size, m, q, index[0], index[1], index[2], index + 3, M, M + m * m};
}

static int64_t groups(const part_t *p, int64_t level) { return p->level[level * LEVEL + GROUPS]; }

/* M of an element, which T follows. */
static double *element(const part_t *p, sizes_t s, int64_t e)
{
    return p->numbers + e * (s.m * s.m + s.n * s.c);
}

/* M of A (rows, columns), which stands before an identity in W (rows, columns + rows).  Returns
   whether R is singular to working precision; it is R + I then. */
DISPATCHED int reduce(int64_t rows, int64_t columns, double *W, double *M)
{
    int64_t all = columns + rows;
    double largest = 0.0, t[all];
    for (int64_t j = 0; j < columns; j++) {
        double square = 0.0, *top = W + j * all;
        for (int64_t i = j; i < rows; i++)
            square += W[i * all + j] * W[i * all + j];
        double norm = top[j] >= 0.0 ? sqrt(square) : -sqrt(square);
        double corner = top[j] + norm, length = square + fabs(norm) * fabs(top[j]); /* |v|²/2 */
        top[j] = corner;
        for (int64_t k = j + 1; k < all; k++)
            t[k] = 0.0;
        for (int64_t i = j; i < rows; i++)
            add_multiple(all - j - 1, W[i * all + j], W + i * all + j + 1, t + j + 1);
        for (int64_t i = j; i < rows; i++)
            add_multiple(all - j - 1, -W[i * all + j] / (length > 0.0 ? length : 1.0), t + j + 1,
                         W + i * all + j + 1);
        top[j] = -norm;
    }
    for (int64_t i = 0; i < columns; i++)
        for (int64_t j = i; j < columns; j++)
            largest = fmax(largest, fabs(W[i * all + j]));
    int singular = 0;
    for (int64_t i = 0; i < columns; i++)
        singular |= !(fabs(W[i * all + i]) > TINY * largest);
    for (int64_t i = rows - 1; i >= 0; i--) {
        memcpy(M + i * rows, W + i * all + columns, rows * sizeof(double));
        if (i >= columns)
            continue;
        for (int64_t k = i + 1; k < columns; k++)
            add_multiple(rows, W[i * all + k], M + k * rows, M + i * rows);
        double factor = -1.0 / (W[i * all + i] + singular);
        for (int64_t k = 0; k < rows; k++)
            M[i * rows + k] *= factor;
    }
    return singular;
}

/* Rows of a matrix, for `combine`. */
static void point(int64_t count, const double *first, int64_t apart, const double **rows)
{
    for (int64_t i = 0; i < count; i++)
        rows[i] = first + i * apart;
}

static void identity_behind(int64_t rows, int64_t columns, double *W)
{
    for (int64_t i = 0; i < rows; i++)
        W[i * (columns + rows) + columns + i] = 1.0;
}

/* y += factor A x, or with Aᵀ; A is small. */
static void small(int64_t rows, int64_t columns, double factor, const double *A, const double *x,
                  double *y)
{
    for (int64_t i = 0; i < rows; i++) {
        double sum = 0.0;
        for (int64_t j = 0; j < columns; j++)
            sum += A[i * columns + j] * x[j];
        y[i] += factor * sum;
    }
}

static void small_transposed(int64_t rows, int64_t columns, double factor, const double *A,
                             const double *x, double *y)
{
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            y[j] += factor * x[i] * A[i * columns + j];
}

/* ---- elimination ------------------------------------------------------------------------------ */

static void elements(part_t *p)
{
    sizes_t s = sizes(p);
    int64_t m = s.m, n = s.n, d = s.d;
    double *W = p->scratch, *ends = W + m * (n + m);
    const double *in[m];
    double *out[m];
    for (int64_t e = 0; e < p->elements; e++) {
        double *M = element(p, s, e), *T = M + m * m, *E = p->E + e * d * s.c;
        for (int64_t i = 0; i < m; i++) {
            const double *A = p->A + (e * m + i) * s.own;
            memset(W + i * (n + m), 0, (n + m) * sizeof(double));
            memcpy(W + i * (n + m), A, n * sizeof(double));
            memcpy(ends + i * s.c, p->A_left + (e * m + i) * d, d * sizeof(double));
            memcpy(ends + i * s.c + d, A + n, d * sizeof(double));
        }
        identity_behind(m, n, W);
        p->singular |= reduce(m, n, W, M);
        point(m, ends, s.c, in);
        for (int64_t i = 0; i < m; i++)
            out[i] = i < n ? T + i * s.c : E + (i - n) * s.c;
        combine(m, m, s.c, M, m, in, out, 0);
        point(m, p->A_border + e * m * s.w, s.w, in);
        for (int64_t i = 0; i < m; i++) /* U lies where Z will have it */
            out[i] = i < n ? p->Z + (e * s.own + i) * s.wide + s.c : p->B + (e * d + i - n) * s.w;
        combine(m, m, s.w, M, m, in, out, 0);
        p->left[e] = p->before[e];
        p->right[e] = e;
    }
}

/* Merge `size` segments from number `first` on into number `to`; 0 if errors would grow by it. */
static int merge(part_t *p, int64_t size, int64_t first, int64_t to, double growth, int64_t *index,
                 double *numbers)
{
    sizes_t s = sizes(p);
    int64_t d = s.d, c = s.c, m = size * d, q = m - d, all = q + m;
    double *W = p->scratch, *ends = W + m * all, *kept = ends + m * c;
    double *M = numbers, *T = M + m * m;
    const double *in[m];
    double *out[m];
    memset(W, 0, (m * all + m * c) * sizeof(double));
    for (int64_t i = 0; i < m; i++) {
        int64_t g = i / d;
        const double *E = p->E + (first * d + i) * c;
        memcpy(g ? W + i * all + (g - 1) * d : ends + i * c, E, d * sizeof(double));
        memcpy(g < size - 1 ? W + i * all + g * d : ends + i * c + d, E + d, d * sizeof(double));
    }
    identity_behind(m, q, W);
    p->singular |= reduce(m, q, W, M);
    point(m, ends, c, in);
    for (int64_t i = 0; i < m; i++)
        out[i] = i < q ? T + i * c : kept + (i - q) * c;
    combine(m, m, c, M, m, in, out, 0);
    for (int64_t i = 0; i < q * c; i++)
        if (!(fabs(T[i]) <= growth))
            return 0;
    index[0] = to;
    index[1] = p->left[first];
    index[2] = p->right[first + size - 1];
    for (int64_t g = 0; g < size - 1; g++)
        index[3 + g] = p->right[first + g];
    memcpy(p->E + to * d * c, kept, d * c * sizeof(double));
    point(m, p->B + first * d * s.w, s.w, in);
    for (int64_t i = 0; i < m; i++)
        out[i] = i < q ? p->Z + (index[3 + i / d] * s.own + s.n + i % d) * s.wide + s.c
                       : kept + (i - q) * s.w;
    combine(m, m, s.w, M, m, in, out, 0);
    memcpy(p->B + to * d * s.w, kept, d * s.w * sizeof(double));
    p->left[to] = index[1];
    p->right[to] = index[2];
    return 1;
}

static void move(part_t *p, int64_t from, int64_t to)
{
    int64_t d = p->states, c = 2 * d, w = p->border;
    if (from == to)
        return;
    memcpy(p->E + to * d * c, p->E + from * d * c, d * c * sizeof(double));
    memcpy(p->B + to * d * w, p->B + from * d * w, d * w * sizeof(double));
    p->left[to] = p->left[from];
    p->right[to] = p->right[from];
}

/* First segment that does not go on where the one before ends. */
static int64_t run_end(const part_t *p, int64_t i)
{
    while (++i < p->segments && p->right[i - 1] == p->left[i] && !p->frozen[p->right[i - 1]])
        ;
    return i;
}

/* Merge groups of neighbours, all of one size; freeze a link where that would let errors grow.
   Returns whether anything was done. */
static int merge_round(part_t *p, double growth)
{
    int64_t longest = 0, *level = p->level + p->levels * LEVEL, to = 0;
    for (int64_t i = 0, next; i < p->segments; i = next) {
        next = run_end(p, i);
        longest = next - i > longest ? next - i : longest;
    }
    int64_t size = longest < GROUP ? longest : GROUP, d = p->states;
    if (size < 2)
        return 0;
    int64_t per_index = size + 2, per_group = size * d * size * d + (size - 1) * d * 2 * d;
    level[SIZE] = size;
    level[GROUPS] = 0;
    level[BEFORE] = p->segments;
    for (int64_t i = 0, next; i < p->segments;) {
        next = run_end(p, i);
        for (; i + size <= next; i += size) {
            int64_t *index = p->index + level[INDEX] + level[GROUPS] * per_index;
            double *numbers = p->numbers + level[NUMBERS] + level[GROUPS] * per_group;
            int64_t middle = p->right[i + (size - 1) / 2];
            if (merge(p, size, i, to, growth, index, numbers)) {
                level[GROUPS]++;
                index[0] = i;
                to++;
            } else {
                p->frozen[middle] = 1;
                for (int64_t k = 0; k < size; k++)
                    move(p, i + k, to++);
            }
        }
        for (; i < next; i++)
            move(p, i, to++);
    }
    p->segments = to;
    if (level[GROUPS]) {
        level[LEVEL + INDEX] = level[INDEX] + level[GROUPS] * per_index;
        level[LEVEL + NUMBERS] = level[NUMBERS] + level[GROUPS] * per_group;
        p->levels++;
    }
    return 1;
}

/* Rows of a link's columns in the basis. */
static double *link(const part_t *p, sizes_t s, int64_t slot)
{
    return p->Z + (slot * s.own + s.n) * s.wide;
}

/* Rows of Z from those of the two links, and U, which is there already. */
static void basis_rows(const part_t *p, sizes_t s, int64_t count, const double *T, int64_t left,
                       int64_t right, double **out)
{
    const double *in[2 * s.d];
    point(s.d, link(p, s, p->stayed[left] ? p->elements : left), s.wide, in);
    point(s.d, link(p, s, right), s.wide, in + s.d);
    for (int64_t i = 0; i < count; i++)
        memset(out[i], 0, s.c * sizeof(double));
    combine(count, s.c, s.wide, T, s.c, in, out, 1);
}

static void basis(part_t *p)
{
    sizes_t s = sizes(p);
    int64_t d = s.d;
    double *out[s.n + GROUP * d];
    memset(p->stayed, 0, p->elements + p->chains);
    for (int64_t i = 0; i < p->segments; i++)
        p->stayed[p->left[i]] = p->stayed[p->right[i]] = 1;
    for (int64_t i = -1; i < p->segments; i++) {
        double *rows = link(p, s, i < 0 ? p->elements : p->right[i]);
        memset(rows, 0, d * s.wide * sizeof(double));
        for (int64_t k = 0; k < d; k++)
            rows[k * s.wide + (i < 0 ? 0 : d) + k] = 1.0;
    }
    for (int64_t l = p->levels - 1; l >= 0; l--) {
        for (int64_t k = 0; k < groups(p, l); k++) {
            group_t g = group(p, l, k);
            for (int64_t i = 0; i < g.q; i++)
                out[i] = link(p, s, g.middle[i / d]) + i % d * s.wide;
            basis_rows(p, s, g.q, g.T, g.left, g.right, out);
        }
    }
    for (int64_t e = 0, k = 0; e < p->elements; e++) {
        p->start[e] = p->stayed[p->before[e]] ? p->elements : p->before[e];
        p->segment[e] = k;
        k += p->right[k] == e;
        for (int64_t i = 0; i < s.n; i++)
            out[i] = p->Z + (e * s.own + i) * s.wide;
        if (s.n)
            basis_rows(p, s, s.n, element(p, s, e) + s.m * s.m, p->before[e], e, out);
    }
}

EXPORTED void chains_eliminate(part_t *p, double growth)
{
    sizes_t s = sizes(p);
    p->singular = p->levels = 0;
    p->segments = p->elements;
    p->level[INDEX] = 0;
    p->level[NUMBERS] = s.n ? p->elements * (s.m * s.m + s.n * s.c) : 0;
    memset(p->frozen, 0, p->elements + p->chains);
    elements(p);
    while (merge_round(p, growth))
        ;
    basis(p);
}

/* ---- the Hessian on the basis ----------------------------------------------------------------- */

/* `shared` (border, border) has the upper triangle of ZᵀHZ over the border;
   `both` (segments, c, c + border) half of that of the segments' ends, and of these with the border.
   X has room for `most` elements (most own, c + border). */
EXPORTED void chains_project(const part_t *p, int64_t most, double *X, double *shared, double *both)
{
    sizes_t s = sizes(p);
    int64_t own = s.own, c = s.c, terms = own + (p->couples ? s.d : 0);
    double *half = p->scratch, *ends = half + own * terms, *out[own > c ? own : c];
    const double *in[terms];
    memset(shared, 0, s.w * s.w * sizeof(double));
    memset(both, 0, p->segments * c * s.wide * sizeof(double));
    for (int64_t first = 0; first < p->elements; first += most) {
        int64_t end = first + most < p->elements ? first + most : p->elements;
        const double *Z = p->Z + first * own * s.wide;
        double *Y = X;
        for (int64_t e = first; e < end; e++, Z += own * s.wide, Y += own * s.wide) {
            const double *H = p->H + e * own * own, *Hb = p->H_border + e * own * s.w;
            for (int64_t i = 0; i < own; i++) {
                for (int64_t k = 0; k < own; k++)
                    half[i * terms + k] = 0.5 * H[i * own + k];
                for (int64_t k = own; k < terms; k++)
                    half[i * terms + k] = p->across[(e * s.d + k - own) * own + i];
                out[i] = Y + i * s.wide;
                memset(out[i], 0, c * sizeof(double));
                memcpy(out[i] + c, Hb + i * s.w, s.w * sizeof(double));
            }
            point(own, Z, s.wide, in);
            if (p->couples)
                point(s.d, link(p, s, p->start[e]), s.wide, in + own);
            combine(own, terms, s.wide, half, terms, in, out, 1);
            double *sum = both + p->segment[e] * c * s.wide;
            for (int64_t i = 0; i < c; i++) {
                out[i] = sum + i * s.wide;
                for (int64_t k = 0; k < own; k++)
                    ends[i * own + k] = Z[k * s.wide + i];
            }
            point(own, Y, s.wide, in);
            combine(c, own, s.wide, ends, own, in, out, 1);
            for (int64_t i = 0; i < c; i++) {
                out[i] += c;
                for (int64_t k = 0; k < own; k++)
                    ends[i * own + k] = Y[k * s.wide + i];
            }
            point(own, Z + c, s.wide, in);
            combine(c, own, s.w, ends, own, in, out, 1);
        }
        add_both((end - first) * own, s.w, s.wide, p->Z + first * own * s.wide + c, X + c, shared);
    }
}

/* ---- what is left of whole chains ------------------------------------------------------------- */

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

static int64_t link_of(const part_t *p, const ends_t *t, int64_t chain, int64_t number)
{
    int64_t k = t->first[chain] + number;
    return number ? p->right[k - 1] : p->left[k];
}

/* Fill A, b, M, Θ, D and W of all chains, add to the upper triangle of `shared`.  `fixed` (slots,
   states) get a one on the diagonal; `both` is what `chains_project` made, `work` as large as Θ.
   Returns whether some rows depend on each other. */
EXPORTED int64_t chains_ends(const part_t *p, const ends_t *t, const double *both,
                             const char *fixed, double *shared, double *work)
{
    sizes_t s = sizes(p);
    int64_t d = s.d, q = t->segments * d, size = q + d, all = q + size, singular = 0;
    double *W = p->scratch, *small_ones = W + size * all, *out[size];
    const double *in[size];
    for (int64_t i = 0; i < t->count; i++) {
        int64_t k = t->first[i], corner = link_of(p, t, i, 0);
        double *M = t->M + i * size * size, *A = t->A + i * size * size;
        double *b = t->b + i * size * s.w, *theta = t->theta + i * size * s.w;
        double *Y = work + i * size * s.w;
        memset(W, 0, size * all * sizeof(double));
        memset(A, 0, size * size * sizeof(double));
        memset(b + d * s.w, 0, q * s.w * sizeof(double));
        for (int64_t a = 0; a < d; a++) {
            int64_t row = corner * s.own + s.n + a;
            memcpy(A + a * size, p->H + row * s.own + s.n, d * sizeof(double));
            memcpy(b + a * s.w, p->H_border + row * s.w, s.w * sizeof(double));
        }
        for (int64_t a = 0; a < size; a++)
            A[a * size + a] += fixed[link_of(p, t, i, a / d) * d + a % d];
        for (int64_t j = 0; j < t->segments; j++) {
            const double *half = both + (k + j) * s.c * s.wide, *E = p->E + (k + j) * d * s.c;
            for (int64_t a = 0; a < s.c; a++) {
                for (int64_t c = 0; c < s.c; c++)
                    A[(j * d + a) * size + j * d + c] += half[a * s.wide + c] + half[c * s.wide + a];
                for (int64_t c = 0; c < d; c++)
                    W[(j * d + a) * all + j * d + c] = E[c * s.c + a];
                add_multiple(s.w, 1.0, half + a * s.wide + s.c, b + (j * d + a) * s.w);
            }
        }
        identity_behind(size, q, W);
        singular |= reduce(size, q, W, M);
        for (int64_t a = 0; a < size; a++)
            for (int64_t c = 0; c < q; c++)
                W[a * q + c] = M[c * size + a];
        point(q, p->B + k * d * s.w, s.w, in);
        for (int64_t a = 0; a < size; a++)
            out[a] = theta + a * s.w;
        combine(size, q, s.w, W, q, in, out, 0);
        /* Y = A Θ / 2 + b, with which all are symmetric */
        for (int64_t a = 0; a < size * size; a++)
            W[a] = 0.5 * A[a];
        memcpy(Y, b, size * s.w * sizeof(double));
        point(size, theta, s.w, in);
        for (int64_t a = 0; a < size; a++)
            out[a] = Y + a * s.w;
        combine(size, size, s.w, W, size, in, out, 1);
        memset(small_ones, 0, d * size * sizeof(double));
        for (int64_t a = 0; a < d; a++) {
            small_transposed(size, size, 1.0, A, M + (q + a) * size, small_ones + a * size);
            memset(t->D + (i * d + a) * d, 0, d * sizeof(double));
            small(d, size, 1.0, M + q * size, small_ones + a * size, t->D + (i * d + a) * d);
            for (int64_t c = 0; c < size; c++)
                small_ones[a * size + c] *= 0.5;
            out[a] = t->W + (i * d + a) * s.w;
        }
        combine(d, size, s.w, small_ones, size, in, out, 0);
        point(size, Y, s.w, in);
        combine(d, size, s.w, M + q * size, size, in, out, 1);
    }
    add_both(t->count * size, s.w, s.w, t->theta, work, shared);
    return singular;
}

/* Eliminate what `chains_down` leaves: v (count, states), and what is added to theta. */
EXPORTED void chains_ends_down(const part_t *p, const ends_t *t, const double *segment,
                               const double *links, double *theta, double *v)
{
    sizes_t s = sizes(p);
    int64_t d = s.d, q = t->segments * d, size = q + d;
    double both[2 * size], *left = both, *to[1] = {theta};
    const double *in[2 * size];
    memset(t->x, 0, t->count * size * sizeof(double));
    memset(v, 0, t->count * d * sizeof(double));
    for (int64_t i = 0; i < t->count; i++) {
        double *x = t->x + i * size;
        const double *M = t->M + i * size * size;
        small_transposed(q, size, -1.0, M, segment + t->first[i] * d, x);
        for (int64_t a = 0; a < size; a++) {
            left[a] = links[link_of(p, t, i, a / d) * d + a % d];
            both[size + a] = -x[a];
        }
        small(size, size, -1.0, t->A + i * size * size, x, left);
        small(d, size, 1.0, M + q * size, left, v + i * d);
        point(size, t->theta + i * size * s.w, s.w, in);
        point(size, t->b + i * size * s.w, s.w, in + size);
        combine(1, 2 * size, s.w, both, 0, in, to, 1);
    }
}

/* Complete it: the links found (slots, states), and the multipliers nu (segments, states). */
EXPORTED void chains_ends_up(const part_t *p, const ends_t *t, const double *v, const double *theta,
                             const double *links, double *found, double *nu)
{
    sizes_t s = sizes(p);
    int64_t d = s.d, q = t->segments * d, size = q + d;
    double left[size];
    for (int64_t i = 0; i < t->count; i++) {
        double *x = t->x + i * size, *mine = nu + t->first[i] * d;
        const double *M = t->M + i * size * size;
        small_transposed(d, size, 1.0, M + q * size, v + i * d, x);
        add_dots(size, s.w, t->theta + i * size * s.w, s.w, theta, x);
        memset(left, 0, size * sizeof(double));
        add_dots(size, s.w, t->b + i * size * s.w, s.w, theta, left);
        small(size, size, 1.0, t->A + i * size * size, x, left);
        for (int64_t a = 0; a < size; a++) {
            int64_t place = link_of(p, t, i, a / d) * d + a % d;
            found[place] = x[a];
            left[a] -= links[place];
        }
        memset(mine, 0, q * sizeof(double));
        small(q, size, 1.0, M, left, mine);
    }
}

/* ---- right-hand sides ------------------------------------------------------------------------- */

/* left = own - H y */
static void residual(const part_t *p, sizes_t s, const double *own, const double *y, double *left)
{
    int64_t slots = p->elements + p->chains;
    memcpy(left, own, slots * s.own * sizeof(double));
    for (int64_t e = 0; e < slots; e++)
        small(s.own, s.own, -1.0, p->H + e * s.own * s.own, y + e * s.own, left + e * s.own);
    for (int64_t e = 0; p->couples && e < p->elements; e++) {
        const double *across = p->across + e * s.d * s.own;
        int64_t before = p->before[e] * s.own + s.n;
        small_transposed(s.d, s.own, -1.0, across, y + before, left + e * s.own);
        small(s.d, s.own, -1.0, across, y + e * s.own, left + before);
    }
}

/* Eliminate a right-hand side: own (slots, own), rows (elements, m).  Gives y (slots, own), a point
   that satisfies the eliminated rows and is zero elsewhere; `segment` (elements, states), the rows
   that are left; `links` (slots, states), and what is added to theta (border). */
EXPORTED void chains_down(const part_t *p, const double *own, const double *rows, double *y,
                          double *segment, double *links, double *theta)
{
    sizes_t s = sizes(p);
    int64_t d = s.d, n = s.n, slots = p->elements + p->chains;
    double *h = p->scratch, *x = h + slots * s.own, *theta_rows[1] = {theta};
    const double *in[2 * s.own];
    memset(y, 0, slots * s.own * sizeof(double));
    for (int64_t e = 0; e < p->elements; e++) {
        if (!n) {
            memcpy(segment + e * d, rows + e * d, d * sizeof(double));
            continue;
        }
        const double *M = element(p, s, e);
        memset(segment + e * d, 0, d * sizeof(double));
        small(n, s.m, -1.0, M, rows + e * s.m, y + e * s.own);
        small(d, s.m, 1.0, M + n * s.m, rows + e * s.m, segment + e * d);
    }
    for (int64_t l = 0; l < p->levels; l++) {
        group_t g = group(p, l, 0);
        for (int64_t i = 0, to = 0, k = 0; i < p->level[l * LEVEL + BEFORE]; to++) {
            if (k == groups(p, l) || i != g.first) {
                memmove(segment + to * d, segment + i++ * d, d * sizeof(double));
                continue;
            }
            memset(x, 0, g.m * sizeof(double));
            small(g.m, g.m, 1.0, g.M, segment + i * d, x);
            for (int64_t j = 0; j < g.q; j++)
                y[g.middle[j / d] * s.own + n + j % d] = -x[j];
            memcpy(segment + to * d, x + g.q, d * sizeof(double));
            i += g.size;
            g = group(p, l, ++k);
        }
    }
    for (int64_t l = p->levels - 1; l >= 0; l--)
        for (int64_t k = 0; k < groups(p, l); k++) {
            group_t g = group(p, l, k);
            memcpy(x, y + g.left * s.own + n, d * sizeof(double));
            memcpy(x + d, y + g.right * s.own + n, d * sizeof(double));
            for (int64_t j = 0; j < g.q; j++)
                small(1, s.c, 1.0, g.T + j * s.c, x, y + g.middle[j / d] * s.own + n + j % d);
        }
    for (int64_t e = 0; n && e < p->elements; e++) {
        memcpy(x, y + p->before[e] * s.own + n, d * sizeof(double));
        memcpy(x + d, y + e * s.own + n, d * sizeof(double));
        small(n, s.c, 1.0, element(p, s, e) + s.m * s.m, x, y + e * s.own);
    }
    residual(p, s, own, y, h);
    memset(links, 0, slots * d * sizeof(double));
    for (int64_t e = 0; e < p->elements; e++) {
        int64_t k = p->segment[e];
        memcpy(x, h + e * s.own, s.own * sizeof(double));
        for (int64_t i = 0; i < s.own; i++)
            x[s.own + i] = -y[e * s.own + i];
        point(s.own, p->Z + e * s.own * s.wide + s.c, s.wide, in);
        point(s.own, p->H_border + e * s.own * s.w, s.w, in + s.own);
        combine(1, 2 * s.own, s.w, x, 0, in, theta_rows, 1);
        for (int64_t i = 0; i < s.own; i++) {
            const double *ends = p->Z + (e * s.own + i) * s.wide;
            add_multiple(d, x[i], ends, links + p->left[k] * d);
            add_multiple(d, x[i], ends + d, links + p->right[k] * d);
        }
    }
    for (int64_t e = p->elements; e < slots; e++)
        add_multiple(d, 1.0, h + e * s.own + n, links + e * d);
}

/* Multipliers mu (elements, m) from what is left of stationarity (slots, own), which is used up, and
   those of the segments in nu, which has room for (elements, states). */
static void multipliers(const part_t *p, sizes_t s, double *left, double *nu, double *mu)
{
    int64_t d = s.d, n = s.n;
    double *x = left + (p->elements + p->chains) * s.own;
    for (int64_t e = 0; n && e < p->elements; e++) {
        const double *T = element(p, s, e) + s.m * s.m;
        memset(x, 0, s.c * sizeof(double));
        small_transposed(n, s.c, 1.0, T, left + e * s.own, x);
        add_multiple(d, 1.0, x, left + p->before[e] * s.own + n);
        add_multiple(d, 1.0, x + d, left + e * s.own + n);
    }
    for (int64_t l = 0; l < p->levels; l++)
        for (int64_t k = 0; k < groups(p, l); k++) {
            group_t g = group(p, l, k);
            memset(x, 0, s.c * sizeof(double));
            for (int64_t j = 0; j < g.q; j++)
                add_multiple(s.c, left[g.middle[j / d] * s.own + n + j % d], g.T + j * s.c, x);
            add_multiple(d, 1.0, x, left + g.left * s.own + n);
            add_multiple(d, 1.0, x + d, left + g.right * s.own + n);
        }
    for (int64_t l = p->levels - 1; l >= 0; l--) { /* from the end: what is read is not overwritten */
        int64_t k = groups(p, l), before = p->level[l * LEVEL + BEFORE];
        int64_t from = before - k * (p->level[l * LEVEL + SIZE] - 1);
        for (int64_t i = before; i > 0;) {
            group_t g = group(p, l, k ? k - 1 : 0);
            if (!k || i - g.size != g.first) {
                memmove(nu + --i * d, nu + --from * d, d * sizeof(double));
                continue;
            }
            for (int64_t j = 0; j < g.q; j++)
                x[j] = -left[g.middle[j / d] * s.own + n + j % d];
            memcpy(x + g.q, nu + --from * d, d * sizeof(double));
            i -= g.size;
            k--;
            memset(nu + i * d, 0, g.m * sizeof(double));
            small_transposed(g.m, g.m, 1.0, g.M, x, nu + i * d);
        }
    }
    memset(mu, 0, p->elements * s.m * sizeof(double));
    for (int64_t e = 0; e < p->elements; e++) {
        for (int64_t k = 0; k < n; k++)
            x[k] = -left[e * s.own + k];
        memcpy(x + n, nu + e * d, d * sizeof(double));
        if (n)
            small_transposed(s.m, s.m, 1.0, element(p, s, e), x, mu + e * s.m);
        else
            memcpy(mu + e * d, x, d * sizeof(double));
    }
}

/* Complete the solution of the right-hand side that went down: `links` (slots, states) has the links
   that stayed, nu their multipliers, with room for (elements, states).  y is completed. */
EXPORTED void chains_up(const part_t *p, const double *own, const double *links, double *nu,
                        const double *theta, double *y, double *mu)
{
    sizes_t s = sizes(p);
    int64_t d = s.d, slots = p->elements + p->chains;
    double *left = p->scratch, x[s.wide], pull[s.own];
    memcpy(x + s.c, theta, s.w * sizeof(double));
    for (int64_t e = 0; e < p->elements; e++) {
        int64_t k = p->segment[e];
        memcpy(x, links + p->left[k] * d, d * sizeof(double));
        memcpy(x + d, links + p->right[k] * d, d * sizeof(double));
        add_dots(s.own, s.wide, p->Z + e * s.own * s.wide, s.wide, x, y + e * s.own);
    }
    for (int64_t e = p->elements; e < slots; e++)
        memcpy(y + e * s.own + s.n, links + e * d, d * sizeof(double));
    residual(p, s, own, y, left);
    for (int64_t e = 0; e < slots; e++) {
        memset(pull, 0, s.own * sizeof(double));
        add_dots(s.own, s.w, p->H_border + e * s.own * s.w, s.w, theta, pull);
        add_multiple(s.own, -1.0, pull, left + e * s.own);
    }
    multipliers(p, s, left, nu, mu);
}
