/* Derivatives of a network by its weights and by its points' unknowns: what transcription/chain_rule.py,
   outer_products.py and hessian_border.py do, a few points at a time, so that all of it stays in the cache.

   Of every layer z = W a + b, a' = φ'(z) and a'' = φ''(z).  Lanes are the rows of the points, and X of a
   layer is (units, lanes):

       first:   X below = a' ∘ (Wᵀ X),   by a weight  X_j a_i
       second:  Z = W T,  T above = a' ∘ Z,  G below = a' ∘ (Wᵀ G),
                X below = a' ∘ (Wᵀ X) + a'' ∘ Z ∘ (Wᵀ G),   by a weight  X_j a_i + G_j T_i. */
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

#define LANES 128

/* As transcription/compiled.py fills it in. */
typedef struct {
    int64_t depth, points, rows, unknowns;
    int64_t before;                     /* points among all nonzeros that come before these */
    int64_t moves;                      /* whether what moves the inputs counts: second derivatives */
    int64_t count;                      /* of kinds */
    const int64_t *sizes;               /* (depth + 1) */
    const double *theta;                /* layer by layer W by columns, then b */
    const double *const *inputs;        /* (depth) of (points, columns + 1), with a one for b */
    const double *const *slopes;        /* (depth - 1) of (points, units): a' */
    const double *const *bends;         /* a'', absent where it is zero */
    const double *scale;                /* (inputs) of the network */
    const double *by_unknowns;          /* (points, inputs, unknowns) of its inputs */
    const double *top;                  /* (points, rows, outputs) X of the last layer, or absent */
    const double *gradient;             /* (points, outputs) G of the last layer, or absent */
    double *own;                        /* (points, rows, unknowns): what goes by the inputs is added */
    double *down;                       /* (points, inputs) G of the inputs */
    double *out;                        /* nonzeros by weights */
    const double *factors;              /* (points, rows) of these, or absent */
    const int64_t *places;              /* layer by layer (columns + 1, units): where a weight's begin, or -1 */
    const int64_t *kinds;               /* likewise, which rows of a point it has */
    const int64_t *lengths, *members;   /* (count), (count, rows) */
} network_t;

/* Room for some points; tables of `full` numbers. */
typedef struct {
    int64_t full;
    double *X, *Y, *G, *D, *a, *t, *x, *g, *f, *turned, *T, *Z;
} room_t;

DISPATCHED static void multiply(int64_t width, const double *a, const double *b, double *out)
{
    for (int64_t i = 0; i < width; i++)
        out[i] = a[i] * b[i];
}

DISPATCHED static void multiply_both(int64_t width, const double *a, const double *b, const double *c,
                                     const double *d, double *out)
{
    for (int64_t i = 0; i < width; i++)
        out[i] = a[i] * b[i] + c[i] * d[i];
}

/* out[p, k] = in[p] */
static void repeat(int64_t points, int64_t apart, int64_t times, const double *in, double *out)
{
    for (int64_t p = 0; p < points; p++)
        for (int64_t k = 0; k < times; k++)
            out[p * times + k] = in[p * apart];
}

/* out[p, k] = in[p, members[k]] */
static const double *some(int64_t points, int64_t rows, int64_t length, const int64_t *members,
                          const double *in, double *out)
{
    if (length == rows)
        return in;
    for (int64_t p = 0; p < points; p++)
        for (int64_t k = 0; k < length; k++)
            out[p * length + k] = in[p * rows + members[k]];
    return out;
}

/* (points, rows, units) as (units, lanes) */
static void load(int64_t lanes, int64_t units, const double *from, double *X)
{
    for (int64_t j = 0; j < units; j++)
        for (int64_t q = 0; q < lanes; q++)
            X[j * lanes + q] = from[q * units + j];
}

/* X[j, p, k] *= by[p, j] */
static void stretch(int64_t units, int64_t points, int64_t rows, const double *by, double *X)
{
    for (int64_t j = 0; j < units; j++)
        for (int64_t p = 0; p < points; p++, X += rows)
            for (int64_t k = 0; k < rows; k++)
                X[k] *= by[p * units + j];
}

/* out[j, lane] = sum over i of M[j, i] in[i, lane] */
static void product(int64_t rows, int64_t terms, int64_t lanes, const double *M, double *in, double *out)
{
    const double *from[terms];
    double *to[rows];
    for (int64_t i = 0; i < terms; i++)
        from[i] = in + i * lanes;
    for (int64_t j = 0; j < rows; j++)
        to[j] = out + j * lanes;
    combine(rows, terms, lanes, M, terms, from, to, 0);
}

/* Nonzeros by the weights of a layer, at `points` from `at` on; X and T may be absent. */
static void put(const network_t *n, const room_t *r, int64_t layer, int64_t offset, int64_t at,
                int64_t points, const double *X, const double *T)
{
    int64_t columns = n->sizes[layer - 1], units = n->sizes[layer], lanes = points * n->rows;
    const int64_t *places = n->places + offset, *kinds = n->kinds + offset;
    const double *inputs = n->inputs[layer - 1] + at * (columns + 1), *t[columns + 1];
    for (int64_t kind = 0; kind < n->count; kind++) {
        int64_t length = n->lengths[kind], width = points * length, used = 0;
        const int64_t *members = n->members + kind * n->rows;
        for (int64_t k = 0; k < (columns + 1) * units; k++)
            used |= places[k] >= 0 && kinds[k] == kind;
        if (!used)
            continue;
        for (int64_t i = 0; i <= columns; i++) {
            repeat(points, columns + 1, length, inputs + i, r->a + i * lanes);
            t[i] = T && i < columns ? some(points, n->rows, length, members, T + i * lanes, r->t + i * lanes) : NULL;
        }
        const double *f = n->factors;
        if (f)
            f = some(points, n->rows, length, members, f + at * n->rows, r->f);
        for (int64_t j = 0; j < units; j++) {
            const double *x = X ? some(points, n->rows, length, members, X + j * lanes, r->x) : NULL;
            if (T)
                repeat(points, 1, length, r->G + j * points, r->g);
            if (f && T)
                multiply(width, f, r->g, r->g);
            if (f && x) {
                multiply(width, f, x, r->x);
                x = r->x;
            }
            for (int64_t i = 0; i <= columns; i++) {
                int64_t place = places[i * units + j];
                if (place < 0 || kinds[i * units + j] != kind)
                    continue;
                double *out = n->out + place + (n->before + at) * length;
                if (x && t[i])
                    multiply_both(width, r->a + i * lanes, x, r->g, t[i], out);
                else if (x)
                    multiply(width, r->a + i * lanes, x, out);
                else if (t[i])
                    multiply(width, r->g, t[i], out);
                else
                    memset(out, 0, width * sizeof(double));
            }
        }
    }
}

/* T and Z of all layers but the last: derivatives of a and z by the unknowns. */
static void push(const network_t *n, const room_t *r, int64_t at, int64_t points)
{
    const int64_t *s = n->sizes, rows = n->rows, lanes = points * rows;
    const double *theta = n->theta, *by = n->by_unknowns + at * s[0] * rows;
    for (int64_t i = 0; i < s[0]; i++)
        for (int64_t p = 0; p < points; p++)
            for (int64_t k = 0; k < rows; k++)
                r->T[i * lanes + p * rows + k] = n->scale[i] * by[(p * s[0] + i) * rows + k];
    for (int64_t l = 1; l < n->depth; l++) {
        double *T = r->T + l * r->full, *Z = r->Z + l * r->full;
        for (int64_t j = 0; j < s[l]; j++)
            for (int64_t i = 0; i < s[l - 1]; i++)
                r->turned[j * s[l - 1] + i] = theta[i * s[l] + j];
        product(s[l], s[l - 1], lanes, r->turned, T - r->full, Z);
        memcpy(T, Z, s[l] * lanes * sizeof(double));
        stretch(s[l], points, rows, n->slopes[l - 1] + at * s[l], T);
        theta += (s[l - 1] + 1) * s[l];
    }
}

/* X and G of the layer below `layer` from Wᵀ X (in Y if there is any) and Wᵀ G (in D); whether there is X. */
static int bend(const network_t *n, const room_t *r, int64_t layer, int64_t at, int64_t points, int any)
{
    int64_t units = n->sizes[layer - 1], rows = n->rows;
    const double *slopes = n->slopes[layer - 2] + at * units, *bends = n->bends[layer - 2];
    if (any)
        stretch(units, points, rows, slopes, r->Y);
    if (!n->gradient)
        return any;
    if (bends && n->moves) {
        double *Y = r->Y;
        const double *Z = r->Z + (layer - 1) * r->full, *D = r->D;
        bends += at * units;
        for (int64_t j = 0; j < units; j++)
            for (int64_t p = 0; p < points; p++, D++) {
                double factor = bends[p * units + j] * *D;
                for (int64_t k = 0; k < rows; k++, Y++, Z++)
                    *Y = (any ? *Y : 0.0) + factor * *Z;
            }
        any = 1;
    }
    stretch(units, points, 1, slopes, r->D);
    return any;
}

/* What goes by the network's inputs: X in Y, if there is any, and G in D. */
static void arrive(const network_t *n, const room_t *r, int64_t at, int64_t points, int any)
{
    int64_t inputs = n->sizes[0], rows = n->rows, unknowns = n->unknowns;
    for (int64_t i = 0; i < inputs; i++)
        for (int64_t p = 0; p < points; p++) {
            const double *by = n->by_unknowns + ((at + p) * inputs + i) * unknowns;
            double *own = n->own + (at + p) * rows * unknowns;
            for (int64_t k = 0; any && k < rows; k++)
                add_multiple(unknowns, n->scale[i] * r->Y[(i * points + p) * rows + k], by, own + k * unknowns);
            if (n->gradient)
                n->down[(at + p) * inputs + i] = n->scale[i] * r->D[i * points + p];
        }
}

/* All derivatives at some points. */
static void differentiate(const network_t *n, room_t *r, int64_t weights, int64_t at, int64_t points)
{
    const int64_t *s = n->sizes, L = n->depth, lanes = points * n->rows;
    int any = n->top != NULL;
    if (any)
        load(lanes, s[L], n->top + at * n->rows * s[L], r->X);
    if (n->gradient)
        load(points, s[L], n->gradient + at * s[L], r->G);
    if (n->moves)
        push(n, r, at, points);
    for (int64_t l = L; l > 0; l--) {
        weights -= (s[l - 1] + 1) * s[l];
        put(n, r, l, weights, at, points, any ? r->X : NULL, n->moves ? r->T + (l - 1) * r->full : NULL);
        if (any)
            product(s[l - 1], s[l], lanes, n->theta + weights, r->X, r->Y);
        if (n->gradient)
            product(s[l - 1], s[l], points, n->theta + weights, r->G, r->D);
        if (l == 1) {
            arrive(n, r, at, points, any);
            return;
        }
        any = bend(n, r, l, at, points, any);
        double *X = r->X, *G = r->G;
        r->X = r->Y, r->Y = X, r->G = r->D, r->D = G;
    }
}

/* Returns whether there was no memory. */
EXPORTED int64_t layers_differentiate(const network_t *n)
{
    int64_t most = 1, weights = 0, some = n->rows < LANES ? LANES / n->rows : 1;
    for (int64_t l = 0; l <= n->depth; l++) {
        most = n->sizes[l] > most ? n->sizes[l] : most;
        weights += l ? (n->sizes[l - 1] + 1) * n->sizes[l] : 0;
    }
    int64_t lanes = some * n->rows, full = (most + 1) * lanes, tables = n->moves ? 2 * n->depth : 0;
    double *all = malloc(((6 + tables) * full + 3 * lanes + most * most) * sizeof(double));
    if (!all)
        return 1;
    room_t r = {.full = full, .X = all, .Y = all + full, .G = all + 2 * full, .D = all + 3 * full};
    r.a = all + 4 * full, r.t = all + 5 * full, r.T = all + 6 * full, r.Z = r.T + n->depth * full;
    r.x = r.T + tables * full, r.g = r.x + lanes, r.f = r.g + lanes, r.turned = r.f + lanes;
    for (int64_t at = 0; at < n->points; at += some)
        differentiate(n, &r, weights, at, at + some < n->points ? some : n->points - at);
    free(all);
    return 0;
}
