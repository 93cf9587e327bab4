/* Symmetric indefinite matrices whose rows come in groups, group after group of a chain, and a last
   group that any may touch: LDLᵀ by one dense front a group; see solvers/chains/fronts.py.

   A front holds what the one before leaves, its own rows, and the later rows that they touch.  Its
   pivots are rows of 1 x 1 or 2 x 2 that bound the growth of an error by 1 / STRICT (Duff and Reid, ACM
   Trans. Math. Softw. 9, 1983); rows without one wait for the next front.  Where more would wait than are
   handed on anyway, as on singular arcs, the best pivots are taken that bound it by 1 / LOOSE.  The signs of the
   pivots are the inertia (Sylvester). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

#define STRICT 0.1
#define LOOSE 1e-8
#define NOISE 1e-14 /* of the largest entry that the row has in the matrix: what is left if rows are dependent */
#define WIDEST 2048    /* rows of a front that no rows wait in */
#define MOST_ROWS 8192 /* and with them */

enum { FINE, SINGULAR, NOT_FINITE, NO_MEMORY };

/* A front that was factorised: `pivots` of its `size` rows, where they and their factor begin. */
typedef struct {
    int64_t size, pivots, rows, numbers;
} front_t;

typedef struct {
    int64_t n, groups, entries;             /* rows, groups without the last one */
    int32_t *rows_of, *columns;             /* the matrix: entries of one triangle */
    double *values;
    const uint8_t *last;                    /* (groups) of its chain */
    int64_t *own_at, *rest_at, *entry_at;   /* (groups + 2) */
    int32_t *own, *rest, *to;               /* rows; where a later one stands in the next front */
    int32_t *entry, *place;                 /* entries of a front, and where they stand in it */
    front_t *front;                         /* (groups + 1) */
    int64_t most_rows, most_numbers, most_left, widest;
    int32_t *rows;                          /* of the fronts, pivots first */
    double *numbers;                        /* of a pivot: inverse, the next beside it, row of the factor */
    double *work, *left, *vector;           /* a front; what the ends of chains and the last front leave */
    double *size;                           /* (n) largest entry of a row of the matrix */
} fronts_t;

static void *grown(void *old, int64_t *most, int64_t wanted, size_t size)
{
    if (old && wanted <= *most)
        return old;
    *most = wanted + wanted / 2 + 64;
    void *more = realloc(old, *most * size);
    if (!more)
        free(old);
    return more;
}

EXPORTED void fronts_free(fronts_t *f)
{
    void *all[] = {f->rows_of, f->columns, f->values, (void *)f->last, f->own_at, f->rest_at,
                   f->entry_at, f->own, f->rest, f->to, f->entry, f->place, f->front, f->rows,
                   f->numbers, f->work, f->left, f->vector, f->size};
    for (size_t k = 0; k < sizeof all / sizeof *all; k++)
        free(all[k]);
    free(f);
}

/* Numbers `count` items by the group that `of` tells: where each group begins, and the items. */
static void sort_groups(int64_t count, int64_t groups, const int32_t *of, int64_t *at, int32_t *items)
{
    memset(at, 0, (groups + 2) * sizeof *at);
    for (int64_t i = 0; i < count; i++)
        at[of[i] + 1]++;
    for (int64_t g = 0; g <= groups; g++)
        at[g + 1] += at[g];
    for (int64_t i = 0; i < count; i++)
        items[at[of[i]]++] = (int32_t)i;
    memmove(at + 1, at, (groups + 1) * sizeof *at);
    at[0] = 0;
}

/* The rows of every front and the places of its entries; 0 if a chain touches another one. */
static int places(fronts_t *f, const int32_t *group, int32_t *local, int32_t *seen)
{
    int64_t most = 0;
    for (int64_t i = 0; i < f->n; i++)
        seen[i] = -1;
    f->rest_at[0] = 0;
    for (int64_t g = 0; g <= f->groups; g++) {
        int64_t own = f->own_at[g + 1] - f->own_at[g], end = f->rest_at[g];
        int chained = g > 0 && g < f->groups && !f->last[g - 1];
        for (int64_t k = 0; k < own; k++) {
            int32_t row = f->own[f->own_at[g] + k];
            local[row] = (int32_t)k;
            seen[row] = (int32_t)g;
        }
        int64_t before = chained ? f->rest_at[g - 1] : end, carried = end - before;
        int64_t touched = f->entry_at[g + 1] - f->entry_at[g];
        f->rest = grown(f->rest, &most, end + carried + 2 * touched, sizeof *f->rest);
        if (!f->rest)
            return 0;
        for (int64_t k = -carried; k < 2 * touched; k++) {
            int64_t e = k < 0 ? 0 : f->entry[f->entry_at[g] + k / 2];
            int32_t row = k < 0 ? f->rest[before + carried + k] : k % 2 ? f->columns[e] : f->rows_of[e];
            if (seen[row] == g)
                continue;
            seen[row] = (int32_t)g;
            local[row] = (int32_t)(own + end - f->rest_at[g]);
            f->rest[end++] = row;
        }
        if (g == f->groups && end > f->rest_at[g])
            return 0;
        f->rest_at[g + 1] = end;
        if (own + end - f->rest_at[g] > WIDEST)
            return 0;
        for (int64_t k = f->entry_at[g]; k < f->entry_at[g + 1]; k++) {
            int32_t a = local[f->rows_of[f->entry[k]]], b = local[f->columns[f->entry[k]]];
            f->place[k] = a < b ? a * WIDEST + b : b * WIDEST + a;
        }
    }
    f->to = malloc((f->rest_at[f->groups + 1] + 1) * sizeof *f->to);
    if (!f->to)
        return 0;
    for (int64_t g = 0; g < f->groups; g++) { /* an own row stands where `own` has it, others later */
        int64_t next = f->last[g] ? f->groups : g + 1, own = f->own_at[next + 1] - f->own_at[next];
        for (int64_t k = 0; k < own; k++)
            local[f->own[f->own_at[next] + k]] = (int32_t)k;
        for (int64_t k = f->rest_at[next]; k < f->rest_at[next + 1]; k++)
            local[f->rest[k]] = (int32_t)(own + k - f->rest_at[next]);
        for (int64_t k = f->rest_at[g]; k < f->rest_at[g + 1]; k++) {
            int32_t row = f->rest[k];
            if (f->last[g] && group[row] != f->groups)
                return 0;
            f->to[k] = local[row];
        }
    }
    return 1;
}

/* The fronts of a pattern, or nothing if it has not the shape.  `rows`, `columns` are those of
   the entries of one triangle, `group` (n) that of every row, `last` (groups) the ends of chains. */
EXPORTED fronts_t *fronts_new(int64_t n, int64_t groups, int64_t entries, const int64_t *rows,
                              const int64_t *columns, const int32_t *group, const uint8_t *last)
{
    fronts_t *f = calloc(1, sizeof *f);
    if (!f)
        return 0;
    f->n = n;
    f->groups = groups;
    f->entries = entries;
    f->rows_of = malloc((entries + 1) * sizeof *f->rows_of);
    f->columns = malloc((entries + 1) * sizeof *f->columns);
    f->values = malloc((entries + 1) * sizeof *f->values);
    f->vector = malloc(4 * n * sizeof *f->vector + 8);
    f->size = malloc((n + 1) * sizeof *f->size);
    uint8_t *ends = malloc(groups + 1);
    f->last = ends;
    f->own_at = malloc((groups + 2) * sizeof *f->own_at);
    f->rest_at = malloc((groups + 2) * sizeof *f->rest_at);
    f->entry_at = malloc((groups + 2) * sizeof *f->entry_at);
    f->own = malloc((n + 1) * sizeof *f->own);
    f->entry = malloc((entries + 1) * sizeof *f->entry);
    f->place = malloc((entries + 1) * sizeof *f->place);
    f->front = calloc(groups + 1, sizeof *f->front);
    int32_t *of = malloc((entries + 1) * sizeof *of);
    int32_t *local = malloc((n + 1) * sizeof *local), *seen = malloc((n + 1) * sizeof *seen);
    int good = f->rows_of && f->columns && f->values && f->vector && f->size && ends && f->own_at && f->rest_at &&
               f->entry_at && f->own && f->entry && f->place && f->front && of && local && seen;
    if (good) {
        memcpy(ends, last, groups);
        for (int64_t k = 0; k < entries; k++) {
            int64_t i = rows[k], j = columns[k];
            f->rows_of[k] = (int32_t)i;
            f->columns[k] = (int32_t)j;
            of[k] = group[i] < group[j] ? group[i] : group[j];
        }
        sort_groups(n, groups, group, f->own_at, f->own);
        sort_groups(entries, groups, of, f->entry_at, f->entry);
        good = places(f, group, local, seen);
    }
    free(of);
    free(local);
    free(seen);
    if (good)
        return f;
    fronts_free(f);
    return 0;
}

/* ---- numbers ---------------------------------------------------------------------------------- */

static inline double largest(const double *row, int64_t width)
{
    double most = 0.0;
#pragma omp simd reduction(max : most)
    for (int64_t j = 0; j < width; j++)
        most = fabs(row[j]) > most ? fabs(row[j]) : most;
    return most;
}

static inline int64_t place_of_largest(const double *row, int64_t width)
{
    double most = largest(row, width);
    for (int64_t j = 0; most > 0.0 && j < width; j++)
        if (fabs(row[j]) == most)
            return j;
    return -1;
}

/* How little errors grow, at most 1, by row k as a pivot of its own (then `other` is -1) or, if that is
   less than `enough`, with another one; 0 if what there is of it is not more than `noise`. */
static inline double quality(double *F, int64_t width, int64_t full, int64_t k, double enough,
                             double noise, int64_t *other)
{
    double *row = F + k * width, a = row[k], best = 0.0;
    row[k] = 0.0;
    double beside = largest(row, width);
    int64_t r = -1;
    *other = -1;
    if (fabs(a) > noise)
        best = beside <= fabs(a) ? 1.0 : fabs(a) / beside;
    if (!(best >= enough) && beside > 0.0 && (r = place_of_largest(row, full)) >= 0 &&
        fabs(row[r]) > noise) {
        double *next = F + r * width, b = next[r], c = row[r];
        row[r] = next[r] = next[k] = 0.0;
        double g = largest(row, width), h = largest(next, width);
        row[r] = next[k] = c;
        next[r] = b;
        double A = fabs(a / c), B = fabs(b / c), det = fabs((a / c) * b - c); /* divided by |c| */
        double one = B * g + h, two = g + A * h, most = one > two ? one : two;
        double found = det > 0.0 ? (most <= det ? 1.0 : det / most) : 0.0;
        if (found > best) {
            best = found;
            *other = r;
        }
    }
    row[k] = a;
    return best;
}

/* Eliminate row k of those that are left. */
static inline double single(double *F, int64_t width, int64_t k, int64_t left, const int32_t *active)
{
    double *u = F + k * width, inverse = 1.0 / u[k];
    u[k] = 0.0;
    for (int64_t t = 0; t < left; t++) {
        double factor = u[active[t]] * inverse, *row = F + active[t] * width;
        row[k] = 0.0; /* whatever rounding has made of it: no eliminated column may be taken for a pivot's */
        if (factor == 0.0)
            continue;
#pragma omp simd
        for (int64_t j = 0; j < width; j++)
            row[j] -= factor * u[j];
    }
    for (int64_t j = 0; j < width; j++)
        u[j] *= inverse;
    return inverse;
}

/* Eliminate rows k and r with the inverse ((A, C), (C, B)). */
static inline void couple(double *F, int64_t width, int64_t k, int64_t r, int64_t left,
                          const int32_t *active, double A, double B, double C)
{
    double *u = F + k * width, *w = F + r * width;
    u[k] = u[r] = w[k] = w[r] = 0.0;
    for (int64_t t = 0; t < left; t++) {
        double x = u[active[t]], y = w[active[t]], *row = F + active[t] * width;
        row[k] = row[r] = 0.0;
        if (x == 0.0 && y == 0.0)
            continue;
        double first = A * x + C * y, second = C * x + B * y;
#pragma omp simd
        for (int64_t j = 0; j < width; j++)
            row[j] -= first * u[j] + second * w[j];
    }
    for (int64_t j = 0; j < width; j++) {
        double x = u[j];
        u[j] = A * x + C * w[j];
        w[j] = C * x + B * w[j];
    }
}

static inline int64_t removed(int32_t *list, int64_t count, int64_t what)
{
    int64_t to = 0;
    for (int64_t t = 0; t < count; t++)
        if (list[t] != what)
            list[to++] = list[t];
    return to;
}

/* Eliminate what can be of the first `full` of n rows, `width` numbers apart, of a whole symmetric matrix;
   returns how many.  `order` are the pivots and then the others; in place of a pivot's row is that of the
   factor; `inverse` and `beside` (n) are those of the pivots. */
DISPATCHED static int64_t eliminate(double *F, int64_t n, int64_t width, int64_t full, int32_t *order,
                                    double *inverse, double *beside, const double *noise,
                                    int64_t most_waiting,
                                    int64_t *negative)
{
    int32_t active[n + 1];
    int64_t done = 0, left = n, from = 0; /* where to look first: what found no pivot is asked last */
    for (int64_t i = 0; i < n; i++) {
        active[i] = (int32_t)i;
    }
    while (done < full) {
        int64_t k = -1, r = -1, open = full - done, first = from;
        double best = 0.0;
        for (int64_t t = 0; t < open && best < STRICT; t++) {
            int64_t at = first + t < open ? first + t : first + t - open, other;
            double found = quality(F, width, full, active[at], STRICT, noise[active[at]], &other);
            if (found > best) {
                best = found;
                from = at;
                k = active[at];
                r = other;
            }
        }
        if (best < STRICT && (open <= most_waiting || !(best >= LOOSE)))
            break;
        left = removed(active, left, k);
        order[done] = (int32_t)k;
        beside[done] = 0.0;
        if (r < 0) {
            *negative += F[k * width + k] < 0.0;
            inverse[done++] = single(F, width, k, left, active);
        } else {
            left = removed(active, left, r);
            double a = F[k * width + k], b = F[r * width + r], c = F[k * width + r];
            double det = (a / c) * b - c;
            *negative += det * c < 0.0 ? 1 : a < 0.0 ? 2 : 0;
            order[done + 1] = (int32_t)r;
            inverse[done] = b / c / det;
            inverse[done + 1] = a / c / det;
            beside[done] = -1.0 / det;
            beside[done + 1] = 0.0;
            couple(F, width, k, r, left, active, inverse[done], inverse[done + 1], beside[done]);
            done += 2;
        }
        if (from >= full - done)
            from = 0;
    }
    memcpy(order + done, active, left * sizeof *order);
    return done;
}

/* Add what a front left to the next one: `count` rows of which `waiting` stand there from `offset` on,
   and the others as `to` says, which begin at `own`. */
static void add_left(double *F, int64_t width, int64_t offset, int64_t own, const double *from,
                     int64_t waiting, int64_t count, const int32_t *to)
{
    int32_t at[count + 1];
    for (int64_t a = 0; a < count; a++)
        at[a] = (int32_t)(a < waiting ? offset + a : own + to[a - waiting]);
    for (int64_t a = 0; a < count; a++)
        for (int64_t b = 0; b < count; b++)
            F[at[a] * width + at[b]] += from[a * count + b];
}

/* Factorise: FINE and the number of negative eigenvalues, or what stands against it. */
EXPORTED int64_t fronts_factor(fronts_t *f, const double *values, int64_t *negative)
{
    int64_t rows_end = 0, numbers_end = 0, ends_left = 0, last_left = 0, waiting = 0;
    *negative = 0;
    memcpy(f->values, values, f->entries * sizeof *values);
    memset(f->size, 0, f->n * sizeof *f->size);
    for (int64_t k = 0; k < f->entries; k++) {
        double v = fabs(values[k]), *one = f->size + f->rows_of[k], *other = f->size + f->columns[k];
        *one = v > *one ? v : *one;
        *other = v > *other ? v : *other;
    }
    for (int64_t g = 0; g <= f->groups; g++) {
        int64_t own = f->own_at[g + 1] - f->own_at[g], rest = f->rest_at[g + 1] - f->rest_at[g];
        int chained = g > 0 && g < f->groups && !f->last[g - 1];
        if (g == f->groups) { /* all that wait at the ends of the chains */
            waiting = 0;
            for (int64_t h = 0; h < g; h++)
                waiting += f->last[h] ? f->front[h].size - f->front[h].pivots
                                            - (f->rest_at[h + 1] - f->rest_at[h]) : 0;
        } else if (!chained)
            waiting = 0;
        int64_t n = waiting + own + rest, full = waiting + own, width = (n + 7) / 8 * 8;
        if (width > f->widest) {
            f->widest = width + width / 16 * 8;
            free(f->work);
            f->work = aligned_alloc(64, (f->widest * f->widest + 3 * f->widest) * sizeof *f->work);
            if (!f->work) {
                f->widest = 0;
                return NO_MEMORY;
            }
        }
        if (n > MOST_ROWS)
            return NO_MEMORY;
        f->rows = grown(f->rows, &f->most_rows, rows_end + n, sizeof *f->rows);
        f->numbers = grown(f->numbers, &f->most_numbers, numbers_end + full * (n + 2), sizeof(double));
        if (!f->rows || !f->numbers) {
            f->most_rows = f->rows ? f->most_rows : 0;
            f->most_numbers = f->numbers ? f->most_numbers : 0;
            return NO_MEMORY;
        }
        double *F = f->work, *inverse = F + n * width, *beside = inverse + width, *noise = beside + width;
        int32_t *rows = f->rows + rows_end, order[n + 1], kept[n + 1];
        memset(F, 0, n * width * sizeof *F);
        memcpy(rows + waiting, f->own + f->own_at[g], own * sizeof *rows);
        memcpy(rows + full, f->rest + f->rest_at[g], rest * sizeof *rows);
        for (int64_t k = f->entry_at[g]; k < f->entry_at[g + 1]; k++) {
            int64_t a = f->place[k] / WIDEST + waiting, b = f->place[k] % WIDEST + waiting;
            F[a * width + b] += values[f->entry[k]];
        }
        for (int64_t a = waiting; a < n; a++)
            for (int64_t b = a + 1; b < n; b++)
                F[b * width + a] = F[a * width + b];
        int64_t offset = 0, from = chained ? last_left : 0;
        for (int64_t h = g < f->groups ? (chained ? g - 1 : g) : 0; h < g; h++) {
            if (g == f->groups && !f->last[h])
                continue;
            front_t last = f->front[h];
            int64_t count = last.size - last.pivots, wait = count - (f->rest_at[h + 1] - f->rest_at[h]);
            memcpy(rows + offset, f->rows + last.rows + last.pivots, wait * sizeof *rows);
            add_left(F, width, offset, waiting, f->left + from, wait, count, f->to + f->rest_at[h]);
            offset += wait;
            from += count * count;
        }
        for (int64_t i = 0; i < n; i++)
            noise[i] = NOISE * f->size[rows[i]];
        int64_t pivots = eliminate(F, n, width, full, order, inverse, beside, noise,
                                   g < f->groups ? rest : 0, negative);
        f->front[g] = (front_t){n, pivots, rows_end, numbers_end};
        memcpy(kept, rows, n * sizeof *rows);
        for (int64_t t = 0; t < n; t++)
            rows[t] = kept[order[t]];
        double *out = f->numbers + numbers_end;
        for (int64_t t = 0; t < pivots; t++) {
            const double *u = F + order[t] * width;
            *out++ = inverse[t];
            *out++ = beside[t];
            for (int64_t j = t + 1; j < n; j++)
                *out++ = u[order[j]];
        }
        numbers_end = out - f->numbers;
        rows_end += n;
        waiting = full - pivots;
        if (g < f->groups) { /* what the next front takes may be overwritten, what the last one takes not */
            int64_t count = n - pivots;
            f->left = grown(f->left, &f->most_left, ends_left + count * count, sizeof *f->left);
            if (!f->left) {
                f->most_left = 0;
                return NO_MEMORY;
            }
            double *to = f->left + ends_left;
            for (int64_t a = pivots; a < n; a++)
                for (int64_t b = pivots; b < n; b++)
                    *to++ = F[order[a] * width + order[b]];
            last_left = ends_left;
            if (f->last[g])
                ends_left += count * count;
        }
        if (g == f->groups && pivots < full) {
            for (int64_t a = pivots; a < full; a++)
                for (int64_t b = pivots; b < full; b++)
                    if (!isfinite(F[order[a] * width + order[b]]))
                        return NOT_FINITE;
            return SINGULAR;
        }
    }
    return FINE;
}

/* x becomes the solution of the factorised system. */
DISPATCHED static void substitute(const fronts_t *f, double *x)
{
    double *v = f->work;
    for (int64_t g = 0; g <= f->groups; g++) {
        front_t front = f->front[g];
        const int32_t *rows = f->rows + front.rows;
        const double *in = f->numbers + front.numbers;
        int64_t n = front.size;
        for (int64_t i = 0; i < n; i++)
            v[i] = x[rows[i]];
        double above = 0.0, beside = 0.0; /* of the pivot before: its right-hand side */
        for (int64_t t = 0; t < front.pivots; t++) {
            double pivot = v[t], inverse = in[0], next = in[1];
            double *below = v + t + 1;
            in += 2;
#pragma omp simd
            for (int64_t j = 0; j < n - t - 1; j++)
                below[j] -= in[j] * pivot;
            in += n - t - 1;
            v[t] = inverse * pivot + beside * above;
            if (beside != 0.0)
                v[t - 1] += beside * pivot;
            above = pivot;
            beside = next;
        }
        for (int64_t i = 0; i < n; i++)
            x[rows[i]] = v[i];
    }
    for (int64_t g = f->groups; g >= 0; g--) {
        front_t front = f->front[g];
        const int32_t *rows = f->rows + front.rows;
        int64_t n = front.size, p = front.pivots;
        const double *in = f->numbers + front.numbers + p * (n + 2) - p * (p + 1) / 2;
        for (int64_t i = 0; i < n; i++)
            v[i] = x[rows[i]];
        for (int64_t t = p - 1; t >= 0; t--) {
            int64_t length = n - t - 1;
            double sum = 0.0;
            const double *below = v + t + 1;
            in -= length;
#pragma omp simd reduction(+ : sum)
            for (int64_t j = 0; j < length; j++)
                sum += in[j] * below[j];
            in -= 2;
            v[t] -= sum;
        }
        for (int64_t i = 0; i < p; i++)
            x[rows[i]] = v[i];
    }
}

/* left = rhs − A x; returns the largest of it. */
static double residual(const fronts_t *f, const double *rhs, const double *x, double *left)
{
    double most = 0.0;
    memcpy(left, rhs, f->n * sizeof *left);
    for (int64_t k = 0; k < f->entries;) { /* mostly column by column */
        int64_t j = f->columns[k];
        double sum = 0.0, pivot = x[j];
        for (; k < f->entries && f->columns[k] == j; k++) {
            int64_t i = f->rows_of[k];
            sum += f->values[k] * x[i];
            if (i != j)
                left[i] -= f->values[k] * pivot;
        }
        left[j] -= sum;
    }
    for (int64_t i = 0; i < f->n; i++) {
        if (!isfinite(left[i]))
            return INFINITY;
        most = fabs(left[i]) > most ? fabs(left[i]) : most;
    }
    return most;
}

static double largest_of(int64_t n, const double *x)
{
    double most = 0.0;
    for (int64_t i = 0; i < n; i++)
        most = fabs(x[i]) > most ? fabs(x[i]) : most;
    return most;
}

/* Solve and refine in place, at most `steps` times, until the residual relative to rhs and x is
   `accurate`; returns the least that was found. */
EXPORTED double fronts_solve(fronts_t *f, double *rhs, double accurate, int64_t steps)
{
    int64_t n = f->n;
    double *x = f->vector, *left = x + n, *best = left + n, *more = best + n, least = INFINITY;
    double size = largest_of(n, rhs);
    memcpy(x, rhs, n * sizeof *x);
    memcpy(best, rhs, n * sizeof *x);
    substitute(f, x);
    for (int64_t k = 0; k < steps; k++) {
        double off = residual(f, rhs, x, left), of = largest_of(n, x);
        double scale = size + (of < 1e6 * size ? of : 1e6 * size), ratio = off > 0.0 ? off / scale : 0.0;
        if (!(ratio < least))
            break;
        memcpy(best, x, n * sizeof *x);
        least = ratio;
        if (ratio <= accurate)
            break;
        memcpy(more, left, n * sizeof *x);
        substitute(f, more);
        for (int64_t i = 0; i < n; i++)
            x[i] += more[i];
    }
    memcpy(rhs, best, n * sizeof *x);
    return least;
}
