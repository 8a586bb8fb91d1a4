// Runs the blocks of a kernel, each a number of warps.
//
// Threads that part at a branch go on from the lowest instruction first, which brings them together again where
// their ways meet. A warp runs until it is done, waits at a barrier, or lets others go on.
#include "ptx.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORKERS 16
// Turns of a block after which it never ends.
#define PATIENCE 10000000

static const struct kernel *last;

void forget_last_kernel(void) { last = NULL; }

static uint32_t guarded(struct warp *w, const struct instruction *i, uint32_t mask) {
    if (i->guard < 0) return mask;
    const uint32_t *truth = w->registers + (size_t)i->guard * LANES;
    uint32_t is_set = 0;
    for (int l = 0; l < LANES; l++) is_set |= (uint32_t)(truth[l] != 0) << l;
    return mask & (i->is_not ? ~is_set : is_set);
}

// Puts threads where they belong, the lowest instruction first.
static void put(struct warp *w, int at, uint32_t mask) {
    int p = 0;
    while (p < w->count && w->groups[p].at < at) p++;
    if (p < w->count && w->groups[p].at == at) {
        w->groups[p].mask |= mask;
        return;
    }
    memmove(&w->groups[p + 1], &w->groups[p], (w->count - p) * sizeof *w->groups);
    w->groups[p] = (struct group){at, mask};
    w->count++;
}

// Until the warp is done, waits at a barrier, or lets others go on.
static void run_warp(const struct kernel *k, struct warp *w) {
    while (w->count) {
        struct group group = w->groups[0];
        int limit = w->count > 1 ? w->groups[1].at : k->length;
        memmove(&w->groups[0], &w->groups[1], --w->count * sizeof *w->groups);
        int at = group.at;
        uint32_t mask = group.mask;
        while (mask) {
            if (at >= limit) {
                put(w, at, mask);
                break;
            }
            const struct instruction *i = &k->code[at];
            uint32_t active = guarded(w, i, mask);
            w->counts.instructions++;
            w->counts.threads += __builtin_popcount(active);
            if (i->flow == NEXT || i->flow == YIELD) {
                if (active) i->run(w, i, active);
                at++;
                if (i->flow == YIELD) {
                    put(w, at, mask);
                    return;
                }
            } else if (i->flow == BRANCH) {
                if (active == mask) at = i->target;
                else {
                    at++;
                    if (active) {
                        mask &= ~active;
                        put(w, i->target, active);
                        limit = w->groups[0].at;
                    }
                }
            } else if (i->flow == RETURN) {
                mask &= ~active;
                at++;
            } else {
                put(w, at + 1, mask);
                w->state = WAITS;
                return;
            }
        }
    }
    w->state = DONE;
}

struct launch {
    const struct kernel *kernel;
    const uint32_t *grid, *block;
    uint32_t shared;
    uint64_t next, blocks;
    int is_bad;
    struct counts counts;
};

static void start_warp(const struct kernel *k, struct warp *w, int number, const uint32_t *grid, const uint32_t *block,
                       uint64_t at) {
    uint32_t cube[3] = {at % grid[0], at / grid[0] % grid[1], at / grid[0] / grid[1]};
    uint32_t threads = block[0] * block[1] * block[2], mask = 0;
    for (uint32_t l = 0; l < LANES; l++) {
        uint32_t t = number * LANES + l;
        uint32_t values[] = {t % block[0],
                             t / block[0] % block[1],
                             t / block[0] / block[1],
                             block[0],
                             block[1],
                             block[2],
                             cube[0],
                             cube[1],
                             cube[2],
                             grid[0],
                             grid[1],
                             grid[2],
                             l,
                             number};
        for (int s = 0; s < SPECIALS; s++) w->registers[(size_t)k->special[s] * LANES + l] = values[s];
        if (k->local_size)
            ((uint64_t *)(w->registers + (size_t)k->local_at * LANES))[l] = (uint64_t)(w->local + l * k->local_size);
        if (t < threads) mask |= 1u << l;
    }
    w->count = 0;
    w->state = READY;
    put(w, 0, mask);
}

static void *work(void *of) {
    struct launch *launch = of;
    const struct kernel *k = launch->kernel;
    uint32_t threads = launch->block[0] * launch->block[1] * launch->block[2];
    int count = (threads + LANES - 1) / LANES;
    struct warp *warps = calloc(count, sizeof *warps);
    unsigned char *shared = aligned_alloc(1024, (launch->shared / 1024 + 1) * 1024);
    for (int n = 0; n < count; n++) {
        warps[n].shared = shared;
        warps[n].local = aligned_alloc(64, (size_t)LANES * (k->local_size + 16) / 64 * 64 + 64);
        warps[n].registers = aligned_alloc(64, (size_t)(k->words + 1) * LANES * 4 / 64 * 64 + 64);
        for (int c = 0; c < k->constant_count; c++)
            for (int l = 0; l < LANES; l++) {
                uint32_t *place = warps[n].registers + (size_t)k->constants[c].at * LANES;
                if (k->constants[c].is_wide) ((uint64_t *)place)[l] = k->constants[c].value;
                else place[l] = (uint32_t)k->constants[c].value;
            }
    }
    for (;;) {
        uint64_t at = __atomic_fetch_add(&launch->next, 1, __ATOMIC_RELAXED);
        if (at >= launch->blocks) break;
        // What nobody wrote is no number.
        memset(shared, 0xff, launch->shared);
        for (int n = 0; n < count; n++) start_warp(k, &warps[n], n, launch->grid, launch->block, at);
        for (uint64_t rounds = 0;; rounds++) {
            int done = 0, waiting = 0;
            for (int n = 0; n < count; n++) {
                if (warps[n].state == READY) run_warp(k, &warps[n]);
                done += warps[n].state == DONE;
                waiting += warps[n].state == WAITS;
            }
            if (done == count) break;
            if (done + waiting == count)
                for (int n = 0; n < count; n++)
                    if (warps[n].state == WAITS) warps[n].state = READY;
            if (rounds > PATIENCE) {
                launch->is_bad = 1;
                break;
            }
        }
    }
    for (int n = 0; n < count; n++) {
        const uint64_t *from = (const uint64_t *)&warps[n].counts;
        uint64_t *to = (uint64_t *)&launch->counts;
        for (size_t c = 0; c < sizeof launch->counts / sizeof *to; c++)
            __atomic_fetch_add(&to[c], from[c], __ATOMIC_RELAXED);
        free(warps[n].registers);
        free(warps[n].local);
    }
    free(warps);
    free(shared);
    return NULL;
}

int run_kernel(struct kernel *k, const uint32_t grid[3], const uint32_t block[3], uint32_t shared, void **values) {
    static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&one);
    // Tuning starts a kernel on the same numbers many times over; once tells as much.
    static uint32_t last_grid[3];
    bool is_new = k != last || memcmp(grid, last_grid, sizeof last_grid);
    last = k;
    memcpy(last_grid, grid, sizeof last_grid);
    for (int p = 0; p < k->parameter_count; p++) {
        unsigned char *at = k->values + k->parameters[p].at;
        is_new |= memcmp(at, values[p], k->parameters[p].size) != 0;
        memcpy(at, values[p], k->parameters[p].size);
    }
    if (!is_new) {
        pthread_mutex_unlock(&one);
        return 0;
    }
    struct launch launch = {
        .kernel = k, .grid = grid, .block = block, .shared = shared, .blocks = (uint64_t)grid[0] * grid[1] * grid[2]};
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    int workers = cores > WORKERS ? WORKERS : cores;
    if (launch.blocks < (uint64_t)workers) workers = launch.blocks;
    pthread_t threads[WORKERS];
    for (int n = 0; n < workers; n++) pthread_create(&threads[n], NULL, work, &launch);
    for (int n = 0; n < workers; n++) pthread_join(threads[n], NULL);
    if (counts_are_wanted()) print_counts(k, grid, block, &launch.counts);
    pthread_mutex_unlock(&one);
    return launch.is_bad;
}
