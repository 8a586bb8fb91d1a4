// Counts what kernels do, for what a clock cannot tell here: how many instructions a GPU would have to run for
// them and how much memory to move.
#include "ptx.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PIECE 32
// Bits for the pieces of 64 GiB, more than kernels are given here, and whether any of a page of them is set.
#define PIECES (1ul << 31)
#define BYTES (PIECES / 8)
#define PAGE 4096

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const char *path;
// Which pieces a kernel has read, and behind them those that it has written.
static unsigned char *moved;
static bool pages[2 * BYTES / PAGE];

static void begin(void) {
    path = getenv("FAKE_COUNTS");
    if (!path) return;
    moved = mmap(NULL, 2 * BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (moved == MAP_FAILED) path = NULL;
}

bool counts_are_wanted(void) {
    pthread_once(&once, begin);
    return path != NULL;
}

void count_access(struct warp *w, const uint64_t *at, uint32_t threads, int bytes, bool is_write) {
    uint64_t pieces[2 * LANES];
    int count = 0;
    for (int l = 0; l < LANES; l++) {
        if (!(threads >> l & 1)) continue;
        for (uint64_t piece = at[l] / PIECE; piece <= (at[l] + bytes - 1) / PIECE; piece++) {
            int known = 0;
            while (known < count && pieces[known] != piece) known++;
            if (known == count) pieces[count++] = piece;
        }
    }
    for (int p = 0; p < count; p++) {
        uint64_t bit = pieces[p] % PIECES;
        size_t byte = (is_write ? BYTES : 0) + bit / 8;
        __atomic_fetch_or(moved + byte, 1u << bit % 8, __ATOMIC_RELAXED);
        __atomic_store_n(&pages[byte / PAGE], true, __ATOMIC_RELAXED);
    }
    if (is_write) w->counts.writes++, w->counts.written_pieces += count;
    else w->counts.reads++, w->counts.read_pieces += count;
}

// How many of them are known, which are forgotten.
static uint64_t different(size_t from) {
    uint64_t count = 0;
    for (size_t page = from / PAGE; page < (from + BYTES) / PAGE; page++) {
        if (!pages[page]) continue;
        uint64_t *words = (uint64_t *)(moved + page * PAGE);
        for (size_t word = 0; word < PAGE / sizeof *words; word++) count += __builtin_popcountl(words[word]);
        memset(words, 0, PAGE);
        pages[page] = false;
    }
    return count;
}

void print_counts(const struct kernel *k, const uint32_t grid[3], const uint32_t block[3], const struct counts *c) {
    FILE *file = fopen(path, "a");
    if (!file) return;
    fseek(file, 0, SEEK_END);
    if (!ftell(file))
        fprintf(file, "kernel\tblocks\tthreads\tinstructions\tthreads_ran\treads\tpieces_read\tdifferent_read\t"
                      "writes\tpieces_written\tdifferent_written\n");
    fprintf(file, "%s\t%lu\t%u\t%lu\t%lu\t%lu\t%lu\t%lu\t%lu\t%lu\t%lu\n", k->name,
            (uint64_t)grid[0] * grid[1] * grid[2], block[0] * block[1] * block[2], c->instructions, c->threads,
            c->reads, c->read_pieces, different(0), c->writes, c->written_pieces, different(BYTES));
    fclose(file);
}
