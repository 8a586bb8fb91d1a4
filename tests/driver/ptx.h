// Runs kernels as NVIDIA's compiler writes them (PTX, the manual's version 8.8), a warp of 32 threads in step.
//
// Knows the instructions that the kernels of these tests are made of; a module with another one is refused, and
// the instruction printed. Instructions for compute capability 9.0 and above are not among them.
#ifndef PTX_H
#define PTX_H

#include <stdbool.h>
#include <stdint.h>

// Threads of a warp, and the mask of all of them.
#define LANES 32
#define ALL 0xffffffffu
#define OPERANDS 36

struct warp;
struct instruction;
typedef void execute(struct warp *, const struct instruction *, uint32_t);

enum flow { NEXT, BRANCH, RETURN, BARRIER, YIELD };
enum space { GENERIC, SHARED };

// Operands are places in a warp's registers, counted in words of 32 lanes; those that are written come first.
struct instruction {
    execute *run;
    enum flow flow;
    int guard; // -1: always
    bool is_not;
    int target;
    int at[OPERANDS];
    int count;
    int results;
    enum space space;
    int vector; // registers that are loaded or stored
    int size;   // bytes of each
    long offset;
    int rows, columns, inner;
    bool is_column_major, is_transposed;
    char part, kind;
    const char *text;
};

// What an operand that is a number or an address is, in a register of its own.
struct constant {
    int at;
    bool is_wide;
    uint64_t value;
};
// Registers that were declared together: `%r<9>`.
struct bank {
    char prefix[40];
    int first, width;
};
struct label {
    char name[80];
    int at;
};
struct parameter {
    char name[300];
    int at, size;
};

struct kernel {
    struct instruction *code;
    int length, room;
    struct bank *banks;
    int bank_count, bank_room;
    struct constant *constants;
    int constant_count, constant_room;
    struct label *labels;
    int label_count, label_room;
    struct parameter parameters[64];
    int parameter_count;
    unsigned char values[8192];
    int words;
    int special[16];
    // Memory of each thread's own, and the register with its address; 0 bytes: none.
    int local_size, local_at;
    const char *name;
};

// What running a kernel took: instructions of warps and of their threads, reads and writes of memory and its
// pieces of 32 bytes that they moved.
struct counts {
    uint64_t instructions, threads, reads, read_pieces, writes, written_pieces;
};

// Threads of a warp that are at the same instruction.
struct group {
    int at;
    uint32_t mask;
};
enum state { READY, WAITS, DONE };

struct warp {
    uint32_t *registers;
    unsigned char *shared, *local;
    struct group groups[LANES];
    int count;
    enum state state;
    struct counts counts;
};

// reader.c: the entry of that name of a module's text, or NULL.
struct kernel *read_kernel(const char *text, const char *name);

// instructions.c: what the instruction of that name does, and how wide its operands are: `w` a word, `d` two.
execute *find_instruction(const char *name, const char **operands);
execute nothing, pack, pack_wide, unpack, unpack_wide;
execute load, store, copy, barrier_set, barrier_arrive, barrier_try;
execute shuffle, matrix_load, mma, fragment_load, fragment_store, wmma;

// counts.c: where `FAKE_COUNTS` names a file, it gets a line for each kernel that runs.
bool counts_are_wanted(void);
// Adds an access of memory: where the threads read or write so many bytes.
void count_access(struct warp *w, const uint64_t *at, uint32_t threads, int bytes, bool is_write);
void print_counts(const struct kernel *kernel, const uint32_t grid[3], const uint32_t block[3],
                  const struct counts *counts);

// warps.c: runs it to its end; `values` has the address of each parameter. Gives 1 where it never ends.
int run_kernel(struct kernel *kernel, const uint32_t grid[3], const uint32_t block[3], uint32_t shared, void **values);
// Says that memory was written by somebody else.
void forget_last_kernel(void);

extern const char *const SPECIAL[];
#define SPECIALS 14

#endif
