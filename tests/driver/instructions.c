// What each instruction does to the registers of a warp and to memory.
#include "ptx.h"

#include <math.h>
#include <string.h>

// The registers of an operand, and a statement for each lane `l` of the mask `m`.
#define WORD(n) ((uint32_t *)(w->registers + (size_t)i->at[n] * LANES))
#define WIDE(n) ((uint64_t *)(w->registers + (size_t)i->at[n] * LANES))
#define EACH(statement)                                                     \
    if (m == ALL) {                                                         \
        _Pragma("GCC ivdep") for (int l = 0; l < LANES; l++) { statement; } \
    } else {                                                                \
        for (int l = 0; l < LANES; l++)                                     \
            if (m >> l & 1) { statement; }                                  \
    }
#define SHARED_OP(name, declarations, statement) \
    void name(struct warp *w, const struct instruction *i, uint32_t m) { declarations EACH(statement) }
#define OP(name, declarations, statement) static SHARED_OP(name, declarations, statement)
// Operands by their width: D, A, B, C have a word a lane, those with W two.
#define D uint32_t *d = WORD(0);
#define DW uint64_t *d = WIDE(0);
#define A const uint32_t *a = WORD(1);
#define AW const uint64_t *a = WIDE(1);
#define B const uint32_t *b = WORD(2);
#define BW const uint64_t *b = WIDE(2);
#define C const uint32_t *c = WORD(3);
#define CW const uint64_t *c = WIDE(3);

static float f(uint32_t bits) {
    float x;
    memcpy(&x, &bits, 4);
    return x;
}
static uint32_t bits(float x) {
    uint32_t b;
    memcpy(&b, &x, 4);
    return b;
}
static double g(uint64_t bits) {
    double x;
    memcpy(&x, &bits, 8);
    return x;
}
static uint64_t wide_bits(double x) {
    uint64_t b;
    memcpy(&b, &x, 8);
    return b;
}
static float half(uint32_t h) {
    uint16_t s = h;
    _Float16 x;
    memcpy(&x, &s, 2);
    return x;
}
static uint32_t to_half(double x) {
    _Float16 h = (_Float16)x;
    uint16_t s;
    memcpy(&s, &h, 2);
    return s;
}
static float brain(uint32_t h) { return f(h << 16); }
static uint32_t to_brain(float x) {
    uint32_t b = bits(x);
    return isnan(x) ? 0x7fff : (b + 0x7fff + (b >> 16 & 1)) >> 16;
}
static uint32_t to_tf32(float x) {
    uint32_t b = bits(x);
    return isfinite(x) ? (b + 0x1000) & ~0x1fffu : b;
}
static float rounded_down(double x) {
    float r = (float)x;
    return r > x ? nextafterf(r, -INFINITY) : r;
}
static float saturated(float x) { return isnan(x) ? 0 : x < 0 ? 0 : x > 1 ? 1 : x; }
static uint32_t permuted(uint32_t a, uint32_t b, uint32_t how) {
    uint64_t both = (uint64_t)b << 32 | a;
    uint32_t out = 0;
    for (int k = 0; k < 4; k++) {
        uint32_t pick = how >> (4 * k) & 15, byte = both >> (8 * (pick & 7)) & 255;
        out |= (pick & 8 ? (byte & 128 ? 255u : 0u) : byte) << (8 * k);
    }
    return out;
}
static uint32_t reversed(uint32_t a) {
    uint32_t out = 0;
    for (int k = 0; k < 32; k++) out |= (a >> k & 1) << (31 - k);
    return out;
}
static uint32_t field(uint32_t a, uint32_t b, uint32_t from, uint32_t length) {
    if (from > 31 || !length) return b;
    uint32_t mask = (length > 31 ? ALL : (1u << length) - 1) << from;
    return (b & ~mask) | (a << from & mask);
}

OP(mov_word, D A, d[l] = a[l])
OP(mov_wide, DW AW, d[l] = a[l])
OP(widen, DW A, d[l] = a[l])
OP(widen_signed, DW A, d[l] = (int64_t)(int32_t)a[l])
OP(narrow, D AW, d[l] = (uint32_t)a[l])
OP(to_short, D A, d[l] = a[l] & 0xffff)
OP(to_byte, D A, d[l] = a[l] & 0xff)
OP(add_word, D A B, d[l] = a[l] + b[l])
OP(sub_word, D A B, d[l] = a[l] - b[l])
OP(mul_word, D A B, d[l] = a[l] * b[l])
OP(mul_high, D A B, d[l] = (uint64_t)a[l] * b[l] >> 32)
OP(mul_wide, DW A B, d[l] = (uint64_t)a[l] * b[l])
OP(mul_wide_signed, DW A B, d[l] = (int64_t)(int32_t)a[l] * (int32_t)b[l])
OP(mul_wide_short, D A B, d[l] = (a[l] & 0xffff) * (b[l] & 0xffff))
OP(mad_word, D A B C, d[l] = a[l] * b[l] + c[l])
OP(mad_wide, DW A B CW, d[l] = (uint64_t)a[l] * b[l] + c[l])
OP(mad_wide_signed, DW A B CW, d[l] = (int64_t)(int32_t)a[l] * (int32_t)b[l] + c[l])
OP(div_word, D A B, d[l] = b[l] ? a[l] / b[l] : ALL)
OP(div_signed, D A B, d[l] = b[l] ? (uint32_t)((int64_t)(int32_t)a[l] / (int32_t)b[l]) : ALL)
OP(rem_signed, D A B, d[l] = b[l] ? (uint32_t)((int64_t)(int32_t)a[l] % (int32_t)b[l]) : ALL)
OP(rem_word, D A B, d[l] = b[l] ? a[l] % b[l] : ALL)
OP(min_word, D A B, d[l] = a[l] < b[l] ? a[l] : b[l])
OP(max_word, D A B, d[l] = a[l] > b[l] ? a[l] : b[l])
OP(min_signed, D A B, d[l] = (int32_t)a[l] < (int32_t)b[l] ? a[l] : b[l])
OP(max_signed, D A B, d[l] = (int32_t)a[l] > (int32_t)b[l] ? a[l] : b[l])
OP(neg_word, D A, d[l] = -a[l])
OP(and_word, D A B, d[l] = a[l] & b[l])
OP(or_word, D A B, d[l] = a[l] | b[l])
OP(xor_word, D A B, d[l] = a[l] ^ b[l])
OP(not_word, D A, d[l] = ~a[l])
OP(reverse_word, D A, d[l] = reversed(a[l]))
OP(not_truth, D A, d[l] = !a[l])
OP(shl_word, D A B, d[l] = b[l] > 31 ? 0 : a[l] << b[l])
OP(shr_word, D A B, d[l] = b[l] > 31 ? 0 : a[l] >> b[l])
OP(shr_signed, D A B, d[l] = (int32_t)a[l] >> (b[l] > 31 ? 31 : b[l]))
OP(add_wide, DW AW BW, d[l] = a[l] + b[l])
OP(sub_wide, DW AW BW, d[l] = a[l] - b[l])
OP(mul_low_wide, DW AW BW, d[l] = a[l] * b[l])
OP(and_wide, DW AW BW, d[l] = a[l] & b[l])
OP(or_wide, DW AW BW, d[l] = a[l] | b[l])
OP(shl_wide, DW AW B, d[l] = b[l] > 63 ? 0 : a[l] << b[l])
OP(shr_wide, DW AW B, d[l] = b[l] > 63 ? 0 : a[l] >> b[l])
OP(shr_long, DW AW B, d[l] = (int64_t)a[l] >> (b[l] > 63 ? 63 : b[l]))
OP(select_word, D A B C, d[l] = c[l] ? a[l] : b[l])
OP(select_wide, DW AW BW C, d[l] = c[l] ? a[l] : b[l])
OP(permute, D A B C, d[l] = permuted(a[l], b[l], c[l]))
OP(insert_field, D A B C const uint32_t *e = WORD(4);, d[l] = field(a[l], b[l], c[l], e[l]))
OP(add_float, D A B, d[l] = bits(f(a[l]) + f(b[l])))
OP(sub_float, D A B, d[l] = bits(f(a[l]) - f(b[l])))
OP(mul_float, D A B, d[l] = bits(f(a[l]) * f(b[l])))
OP(div_float, D A B, d[l] = bits(f(a[l]) / f(b[l])))
OP(fma_float, D A B C, d[l] = bits(fmaf(f(a[l]), f(b[l]), f(c[l]))))
OP(fma_down, D A B C, d[l] = bits(rounded_down((double)f(a[l]) * f(b[l]) + f(c[l]))))
OP(neg_float, D A, d[l] = a[l] ^ 0x80000000u)
OP(abs_float, D A, d[l] = a[l] & 0x7fffffffu)
OP(min_float, D A B, d[l] = bits(fminf(f(a[l]), f(b[l]))))
OP(max_float, D A B, d[l] = bits(fmaxf(f(a[l]), f(b[l]))))
OP(rcp_float, D A, d[l] = bits(1.0f / f(a[l])))
OP(sqrt_float, D A, d[l] = bits(sqrtf(f(a[l]))))
OP(rsqrt_float, D A, d[l] = bits((float)(1.0 / sqrt((double)f(a[l])))))
OP(exp2_float, D A, d[l] = bits(exp2f(f(a[l]))))
OP(log2_float, D A, d[l] = bits(log2f(f(a[l]))))
OP(saturate, D A, d[l] = bits(saturated(f(a[l]))))
OP(floor_float, D A, d[l] = bits(floorf(f(a[l]))))
OP(trunc_float, D A, d[l] = bits(truncf(f(a[l]))))
OP(float_of_int, D A, d[l] = bits((float)(int32_t)a[l]))
OP(float_of_word, D A, d[l] = bits((float)a[l]))
OP(float_of_byte, D A, d[l] = bits((float)(a[l] & 0xff)))
OP(float_of_short, D A, d[l] = bits((float)(a[l] & 0xffff)))
OP(int_of_float, D A, d[l] = (uint32_t)(int32_t)fminf(fmaxf(truncf(f(a[l])), -2147483648.0f), 2147483520.0f))
OP(word_of_float, D A, d[l] = (uint32_t)fminf(fmaxf(truncf(f(a[l])), 0.0f), 4294967040.0f))
OP(float_of_double, D AW, d[l] = bits((float)g(a[l])))
OP(double_of_float, DW A, d[l] = wide_bits(f(a[l])))
OP(float_of_half, D A, d[l] = bits(half(a[l])))
OP(float_of_brain, D A, d[l] = bits(brain(a[l])))
OP(half_of_float, D A, d[l] = to_half(f(a[l])))
OP(brain_of_float, D A, d[l] = to_brain(f(a[l])))
OP(halves_of_floats, D A B, d[l] = to_half(f(a[l])) << 16 | to_half(f(b[l])))
OP(brains_of_floats, D A B, d[l] = to_brain(f(a[l])) << 16 | to_brain(f(b[l])))
OP(half_of_double, D AW, d[l] = to_half(g(a[l])))
OP(brain_of_double, D AW, d[l] = to_brain((float)g(a[l])))
OP(half_of_int, D A, d[l] = to_half((int32_t)a[l]))
OP(brain_of_int, D A, d[l] = to_brain((float)(int32_t)a[l]))
OP(fma_brain, D A B C, d[l] = to_brain(fmaf(brain(a[l]), brain(b[l]), brain(c[l]))))
OP(add_half, D A B, d[l] = to_half((double)half(a[l]) + half(b[l])))
OP(sub_half, D A B, d[l] = to_half((double)half(a[l]) - half(b[l])))
OP(mul_half, D A B, d[l] = to_half((double)half(a[l]) * half(b[l])))
OP(fma_half, D A B C, d[l] = to_half((double)half(a[l]) * half(b[l]) + half(c[l])))
OP(tf32_of_float, D A, d[l] = to_tf32(f(a[l])))
SHARED_OP(pack, D A B, d[l] = (a[l] & 0xffff) | b[l] << 16)
SHARED_OP(pack_wide, DW A B, d[l] = a[l] | (uint64_t)b[l] << 32)
SHARED_OP(unpack, D uint32_t *e = WORD(1); const uint32_t *b = WORD(2);, uint32_t x = b[l]; d[l] = x & 0xffff;
          e[l] = x >> 16)
SHARED_OP(unpack_wide, D uint32_t *e = WORD(1); const uint64_t *b = WIDE(2);, uint64_t x = b[l]; d[l] = (uint32_t)x;
          e[l] = x >> 32)
OP(generic_of_shared, DW AW, d[l] = a[l] + (uint64_t)w->shared)
OP(shared_of_generic, DW AW, d[l] = a[l] - (uint64_t)w->shared)
OP(active_mask, D, d[l] = m)
void nothing(struct warp *w, const struct instruction *i, uint32_t m) {
    (void)w;
    (void)i;
    (void)m;
}

#define COMPARE(name, type, sign)                                                                  \
    OP(set_##name, D const type *a = (const type *)WORD(1); const type *b = (const type *)WORD(2); \
       , d[l] = a[l] sign b[l])
#define COMPARISONS(suffix, type)  \
    COMPARE(eq_##suffix, type, ==) \
    COMPARE(ne_##suffix, type, !=) \
    COMPARE(lt_##suffix, type, <)  \
    COMPARE(le_##suffix, type, <=) \
    COMPARE(gt_##suffix, type, >)  \
    COMPARE(ge_##suffix, type, >=)
COMPARISONS(word, uint32_t)
COMPARISONS(int, int32_t)
COMPARISONS(wide, uint64_t)
COMPARISONS(long, int64_t)
COMPARISONS(float, float)
COMPARISONS(double, double)
OP(set_neu_double, D AW BW, d[l] = !(g(a[l]) == g(b[l])))
OP(one_if_less, D A B, d[l] = bits(f(a[l]) < f(b[l]) ? 1.0f : 0.0f))
#define UNORDERED(name, sign) OP(set_##name, D A B, d[l] = !(f(a[l]) sign f(b[l])))
UNORDERED(neu_float, ==)
UNORDERED(ltu_float, >=)
UNORDERED(leu_float, >)
UNORDERED(gtu_float, <=)
UNORDERED(geu_float, <)
OP(set_equ_float, D A B, d[l] = !(f(a[l]) < f(b[l]) || f(a[l]) > f(b[l])))
OP(set_nan_float, D A B, d[l] = isnan(f(a[l])) || isnan(f(b[l])))
OP(set_num_float, D A B, d[l] = !isnan(f(a[l])) && !isnan(f(b[l])))

// Memory.

static unsigned char *address(struct warp *w, const struct instruction *i, int operand, int lane) {
    if (i->space == SHARED) return w->shared + (i->kind == 'w' ? WORD(operand)[lane] : WIDE(operand)[lane]) + i->offset;
    return (unsigned char *)WIDE(operand)[lane] + i->offset;
}

// Counts an access of memory that all threads have.
static void count(struct warp *w, const struct instruction *i, int operand, uint32_t m, bool is_write) {
    if (i->space == SHARED || !counts_are_wanted()) return;
    uint64_t at[LANES] = {0};
    for (int l = 0; l < LANES; l++)
        if (m >> l & 1) at[l] = (uint64_t)address(w, i, operand, l);
    count_access(w, at, m, i->vector * i->size, is_write);
}

void load(struct warp *w, const struct instruction *i, uint32_t m) {
    count(w, i, i->vector, m, false);
    for (int l = 0; l < LANES; l++) {
        if (!(m >> l & 1)) continue;
        const unsigned char *from = address(w, i, i->vector, l);
        for (int v = 0; v < i->vector; v++, from += i->size) {
            if (i->size == 8) memcpy(&WIDE(v)[l], from, 8);
            else {
                uint32_t x = 0;
                memcpy(&x, from, i->size);
                WORD(v)[l] = x;
            }
        }
    }
}

void store(struct warp *w, const struct instruction *i, uint32_t m) {
    count(w, i, 0, m, true);
    for (int l = 0; l < LANES; l++) {
        if (!(m >> l & 1)) continue;
        unsigned char *to = address(w, i, 0, l);
        for (int v = 1; v <= i->vector; v++, to += i->size)
            memcpy(to, i->size == 8 ? (void *)&WIDE(v)[l] : &WORD(v)[l], i->size);
    }
}

// `cp.async`, done at once; what is beyond the source's size becomes 0.
void copy(struct warp *w, const struct instruction *i, uint32_t m) {
    uint32_t reading = 0;
    for (int l = 0; l < LANES; l++) reading |= (uint32_t)(i->count < 4 || WORD(3)[l]) << l;
    if (counts_are_wanted()) count_access(w, WIDE(1), m & reading, 16, false);
    for (int l = 0; l < LANES; l++) {
        if (!(m >> l & 1)) continue;
        unsigned char *to = address(w, i, 0, l);
        uint32_t size = WORD(2)[l], from = i->count > 3 ? WORD(3)[l] : size;
        memset(to, 0, size);
        memcpy(to, (void *)WIDE(1)[l], from < size ? from : size);
    }
}

// Barriers in memory: arrivals that are waited for, of how many, and the phase.
struct barrier {
    uint16_t pending, expected;
    uint32_t phase;
};

void barrier_set(struct warp *w, const struct instruction *i, uint32_t m) {
    for (int l = 0; l < LANES; l++) {
        if (!(m >> l & 1)) continue;
        struct barrier b = {WORD(1)[l], WORD(1)[l], 0};
        memcpy(address(w, i, 0, l), &b, 8);
    }
}

void barrier_arrive(struct warp *w, const struct instruction *i, uint32_t m) {
    for (int l = 0; l < LANES; l++) {
        if (!(m >> l & 1)) continue;
        struct barrier b;
        unsigned char *at = address(w, i, 1, l);
        memcpy(&b, at, 8);
        WIDE(0)[l] = b.phase;
        if (!--b.pending) b.pending = b.expected, b.phase++;
        memcpy(at, &b, 8);
    }
}

void barrier_try(struct warp *w, const struct instruction *i, uint32_t m) {
    for (int l = 0; l < LANES; l++) {
        if (!(m >> l & 1)) continue;
        struct barrier b;
        memcpy(&b, address(w, i, 1, l), 8);
        WORD(0)[l] = i->part == 'p' ? (b.phase & 1) != (WORD(2)[l] & 1) : b.phase != (uint32_t)WIDE(2)[l];
    }
}

// What a warp does as one.

void shuffle(struct warp *w, const struct instruction *i, uint32_t m) {
    uint32_t before[LANES];
    int has = i->results > 1;
    memcpy(before, WORD(1 + has), sizeof before);
    for (uint32_t l = 0; l < LANES; l++) {
        if (!(m >> l & 1)) continue;
        uint32_t b = WORD(2 + has)[l], c = WORD(3 + has)[l], segment = c >> 8 & 31, clamp = c & 31;
        uint32_t last = (l & segment) | (clamp & ~segment), first = l & segment, from;
        bool is_in;
        switch (i->part) {
        case 'u':
            from = l - (b & 31);
            is_in = (int32_t)from >= (int32_t)last;
            break;
        case 'd':
            from = l + (b & 31);
            is_in = from <= last;
            break;
        case 'b':
            from = l ^ (b & 31);
            is_in = from <= last;
            break;
        default: from = first | (b & 31 & ~segment); is_in = from <= last;
        }
        WORD(0)[l] = before[is_in ? from : l];
        if (has) WORD(1)[l] = is_in;
    }
}

void matrix_load(struct warp *w, const struct instruction *i, uint32_t m) {
    (void)m;
    for (int v = 0; v < i->vector; v++) {
        uint16_t rows[8][8];
        for (int r = 0; r < 8; r++) memcpy(rows[r], address(w, i, i->vector, 8 * v + r), 16);
        for (int l = 0; l < LANES; l++) {
            int r = l / 4, c = l % 4 * 2;
            uint32_t low = i->is_transposed ? rows[c][r] : rows[r][c],
                     high = i->is_transposed ? rows[c + 1][r] : rows[r][c + 1];
            WORD(v)[l] = low | high << 16;
        }
    }
}

static float factor(uint32_t word, int which, char kind) {
    switch (kind) {
    case 'b': return brain(which ? word >> 16 : word & 0xffff);
    case 'h': return half(which ? word >> 16 : word & 0xffff);
    default: return f(word & ~0x1fffu); // tf32
    }
}

// `mma.sync`: the fragments are laid out as the PTX manual says for m16n8k16 and m16n8k8.
void mma(struct warp *w, const struct instruction *i, uint32_t m) {
    (void)m;
    float a[16][16], b[16][8], c[16][8];
    bool is_half = i->kind != 't';
    for (int l = 0; l < LANES; l++) {
        int row = l / 4, quarter = l % 4;
        for (int v = 0; v < 4; v++)
            for (int h = 0; h < (is_half ? 2 : 1); h++) {
                int column = is_half ? quarter * 2 + h + v / 2 * 8 : quarter + v / 2 * 4;
                a[row + v % 2 * 8][column] = factor(WORD(4 + v)[l], h, i->kind);
                if (v < 2) {
                    int inner = is_half ? quarter * 2 + h + v * 8 : quarter + v * 4;
                    b[inner][row] = factor(WORD(8 + v)[l], h, i->kind);
                }
            }
        for (int v = 0; v < 4; v++) c[row + v / 2 * 8][quarter * 2 + v % 2] = f(WORD(10 + v)[l]);
    }
    for (int r = 0; r < 16; r++)
        for (int n = 0; n < 8; n++)
            for (int k = 0; k < i->inner; k++) c[r][n] += a[r][k] * b[k][n];
    for (int l = 0; l < LANES; l++)
        for (int v = 0; v < 4; v++) WORD(v)[l] = bits(c[l / 4 + v / 2 * 8][l % 4 * 2 + v % 2]);
}

// `wmma` leaves open which thread has what: here a thread has neighbours of a row.
static int part_size(const struct instruction *i, char part, int *columns) {
    *columns = part == 'a' ? i->inner : i->columns;
    return (part == 'b' ? i->inner : i->rows) * *columns;
}

static void fragment_memory(struct warp *w, const struct instruction *i, bool is_load) {
    int columns, size = part_size(i, i->part, &columns), each = size / LANES, registers = i->vector;
    int first = is_load ? 0 : 1, from = is_load ? registers : 0, stride_at = registers + 1;
    bool is_packed = i->size == 2;
    for (int l = 0; l < LANES; l++) {
        unsigned char *base = address(w, i, from, l);
        size_t stride = WORD(stride_at)[l];
        for (int e = 0; e < each; e++) {
            int at = l * each + e, row = at / columns, column = at % columns;
            unsigned char *place =
                base + (i->is_column_major ? column * stride + row : row * stride + column) * i->size;
            uint32_t *word = &WORD(first + (is_packed ? e / 2 : e))[l];
            int shift = is_packed ? e % 2 * 16 : 0;
            if (is_load) {
                uint32_t x = 0;
                memcpy(&x, place, i->size);
                *word = is_packed && shift ? (*word & 0xffff) | x << 16 : x;
            } else {
                uint32_t x = *word >> shift;
                memcpy(place, &x, i->size);
            }
        }
    }
}

void fragment_load(struct warp *w, const struct instruction *i, uint32_t m) {
    (void)m;
    fragment_memory(w, i, true);
}
void fragment_store(struct warp *w, const struct instruction *i, uint32_t m) {
    (void)m;
    fragment_memory(w, i, false);
}

void wmma(struct warp *w, const struct instruction *i, uint32_t m) {
    (void)m;
    static _Thread_local float a[32 * 16], b[32 * 16];
    int columns, of_a = part_size(i, 'a', &columns) / LANES, of_b = part_size(i, 'b', &columns) / LANES;
    int of_c = i->rows * i->columns / LANES, operand_a = of_c, operand_b = operand_a + i->vector,
        operand_c = operand_b + i->size;
    bool is_packed = i->kind != 't';
    for (int l = 0; l < LANES; l++) {
        for (int e = 0; e < of_a; e++)
            a[l * of_a + e] = factor(WORD(operand_a + (is_packed ? e / 2 : e))[l], e % 2 && is_packed, i->kind);
        for (int e = 0; e < of_b; e++)
            b[l * of_b + e] = factor(WORD(operand_b + (is_packed ? e / 2 : e))[l], e % 2 && is_packed, i->kind);
    }
    for (int l = 0; l < LANES; l++)
        for (int e = 0; e < of_c; e++) {
            int at = l * of_c + e, row = at / i->columns, column = at % i->columns;
            float sum = f(WORD(operand_c + e)[l]);
            for (int k = 0; k < i->inner; k++) sum += a[row * i->inner + k] * b[k * i->columns + column];
            WORD(e)[l] = bits(sum);
        }
}

struct row {
    const char *name, *operands;
    execute *run;
};
static const struct row ROWS[] = {
    {"mov.u16", "ww", mov_word},
    {"mov.b16", "ww", mov_word},
    {"mov.u32", "ww", mov_word},
    {"mov.b32", "ww", mov_word},
    {"mov.s32", "ww", mov_word},
    {"mov.f32", "ww", mov_word},
    {"mov.pred", "ww", mov_word},
    {"mov.u64", "dd", mov_wide},
    {"mov.b64", "dd", mov_wide},
    {"mov.f64", "dd", mov_wide},
    {"mov.s64", "dd", mov_wide},
    {"cvta.to.global.u64", "dd", mov_wide},
    {"cvta.param.u64", "dd", mov_wide},
    {"cvta.global.u64", "dd", mov_wide},
    {"cvta.local.u64", "dd", mov_wide},
    {"cvta.shared.u64", "dd", generic_of_shared},
    {"cvta.to.shared.u64", "dd", shared_of_generic},
    {"cvt.u64.u32", "dw", widen},
    {"cvt.u64.u16", "dw", widen},
    {"cvt.s64.s32", "dw", widen_signed},
    {"cvt.u32.u64", "wd", narrow},
    {"cvt.u32.u16", "ww", to_short},
    {"cvt.u16.u32", "ww", to_short},
    {"cvt.s32.u16", "ww", to_short},
    {"cvt.u16.u64", "wd", narrow},
    {"cvt.u32.u8", "ww", to_byte},
    {"cvt.u16.u8", "ww", to_byte},
    {"cvt.u8.u32", "ww", to_byte},
    {"add.s32", "www", add_word},
    {"add.u32", "www", add_word},
    {"sub.s32", "www", sub_word},
    {"mul.lo.s32", "www", mul_word},
    {"mul.lo.u32", "www", mul_word},
    {"mul.hi.u32", "www", mul_high},
    {"mul.wide.u32", "dww", mul_wide},
    {"mul.wide.s32", "dww", mul_wide_signed},
    {"mul.wide.u16", "www", mul_wide_short},
    {"mad.lo.s32", "wwww", mad_word},
    {"mad.wide.u32", "dwwd", mad_wide},
    {"mad.wide.s32", "dwwd", mad_wide_signed},
    {"div.u32", "www", div_word},
    {"rem.u32", "www", rem_word},
    {"div.s32", "www", div_signed},
    {"rem.s32", "www", rem_signed},
    {"min.u32", "www", min_word},
    {"max.u32", "www", max_word},
    {"min.s32", "www", min_signed},
    {"max.s32", "www", max_signed},
    {"neg.s32", "ww", neg_word},
    {"and.b32", "www", and_word},
    {"or.b32", "www", or_word},
    {"xor.b32", "www", xor_word},
    {"not.b32", "ww", not_word},
    {"brev.b32", "ww", reverse_word},
    {"and.b16", "www", and_word},
    {"or.b16", "www", or_word},
    {"and.pred", "www", and_word},
    {"or.pred", "www", or_word},
    {"xor.pred", "www", xor_word},
    {"not.pred", "ww", not_truth},
    {"shl.b32", "www", shl_word},
    {"shr.u32", "www", shr_word},
    {"shr.u16", "www", shr_word},
    {"shr.s32", "www", shr_signed},
    {"add.s64", "ddd", add_wide},
    {"add.u64", "ddd", add_wide},
    {"sub.s64", "ddd", sub_wide},
    {"mul.lo.s64", "ddd", mul_low_wide},
    {"and.b64", "ddd", and_wide},
    {"or.b64", "ddd", or_wide},
    {"shl.b64", "ddw", shl_wide},
    {"shr.u64", "ddw", shr_wide},
    {"shr.s64", "ddw", shr_long},
    {"selp.b16", "wwww", select_word},
    {"selp.u16", "wwww", select_word},
    {"selp.b32", "wwww", select_word},
    {"selp.u32", "wwww", select_word},
    {"selp.s32", "wwww", select_word},
    {"selp.f32", "wwww", select_word},
    {"selp.b64", "dddw", select_wide},
    {"selp.u64", "dddw", select_wide},
    {"prmt.b32", "wwww", permute},
    {"bfi.b32", "wwwww", insert_field},
    {"add.f32", "www", add_float},
    {"add.rn.f32", "www", add_float},
    {"add.ftz.f32", "www", add_float},
    {"sub.f32", "www", sub_float},
    {"mul.f32", "www", mul_float},
    {"mul.ftz.f32", "www", mul_float},
    {"mul.rn.f32", "www", mul_float},
    {"div.rn.f32", "www", div_float},
    {"div.approx.f32", "www", div_float},
    {"div.full.f32", "www", div_float},
    {"fma.rn.f32", "wwww", fma_float},
    {"fma.rn.ftz.f32", "wwww", fma_float},
    {"fma.rm.f32", "wwww", fma_down},
    {"neg.f32", "ww", neg_float},
    {"abs.f32", "ww", abs_float},
    {"min.f32", "www", min_float},
    {"max.f32", "www", max_float},
    {"rcp.rn.f32", "ww", rcp_float},
    {"rcp.approx.f32", "ww", rcp_float},
    {"rcp.approx.ftz.f32", "ww", rcp_float},
    {"sqrt.rn.f32", "ww", sqrt_float},
    {"rsqrt.approx.f32", "ww", rsqrt_float},
    {"sqrt.approx.f32", "ww", sqrt_float},
    {"ex2.approx.ftz.f32", "ww", exp2_float},
    {"ex2.approx.f32", "ww", exp2_float},
    {"lg2.approx.f32", "ww", log2_float},
    {"lg2.approx.ftz.f32", "ww", log2_float},
    {"cvt.sat.f32.f32", "ww", saturate},
    {"cvt.rmi.f32.f32", "ww", floor_float},
    {"cvt.rzi.f32.f32", "ww", trunc_float},
    {"cvt.rn.f32.s32", "ww", float_of_int},
    {"cvt.rn.f32.u32", "ww", float_of_word},
    {"cvt.rn.f32.u8", "ww", float_of_byte},
    {"cvt.rn.f32.u16", "ww", float_of_short},
    {"cvt.rzi.s32.f32", "ww", int_of_float},
    {"cvt.rzi.u32.f32", "ww", word_of_float},
    {"cvt.rn.f32.f64", "wd", float_of_double},
    {"cvt.f64.f32", "dw", double_of_float},
    {"cvt.f32.f16", "ww", float_of_half},
    {"cvt.f32.bf16", "ww", float_of_brain},
    {"cvt.rn.f16.f32", "ww", half_of_float},
    {"cvt.rn.bf16.f32", "ww", brain_of_float},
    {"cvt.rn.f16x2.f32", "www", halves_of_floats},
    {"cvt.rn.bf16x2.f32", "www", brains_of_floats},
    {"cvt.rn.f16.f64", "wd", half_of_double},
    {"cvt.rn.bf16.f64", "wd", brain_of_double},
    {"cvt.rn.f16.s32", "ww", half_of_int},
    {"cvt.rn.bf16.s32", "ww", brain_of_int},
    {"cvt.rna.tf32.f32", "ww", tf32_of_float},
#define SETS(type, suffix, wide)                                                            \
    {"setp.eq." type, wide, set_eq_##suffix}, {"setp.ne." type, wide, set_ne_##suffix},     \
        {"setp.lt." type, wide, set_lt_##suffix}, {"setp.le." type, wide, set_le_##suffix}, \
        {"setp.gt." type, wide, set_gt_##suffix}, {                                         \
        "setp.ge." type, wide, set_ge_##suffix                                              \
    }
    SETS("u32", word, "www"),
    SETS("b32", word, "www"),
    SETS("s32", int, "www"),
    SETS("u16", word, "www"),
    SETS("b16", word, "www"),
    SETS("s16", word, "www"),
    SETS("u64", wide, "wdd"),
    SETS("b64", wide, "wdd"),
    SETS("s64", long, "wdd"),
    SETS("f32", float, "www"),
    SETS("f64", double, "wdd"),
    {"set.lt.f32.f32", "www", one_if_less},
    {"setp.neu.f64", "wdd", set_neu_double},
    {"cvt.rm.f32.s32", "ww", float_of_int},
    {"cvt.rp.f32.s32", "ww", float_of_int},
    {"cvt.rz.f32.s32", "ww", float_of_int},
    {"fma.rn.bf16", "wwww", fma_brain},
    {"add.f16", "www", add_half},
    {"sub.f16", "www", sub_half},
    {"mul.f16", "www", mul_half},
    {"fma.rn.f16", "wwww", fma_half},
    {"setp.lo.u32", "www", set_lt_word},
    {"setp.ls.u32", "www", set_le_word},
    {"setp.hi.u32", "www", set_gt_word},
    {"setp.hs.u32", "www", set_ge_word},
    {"setp.equ.f32", "www", set_equ_float},
    {"setp.neu.f32", "www", set_neu_float},
    {"setp.ltu.f32", "www", set_ltu_float},
    {"setp.leu.f32", "www", set_leu_float},
    {"setp.gtu.f32", "www", set_gtu_float},
    {"setp.geu.f32", "www", set_geu_float},
    {"setp.nan.f32", "www", set_nan_float},
    {"setp.num.f32", "www", set_num_float},
    {"activemask.b32", "w", active_mask},
    {"membar.cta", "", nothing},
    {"fence.proxy.async.shared::cta", "", nothing},
    {"bar.warp.sync", "w", nothing},
    {"cp.async.commit_group", "", nothing},
    {"cp.async.wait_group", "w", nothing},
    {"cp.async.wait_all", "", nothing},
    {"cp.async.mbarrier.arrive.shared::cta.b64", "w", nothing},
    {"mbarrier.inval.shared.b64", "w", nothing},
};

execute *find_instruction(const char *name, const char **operands) {
    for (size_t row = 0; row < sizeof ROWS / sizeof *ROWS; row++) {
        if (strcmp(name, ROWS[row].name)) continue;
        *operands = ROWS[row].operands;
        return ROWS[row].run;
    }
    return NULL;
}
