/* The Hessian on the basis that eliminate.c makes. */
#include "chains.h"

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
