/* Right-hand sides: down to the columns that are left of each chain, and up again. */
#include "chains.h"

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
