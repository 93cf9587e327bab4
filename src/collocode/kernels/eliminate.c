/* Elimination of rows, inner columns and links, and the basis of what is left; see chains.h. */
#include "chains.h"

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
            memcpy(W + i * (n + m), A, n * sizeof(double));
            memcpy(ends + i * s.c, p->A_left + (e * m + i) * d, d * sizeof(double));
            memcpy(ends + i * s.c + d, A + n, d * sizeof(double));
        }
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

EXPORTED void chains_eliminate(part_t *p, const double *growth)
{
    sizes_t s = sizes(p);
    p->singular = p->levels = 0;
    p->segments = p->elements;
    p->level[INDEX] = 0;
    p->level[NUMBERS] = s.n ? p->elements * (s.m * s.m + s.n * s.c) : 0;
    memset(p->frozen, 0, p->elements + p->chains);
    elements(p);
    while (merge_round(p, *growth))
        ;
    basis(p);
}
