// Plays NVIDIA's driver: answers what variables of the environment say, and runs kernels on the CPU.
#include "ptx.h"

#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SUCCESS = 0,
    OUT_OF_MEMORY = 2,
    NO_BINARY_FOR_GPU = 209,
    NOT_FOUND = 500,
    LAUNCH_FAILED = 719,
    NOT_SUPPORTED = 801
};

typedef uint64_t address;

static int said(const char *name, int otherwise) {
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}

int cuInit(unsigned flags) { return flags ? 1 : said("FAKE_INIT", 0); }
int cuDriverGetVersion(int *version) {
    *version = said("FAKE_VERSION", 12040);
    return SUCCESS;
}
int cuDeviceGetCount(int *count) {
    *count = said("FAKE_COUNT", 1);
    return SUCCESS;
}
int cuDeviceGet(int *device, int ordinal) {
    *device = ordinal;
    return SUCCESS;
}
int cuDeviceTotalMem_v2(size_t *bytes, int device) {
    *bytes = (size_t)24 << 30;
    return device < 0;
}

int cuDeviceGetName(char *name, int length, int device) {
    strncpy(name, device ? "Second Card" : "First Card", length);
    return SUCCESS;
}

int cuDeviceGetPCIBusId(char *id, int length, int device) {
    strncpy(id, device ? "0000:02:00.0" : "0000:01:00.0", length);
    return SUCCESS;
}

// As a GPU of compute capability 8.6 would answer.
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    switch (attribute) {
    case 1:
    case 2:
    case 3: *value = 1024; break;       // threads of a block, in all and by x and y
    case 4: *value = 64; break;         // by z
    case 5: *value = 2147483647; break; // blocks by x
    case 6:
    case 7: *value = 65535; break;                 // by y and z
    case 10: *value = 32; break;                   // threads of a warp
    case 16: *value = 82; break;                   // multiprocessors
    case 20: *value = said("FAKE_MODE", 0); break; // compute mode
    case 75: *value = 8; break;                    // compute capability
    case 76: *value = 6; break;
    case 97: *value = 101376; break; // bytes of shared memory that a block may ask for
    default: *value = 0;
    }
    return device < 0;
}

int cuDevicePrimaryCtxRetain(void **context, int device) {
    static int contexts[8];
    *context = &contexts[device & 7];
    return device < 0 ? 1 : said("FAKE_CONTEXT", 0);
}

int cuCtxPushCurrent_v2(void *context) { return context == NULL; }
int cuCtxPopCurrent_v2(void **context) {
    *context = NULL;
    return SUCCESS;
}
int cuCtxSetCurrent(void *context) { return context == NULL; }

int cuMemGetInfo_v2(size_t *free, size_t *total) {
    *free = (size_t)said("FAKE_FREE", 20000) << 20;
    *total = (size_t)24 << 30;
    return SUCCESS;
}

// Memory is this program's own, and all is done at once: streams and events have nothing to wait for.
// A block begins with its size.
#define HEAD 256
static size_t used;

int cuMemAlloc_v2(address *at, size_t size) {
    size_t room = (size_t)said("FAKE_ROOM", 24 << 10) << 20;
    char *place = NULL;
    if (__atomic_add_fetch(&used, size, __ATOMIC_RELAXED) <= room)
        place = aligned_alloc(HEAD, (HEAD + size + HEAD - 1) / HEAD * HEAD);
    if (!place) {
        __atomic_sub_fetch(&used, size, __ATOMIC_RELAXED);
        return OUT_OF_MEMORY;
    }
    memcpy(place, &size, sizeof size);
    *at = (address)(place + HEAD);
    return SUCCESS;
}
int cuMemAllocAsync(address *at, size_t size, void *stream) {
    (void)stream;
    return cuMemAlloc_v2(at, size);
}
int cuMemFree_v2(address at) {
    char *place = (char *)at - HEAD;
    size_t size;
    memcpy(&size, place, sizeof size);
    __atomic_sub_fetch(&used, size, __ATOMIC_RELAXED);
    free(place);
    return SUCCESS;
}
int cuMemFreeAsync(address at, void *stream) {
    (void)stream;
    return cuMemFree_v2(at);
}
int cuMemAllocHost_v2(void **at, size_t size) {
    *at = malloc(size);
    return *at ? SUCCESS : OUT_OF_MEMORY;
}
int cuMemFreeHost(void *at) {
    free(at);
    return SUCCESS;
}

static int move(void *to, const void *from, size_t size) {
    forget_last_kernel();
    memcpy(to, from, size);
    return SUCCESS;
}

int cuMemcpyHtoDAsync_v2(address to, const void *from, size_t size, void *stream) {
    (void)stream;
    return move((void *)to, from, size);
}
int cuMemcpyDtoHAsync_v2(void *to, address from, size_t size, void *stream) {
    (void)stream;
    return move(to, (void *)from, size);
}
int cuMemcpyDtoDAsync_v2(address to, address from, size_t size, void *stream) {
    (void)stream;
    return move((void *)to, (void *)from, size);
}

// `CUDA_MEMCPY2D`: rows with gaps between them, on the host (kind 1) or here.
struct side {
    size_t x, y;
    int kind;
    void *host;
    address device;
    void *array;
    size_t pitch;
};
struct rows {
    struct side from, to;
    size_t width, height;
};

static char *corner(const struct side *side) {
    return (side->kind == 1 ? (char *)side->host : (char *)side->device) + side->y * side->pitch + side->x;
}

int cuMemcpy2DAsync_v2(const struct rows *rows, void *stream) {
    (void)stream;
    for (size_t y = 0; y < rows->height; y++)
        move(corner(&rows->to) + y * rows->to.pitch, corner(&rows->from) + y * rows->from.pitch, rows->width);
    return SUCCESS;
}

int cuStreamCreate(void **stream, unsigned flags) {
    *stream = malloc(1);
    return flags > 1;
}
int cuStreamSynchronize(void *stream) { return stream == NULL; }
int cuStreamWaitEvent(void *stream, void *event, unsigned flags) { return !stream || !event || flags; }
int cuEventCreate(void **event, unsigned flags) {
    *event = malloc(1);
    return flags > 3;
}
int cuEventRecord(void *event, void *stream) { return !event || !stream; }
int cuEventSynchronize(void *event) { return event == NULL; }
int cuEventDestroy_v2(void *event) {
    free(event);
    return SUCCESS;
}

int cuModuleLoadData(void **module, const void *image) {
    *module = strdup(image);
    return SUCCESS;
}

int cuModuleGetFunction(void **function, void *module, const char *name) {
    // Reading splits text with `strtok`, and devices have threads of their own.
    static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&one);
    *function = read_kernel(module, name);
    pthread_mutex_unlock(&one);
    return *function ? SUCCESS : NO_BINARY_FOR_GPU;
}

// Cards below compute capability 9.0 have no maps of tensors.
int cuTensorMapEncodeTiled(void) { return NOT_SUPPORTED; }
int cuTensorMapEncodeIm2col(void) { return NOT_SUPPORTED; }
int cuFuncSetAttribute(void *function, int attribute, int value) { return !function || attribute < 0 || value < 0; }

int cuLaunchKernel(void *function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                   unsigned block_y, unsigned block_z, unsigned shared, void *stream, void **values, void **extra) {
    const uint32_t grid[] = {grid_x, grid_y, grid_z}, block[] = {block_x, block_y, block_z};
    if (!stream || extra) return NOT_SUPPORTED;
    // With nothing to wait for, what takes time is what comes before a launch.
    if (said("FAKE_IDLE", 0)) return SUCCESS;
    return run_kernel(function, grid, block, shared, values) ? LAUNCH_FAILED : SUCCESS;
}

// NVRTC looks for tables here and does without.
int cuGetExportTable(const void **table, const void *id) {
    *table = NULL;
    return id ? NOT_FOUND : 1;
}
int cuGetErrorName(int error, const char **text) {
    *text = "an error";
    return error < 0;
}
int cuGetErrorString(int error, const char **text) {
    *text = "an error that is played";
    return error < 0;
}
