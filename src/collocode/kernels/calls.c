/* Lists of calls of other kernels, one list beside the other in several threads: Python's lock is let go and taken
   once for all of them.  Threads stay: they look for more for a moment, then sleep until they are woken. */
#include "kernels.h"

#define ARGUMENTS 9

/* Kernels take numbers and addresses only here, all of one size. */
typedef int64_t word;
typedef int64_t (*kernel_t)(word, word, word, word, word, word, word, word, word);
typedef struct {
    kernel_t kernel;
    word argument[ARGUMENTS];
} call_t;

static void run(const call_t *call, int64_t *results, int64_t from, int64_t to)
{
    for (int64_t k = from; k < to; k++) {
        const word *a = call[k].argument;
        results[k] = call[k].kernel(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8]);
    }
}

#if defined(__unix__) || defined(__APPLE__)

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#define MOST 64
#define PATIENCE 200000 /* nanoseconds */

static struct {
    pthread_mutex_t busy, lock; /* of whoever has lists to run; of those who sleep */
    pthread_cond_t more;
    int threads, sleeping;
    atomic_int wanted, inside; /* threads that may take lists of a round, those that are at it */
    atomic_long round, open, next;
    int64_t lists;
    const int64_t *starts;
    const call_t *calls;
    int64_t *results;
} pool = {.busy = PTHREAD_MUTEX_INITIALIZER, .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

static void rest(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

/* Lists are taken one by one, by whoever is free. */
static void take(void)
{
    long k;
    while ((k = atomic_fetch_add(&pool.next, 1)) < pool.lists)
        run(pool.calls, pool.results, pool.starts[k], pool.starts[k + 1]);
}

/* The next round after `seen`. */
static long wait_for_more(long seen)
{
    int64_t end = now() + PATIENCE;
    for (int k = 1; atomic_load(&pool.round) == seen; k++) {
        rest();
        if (k % 64 || now() < end)
            continue;
        pthread_mutex_lock(&pool.lock);
        pool.sleeping++;
        while (atomic_load(&pool.round) == seen)
            pthread_cond_wait(&pool.more, &pool.lock);
        pool.sleeping--;
        pthread_mutex_unlock(&pool.lock);
    }
    return atomic_load(&pool.round);
}

static void *work(void *number)
{
    long seen = 0;
    for (;;) {
        seen = wait_for_more(seen);
        /* who begins a round waits for those who are inside, and who comes late finds it closed */
        atomic_fetch_add(&pool.inside, 1);
        if (atomic_load(&pool.open) == seen && (int64_t)(intptr_t)number < atomic_load(&pool.wanted))
            take();
        atomic_fetch_sub(&pool.inside, 1);
    }
    return 0;
}

static void forget(void) /* in a process that was forked there are no threads */
{
    pthread_mutex_init(&pool.busy, 0);
    pthread_mutex_init(&pool.lock, 0);
    pthread_cond_init(&pool.more, 0);
    pool.threads = pool.sleeping = 0;
    atomic_store(&pool.inside, 0);
}

static void begin_threads(int64_t wanted)
{
    static int told = 0;
    if (!told)
        told = !pthread_atfork(0, 0, forget);
    while (told && pool.threads < wanted) {
        pthread_t made;
        pthread_attr_t detached;
        pthread_attr_init(&detached);
        pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
        int failed = pthread_create(&made, &detached, work, (void *)(intptr_t)pool.threads);
        pthread_attr_destroy(&detached);
        if (failed)
            return;
        pool.threads++;
    }
}

/* Let other threads begin; 0 if there are none, or somebody else has them. */
static int begin(int64_t helpers, int64_t lists, const int64_t *starts, const call_t *calls, int64_t *results)
{
    helpers = helpers < lists ? helpers : lists;
    if (helpers > MOST)
        helpers = MOST;
    if (helpers < 1 || pthread_mutex_trylock(&pool.busy))
        return 0;
    begin_threads(helpers);
    pool.lists = lists;
    pool.starts = starts;
    pool.calls = calls;
    pool.results = results;
    atomic_store(&pool.wanted, (int)helpers);
    atomic_store(&pool.next, 0);
    pthread_mutex_lock(&pool.lock);
    atomic_store(&pool.open, atomic_load(&pool.round) + 1);
    atomic_fetch_add(&pool.round, 1);
    if (pool.sleeping)
        pthread_cond_broadcast(&pool.more);
    pthread_mutex_unlock(&pool.lock);
    return 1;
}

/* Do what is left, and wait for the others. */
static void end(void)
{
    take();
    atomic_store(&pool.open, 0);
    for (int k = 1; atomic_load(&pool.inside); k++)
        if (k % 4096)
            rest();
        else
            sched_yield();
    pthread_mutex_unlock(&pool.busy);
}

#else

static int begin(int64_t helpers, int64_t lists, const int64_t *starts, const call_t *calls, int64_t *results)
{
    (void)helpers, (void)lists, (void)starts, (void)calls, (void)results;
    return 0;
}

static void end(void) {}

#endif

/* Run `lists` of calls in so many threads; those of list k are from starts[k] to starts[k + 1], one after the other. */
EXPORTED void run_calls(int64_t threads, int64_t lists, const int64_t *starts, const call_t *calls, int64_t *results)
{
    if (begin((threads < lists ? threads : lists) - 1, lists, starts, calls, results))
        end();
    else
        run(calls, results, 0, starts[lists]);
}

/* The same in two steps, between which whoever calls does something else: returns what `finish_calls` is told as
   `begun`, by the same thread. */
EXPORTED int64_t start_calls(int64_t threads, int64_t lists, const int64_t *starts, const call_t *calls,
                             int64_t *results)
{
    return begin(threads - 1, lists, starts, calls, results);
}

EXPORTED void finish_calls(int64_t begun, int64_t lists, const int64_t *starts, const call_t *calls,
                           int64_t *results)
{
    if (begun)
        end();
    else
        run(calls, results, 0, starts[lists]);
}
