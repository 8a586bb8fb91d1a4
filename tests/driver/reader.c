// Reads a kernel from the text of a module.
#include "ptx.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const SPECIAL[] = {"%tid.x",   "%tid.y",   "%tid.z",    "%ntid.x",   "%ntid.y",   "%ntid.z", "%ctaid.x",
                               "%ctaid.y", "%ctaid.z", "%nctaid.x", "%nctaid.y", "%nctaid.z", "%laneid", "%warpid"};

struct reader {
    struct kernel *kernel;
    const char *fault;
};

static void *grown(void *all, int count, int *room, size_t size) {
    if (count < *room) return all;
    *room = *room ? 2 * *room : 64;
    return realloc(all, *room * size);
}

static int fresh(struct kernel *k, int width) {
    int at = k->words;
    k->words += width;
    return at;
}

static int constant(struct kernel *k, uint64_t value, bool is_wide) {
    for (int c = 0; c < k->constant_count; c++)
        if (k->constants[c].value == value && k->constants[c].is_wide == is_wide) return k->constants[c].at;
    k->constants = grown(k->constants, k->constant_count, &k->constant_room, sizeof *k->constants);
    int at = fresh(k, is_wide ? 2 : 1);
    k->constants[k->constant_count++] = (struct constant){at, is_wide, value};
    return at;
}

static int operand(struct reader *r, const char *name, bool is_wide) {
    struct kernel *k = r->kernel;
    for (int s = 0; s < SPECIALS; s++)
        if (!strcmp(name, SPECIAL[s])) return k->special[s];
    if (!strncmp(name, "0f", 2) || !strncmp(name, "0F", 2)) return constant(k, strtoul(name + 2, NULL, 16), is_wide);
    if (!strncmp(name, "0d", 2) || !strncmp(name, "0D", 2)) return constant(k, strtoull(name + 2, NULL, 16), true);
    if (isdigit(*name) || (*name == '-' && isdigit(name[1]))) {
        uint64_t value = *name == '-' ? (uint64_t)strtoll(name, NULL, 0) : strtoull(name, NULL, 0);
        return constant(k, is_wide ? value : value & ALL, is_wide);
    }
    // From the last: a name may be declared again within braces.
    for (int b = k->bank_count - 1; b >= 0; b--) {
        size_t length = strlen(k->banks[b].prefix);
        if (!strncmp(name, k->banks[b].prefix, length)) {
            char *end;
            long at = name[length] ? strtol(name + length, &end, 10) : 0;
            if (!name[length] || !*end) return k->banks[b].first + (int)at * k->banks[b].width;
        }
    }
    for (int p = 0; p < k->parameter_count; p++)
        if (!strcmp(name, k->parameters[p].name)) return constant(k, (uint64_t)(k->values + k->parameters[p].at), true);
    if (!strcmp(name, "dynamic_shared_mem")) return constant(k, 0, is_wide);
    if (!strcmp(name, "WARP_SZ")) return constant(k, LANES, is_wide);
    if (!strcmp(name, "%globaltimer") || !strcmp(name, "%clock64")) return constant(k, 0, true);
    r->fault = name;
    return 0;
}

static bool starts(const char *text, const char *with) { return !strncmp(text, with, strlen(with)); }

// Splits operands at commas, braces, brackets and bars; `+` starts an offset.
static int split(char *text, char **parts) {
    int count = 0;
    for (char *at = strtok(text, " \t\n,{}[]|"); at && count < OPERANDS; at = strtok(NULL, " \t\n,{}[]|"))
        parts[count++] = at;
    return count;
}

static int width_of(const char *type, int *size) {
    *size = strstr(type, "64") ? 8 : strstr(type, "16") ? 2 : strstr(type, "8") && !strstr(type, "128") ? 1 : 4;
    return *size == 8 ? 2 : 1;
}

static void read_address(struct reader *r, struct instruction *i, char *name, bool is_word) {
    char *plus = strchr(name, '+');
    if (plus) *plus = 0, i->offset = strtol(plus + 1, NULL, 0);
    // Registers of one word hold addresses of shared memory; names are constants of either size.
    i->kind = is_word ? 'w' : 'd';
    i->at[i->count++] = operand(r, name, !is_word);
}

static bool is_word_register(const char *name) { return starts(name, "%r") && isdigit(name[2]); }

// What is loaded, then from where; or where it is stored, then what. Gives how many parts that were.
static int read_moved(struct reader *r, struct instruction *i, char **parts, bool is_load, bool is_wide) {
    char *at = parts[is_load ? i->vector : 0], **moved = parts + !is_load;
    if (!is_load) read_address(r, i, at, is_word_register(at));
    for (int v = 0; v < i->vector; v++) i->at[i->count++] = operand(r, moved[v], is_wide);
    if (is_load) read_address(r, i, at, is_word_register(at));
    return i->vector + 1;
}

static void read_shape(struct instruction *i, const char *name) {
    const char *shape = strstr(name, ".m");
    while (shape && sscanf(shape, ".m%dn%dk%d", &i->rows, &i->columns, &i->inner) != 3) shape = strstr(shape + 1, ".m");
}

static void read_instruction(struct reader *r, struct instruction *i, const char *name, char **parts, int count) {
    const char *type = strrchr(name, '.');
    if (starts(name, "bra")) {
        i->flow = BRANCH;
        i->text = strdup(parts[0]);
        return;
    }
    if (starts(name, "ret") || starts(name, "exit")) {
        i->flow = RETURN;
        return;
    }
    if (starts(name, "bar.sync") || starts(name, "barrier.sync")) {
        i->flow = BARRIER;
        if (count != 1 || strcmp(parts[0], "0")) r->fault = "a barrier of some threads";
        return;
    }
    if (starts(name, "nanosleep")) {
        i->flow = YIELD;
        i->run = nothing;
        return;
    }
    if ((starts(name, "mov.b32") || starts(name, "mov.b64")) && count == 3) {
        bool is_wide = starts(name, "mov.b64"),
             is_pack = !strchr(i->text, '{') || strchr(i->text, '{') > strchr(i->text, ',');
        i->run = is_pack ? (is_wide ? pack_wide : pack) : is_wide ? unpack_wide : unpack;
        for (int o = 0; o < 3; o++) i->at[o] = operand(r, parts[o], is_wide && o == (is_pack ? 0 : 2));
        return;
    }
    if (starts(name, "ld.") || starts(name, "ldu.") || starts(name, "st.")) {
        bool is_load = *name == 'l';
        i->vector = strstr(name, ".v4") ? 4 : strstr(name, ".v2") ? 2 : 1;
        i->space = strstr(name, ".shared") ? SHARED : GENERIC;
        i->run = is_load ? load : store;
        bool is_wide = width_of(type, &i->size) == 2;
        if (read_moved(r, i, parts, is_load, is_wide) != count) r->fault = name;
        return;
    }
    if (starts(name, "cp.async.c")) {
        i->run = copy;
        i->space = SHARED;
        read_address(r, i, parts[0], is_word_register(parts[0]));
        if (strchr(parts[1], '+')) {
            r->fault = "an offset";
            return;
        }
        i->at[i->count++] = operand(r, parts[1], true);
        for (int o = 2; o < count; o++) i->at[i->count++] = operand(r, parts[o], false);
        return;
    }
    if (starts(name, "mbarrier.") && strstr(name, ".shared") && !strstr(name, "inval")) {
        i->space = SHARED;
        if (strstr(name, "init")) {
            i->run = barrier_set;
            read_address(r, i, parts[0], is_word_register(parts[0]));
            i->at[i->count++] = operand(r, parts[1], false);
        } else if (strstr(name, "arrive.") && count == 2) {
            i->run = barrier_arrive;
            i->at[i->count++] = operand(r, parts[0], true);
            read_address(r, i, parts[1], is_word_register(parts[1]));
        } else if (strstr(name, "try_wait") || strstr(name, "test_wait")) {
            i->run = barrier_try;
            i->flow = YIELD;
            i->part = strstr(name, "parity") ? 'p' : 's';
            i->at[i->count++] = operand(r, parts[0], false);
            read_address(r, i, parts[1], is_word_register(parts[1]));
            i->at[i->count++] = operand(r, parts[2], i->part == 's');
        } else {
            r->fault = name;
        }
        return;
    }
    if (starts(name, "shfl.sync")) {
        i->run = shuffle;
        i->part = strstr(name, ".up") ? 'u' : strstr(name, ".down") ? 'd' : strstr(name, ".bfly") ? 'b' : 'i';
        i->results = strchr(i->text, '|') ? 2 : 1;
        for (int o = 0; o < count; o++) i->at[i->count++] = operand(r, parts[o], false);
        return;
    }
    if (starts(name, "ldmatrix")) {
        i->run = matrix_load;
        i->space = SHARED;
        i->vector = strstr(name, ".x4") ? 4 : strstr(name, ".x2") ? 2 : 1;
        i->is_transposed = strstr(name, ".trans");
        read_moved(r, i, parts, true, false);
        return;
    }
    if (starts(name, "mma.sync")) {
        i->run = mma;
        read_shape(i, name);
        i->kind = strstr(name, ".tf32") ? 't' : strstr(name, ".bf16") ? 'b' : 'h';
        bool is_known = i->rows == 16 && i->columns == 8 && i->inner == (i->kind == 't' ? 8 : 16) && count == 14;
        if (!is_known) r->fault = name;
        for (int o = 0; o < count; o++) i->at[i->count++] = operand(r, parts[o], false);
        return;
    }
    if (starts(name, "wmma.")) {
        read_shape(i, name);
        i->space = strstr(name, ".shared") ? SHARED : GENERIC;
        char kind = strstr(name, ".tf32") ? 't' : strstr(name, ".bf16") ? 'b' : 'h';
        if (starts(name, "wmma.mma")) {
            i->run = wmma;
            i->kind = kind;
            int of_c = i->rows * i->columns / LANES, rest = count - 2 * of_c;
            // Both factors have as many registers, where the numbers are not those of bf16.
            int of_a = kind == 'b' ? i->rows * i->inner / 64 : rest / 2;
            if (rest <= 0) r->fault = name;
            i->vector = of_a;
            i->size = rest - of_a;
            for (int o = 0; o < count; o++) i->at[i->count++] = operand(r, parts[o], false);
            return;
        }
        bool is_load = starts(name, "wmma.load");
        i->run = is_load ? fragment_load : fragment_store;
        i->part = name[strlen(is_load ? "wmma.load." : "wmma.store.")];
        i->is_column_major = strstr(name, ".col");
        i->size = strstr(type, "16") ? 2 : 4;
        i->vector = count - 2;
        int stride = read_moved(r, i, parts, is_load, false);
        i->at[i->count++] = operand(r, parts[stride], false);
        return;
    }
    const char *widths = "";
    i->run = find_instruction(name, &widths);
    if (!i->run || (int)strlen(widths) != count) {
        r->fault = name;
        return;
    }
    for (int o = 0; o < count; o++) i->at[i->count++] = operand(r, parts[o], widths[o] == 'd');
}

// Gives where the first of them is.
static int declare(struct kernel *k, const char *name, int count, int width) {
    k->banks = grown(k->banks, k->bank_count, &k->bank_room, sizeof *k->banks);
    struct bank *bank = &k->banks[k->bank_count++];
    snprintf(bank->prefix, sizeof bank->prefix, "%s", name);
    bank->width = width;
    return bank->first = fresh(k, count * width);
}

static void read_registers(struct kernel *k, char *text) {
    // `.reg .b32 %r<9>` or `.reg .pred p, q`
    char *type = strtok(text, " \t\n,"), *name;
    type = strtok(NULL, " \t\n,");
    int width = strstr(type, "64") ? 2 : 1;
    while ((name = strtok(NULL, " \t\n,"))) {
        char *open = strchr(name, '<');
        int count = 1;
        if (open) *open = 0, count = atoi(open + 1);
        declare(k, name, count, width);
    }
}

// `.local .align 8 .b8 __local_depot0[24]`: its name is a register that has each thread's address.
static void read_local(struct kernel *k, char *text) {
    char *open = strchr(text, '['), *name = open;
    while (!isspace(name[-1])) name--;
    *open = 0;
    k->local_size = (atoi(open + 1) + 15) / 16 * 16;
    k->local_at = declare(k, name, 1, 2);
}

static void read_parameters(struct kernel *k, const char *from, const char *to) {
    int end = 0;
    for (const char *at = from; (at = strstr(at, ".param")) && at < to;) {
        struct parameter *p = &k->parameters[k->parameter_count++];
        int align = 8, length = 0;
        char type[16], name[300];
        at += strlen(".param");
        while (isspace(*at)) at++;
        if (starts(at, ".align")) at = strchr(at + 7, '.'), align = 64;
        sscanf(at, "%15s %299[^,)[\n ]%n", type, name, &length);
        at += length;
        int size;
        width_of(type, &size);
        if (*at == '[') size = atoi(at + 1);
        end = (end + align - 1) / align * align;
        snprintf(p->name, sizeof p->name, "%s", name);
        p->at = end;
        p->size = size;
        end += size;
    }
}

struct kernel *read_kernel(const char *text, const char *name) {
    char entry[600];
    snprintf(entry, sizeof entry, ".entry %s(", name);
    const char *at = strstr(text, entry);
    if (!at) return NULL;
    struct kernel *k = calloc(1, sizeof *k);
    k->name = strdup(name);
    for (int s = 0; s < SPECIALS; s++) k->special[s] = fresh(k, 1);
    const char *body = strchr(at, '{');
    read_parameters(k, at, body);
    struct reader reader = {k, NULL};
    int depth = 1;
    for (at = body + 1; depth && *at && !reader.fault;) {
        if (isspace(*at)) {
            at++;
            continue;
        }
        if (starts(at, "//") || starts(at, ".loc ") || starts(at, ".loc\t") || starts(at, ".file")) {
            at = strchr(at, '\n');
            continue;
        }
        if (*at == '{') {
            depth++;
            at++;
            continue;
        }
        if (*at == '}') {
            depth--;
            at++;
            continue;
        }
        const char *end = at + strcspn(at, ";:\n");
        // Two colons belong to a name.
        while (*end == ':' && (end[1] == ':' || end[-1] == ':')) end += 1 + strcspn(end + 1, ";:\n");
        if (*end == ':') {
            k->labels = grown(k->labels, k->label_count, &k->label_room, sizeof *k->labels);
            struct label *label = &k->labels[k->label_count++];
            snprintf(label->name, sizeof label->name, "%.*s", (int)(end - at), at);
            label->at = k->length;
            at = end + 1;
            continue;
        }
        end = at + strcspn(at, ";");
        char *line = strndup(at, end - at);
        at = end + 1;
        if (starts(line, ".reg")) {
            read_registers(k, line);
            continue;
        }
        if (starts(line, ".local")) {
            if (k->local_size) reader.fault = "more memory of a thread's own";
            read_local(k, line);
            continue;
        }
        if (*line == '.') continue;
        k->code = grown(k->code, k->length, &k->room, sizeof *k->code);
        struct instruction *i = &k->code[k->length++];
        *i = (struct instruction){.guard = -1, .text = strdup(line)};
        char *rest = line;
        if (*rest == '@') {
            i->is_not = rest[1] == '!';
            char *guard = strtok_r(rest + 1 + i->is_not, " \t", &rest);
            i->guard = operand(&reader, guard, false);
            while (isspace(*rest)) rest++;
        }
        size_t length = strcspn(rest, " \t\n");
        char *op = strndup(rest, length), *parts[OPERANDS];
        int count = split(rest + length, parts);
        read_instruction(&reader, i, op, parts, count);
        if (reader.fault) fprintf(stderr, "ptx: `%s` is not known in: %s\n", reader.fault, i->text);
    }
    for (int n = 0; n < k->length && !reader.fault; n++) {
        if (k->code[n].flow != BRANCH) continue;
        k->code[n].target = -1;
        for (int l = 0; l < k->label_count; l++)
            if (!strcmp(k->labels[l].name, k->code[n].text)) k->code[n].target = k->labels[l].at;
        if (k->code[n].target < 0) reader.fault = "a label";
    }
    return reader.fault ? NULL : k;
}
