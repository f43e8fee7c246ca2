/* Stands in for libnvidia-ml.so.1, so that the real binding can be read without a GPU.
 *
 * STUB_CASE says how the GPU answers; STUB_LOG is a file that takes one line for each call that
 * wakes a GPU or lets it go.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, NOT_SUPPORTED = 3, NOT_FOUND = 6, DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15 };

static int is(const char *name) {
    const char *chosen = getenv("STUB_CASE");
    return chosen != NULL && strcmp(chosen, name) == 0;
}

static void note(const char *call) {
    FILE *log = fopen(getenv("STUB_LOG"), "a");
    fprintf(log, "%s\n", call);
    fclose(log);
}

/* What the fields of one GPU answer, apart from its name and memory. */
static int field(void) {
    if (is("orin") || is("silent"))
        return NOT_SUPPORTED;
    return is("lost") ? GPU_IS_LOST : OK;
}

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    note("init");
    return is("no_driver") ? DRIVER_NOT_LOADED : OK;
}

int nvmlShutdown(void) {
    note("shutdown");
    return OK;
}

const char *nvmlErrorString(int code) {
    (void)code;
    return "stub";
}

int nvmlSystemGetDriverVersion(char *version, unsigned length) {
    snprintf(version, length, "580.95.05");
    return OK;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    *device = (void *)1;
    return index == 0 ? OK : NOT_FOUND;
}

int nvmlDeviceGetHandleByPciBusId_v2(const char *address, void **device) {
    note(address);
    *device = (void *)1;
    return strcmp(address, "0000:01:00.0") == 0 ? OK : NOT_FOUND;
}

int nvmlDeviceGetName(void *device, char *name, unsigned length) {
    (void)device;
    if (is("silent"))
        return NOT_SUPPORTED;
    snprintf(name, length, is("garbled") ? "\xff\xfe" : is("orin") ? "Orin (nvgpu)" : "NVIDIA Stub");
    return OK;
}

int nvmlDeviceGetMemoryInfo(void *device, unsigned long long *memory) {
    (void)device;
    if (is("shared"))
        return NOT_SUPPORTED;
    memory[0] = 8ull << 30; /* total, free, used */
    memory[1] = 7ull << 30;
    memory[2] = 1ull << 30;
    return field();
}

int nvmlDeviceGetUtilizationRates(void *device, unsigned *rates) {
    (void)device;
    rates[0] = 37;
    return field();
}

int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *celsius) {
    (void)device;
    *celsius = sensor == 0 ? 54 : 0;
    return field();
}

/* A counter that grows by 2 J per call; GPUs before Volta ("old") have none. */
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *millijoules) {
    static unsigned long long counted = 5000000;
    (void)device;
    if (is("old"))
        return NOT_SUPPORTED;
    counted += 2000;
    *millijoules = counted;
    return field();
}

int nvmlDeviceGetCurrentClocksEventReasons(void *device, unsigned long long *reasons) {
    (void)device;
    *reasons = is("hot") ? 0x20 | 0x4 : 0x4; /* slowed for heat; a power cap */
    return field();
}

int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts) {
    (void)device;
    *milliwatts = 12500;
    return field();
}
