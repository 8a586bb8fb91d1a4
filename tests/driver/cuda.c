// Plays NVIDIA's driver: answers what variables of the environment say, and computes nothing.
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static int said(const char *name, int otherwise) {
    const char *text = getenv(name);
    return text ? atoi(text) : otherwise;
}

int cuInit(unsigned flags) { return flags ? 1 : said("FAKE_INIT", 0); }
int cuDriverGetVersion(int *version) { *version = said("FAKE_VERSION", 12040); return 0; }
int cuDeviceGetCount(int *count) { *count = said("FAKE_COUNT", 1); return 0; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return 0; }
int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = (size_t)24 << 30; return device < 0; }

int cuDeviceGetName(char *name, int length, int device) {
    strncpy(name, device ? "Second Card" : "First Card", length);
    return 0;
}

int cuDeviceGetPCIBusId(char *id, int length, int device) {
    strncpy(id, device ? "0000:02:00.0" : "0000:01:00.0", length);
    return 0;
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
    *value = attribute == 20 ? said("FAKE_MODE", 0) : attribute == 75 ? 8 : 6;
    return device < 0;
}

int cuDevicePrimaryCtxRetain(void **context, int device) {
    static int one;
    *context = &one;
    return device < 0 ? 1 : said("FAKE_CONTEXT", 0);
}

int cuCtxPushCurrent_v2(void *context) { return context == NULL; }
int cuCtxPopCurrent_v2(void **context) { *context = NULL; return 0; }

int cuMemGetInfo_v2(size_t *free, size_t *total) {
    *free = (size_t)said("FAKE_FREE", 20000) << 20;
    *total = (size_t)24 << 30;
    return 0;
}
