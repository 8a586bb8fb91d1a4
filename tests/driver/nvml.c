// Plays NVML for the first card of `cuda.c`: half busy, with 3 GiB taken.
#include <string.h>

int nvmlInit_v2(void) { return 0; }

int nvmlDeviceGetHandleByPciBusId_v2(const char *id, void **device) {
    static int card;
    *device = &card;
    return strcmp(id, "0000:01:00.0") != 0;
}

int nvmlDeviceGetUtilizationRates(void *device, unsigned rates[2]) {
    rates[0] = 50;
    rates[1] = 7;
    return device == 0;
}

int nvmlDeviceGetMemoryInfo(void *device, unsigned long long memory[3]) {
    memory[0] = 24ULL << 30;
    memory[1] = 21ULL << 30;
    memory[2] = 3ULL << 30;
    return device == 0;
}
