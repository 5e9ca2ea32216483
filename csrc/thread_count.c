/* How many threads the process starts with. */
#define _DEFAULT_SOURCE 1 /* syscall(); brings POSIX with it */

#include "thread_count.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/syscall.h>
#endif

/* ---- CPUs: affinity mask and cgroup quota */

/* The CPUs that this thread may run on. */
static int affinity_cpus(void)
{
#if defined(__linux__)
    /* The system call: the C library's wrapper and its macros are GNU-only. */
    unsigned long mask[1024]; /* 64 Ki CPUs */
    const long bytes = syscall(SYS_sched_getaffinity, 0, sizeof mask, mask);
    int cpus = 0;
    for (long i = 0; i < bytes / (long)sizeof mask[0]; i++)
        for (unsigned long word = mask[i]; word != 0; word &= word - 1) cpus++;
    if (cpus > 0) return cpus;
#endif
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 && online < INT_MAX ? (int)online : 1;
}

enum { PATH_SIZE = 4096 + 256 };

/* Read up to two numbers; those that are not there stay as they are. */
static void read_numbers(const char *dir, const char *name, long long *a, long long *b)
{
    char path[PATH_SIZE];
    const int length = snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = length >= 0 && length < PATH_SIZE ? fopen(path, "r") : NULL;
    if (file == NULL) return;
    (void)fscanf(file, "%lld %lld", a, b);
    fclose(file);
}

/* The quota of one cgroup in CPUs, rounded up; INT_MAX where it has none. */
static int quota_cpus(const char *dir)
{
    long long quota = -1, period = 0, unused;
    read_numbers(dir, "cpu.max", &quota, &period);          /* v2; "max 100000": none */
    read_numbers(dir, "cpu.cfs_quota_us", &quota, &unused); /* v1; -1: none */
    read_numbers(dir, "cpu.cfs_period_us", &period, &unused);
    if (quota <= 0 || period <= 0) return INT_MAX;
    const long long cpus = (quota - 1) / period + 1;
    return cpus < INT_MAX ? (int)cpus : INT_MAX;
}

/*
 * The tightest quota on the way from the cgroup `path` up to the root of its
 * hierarchy. In a container the path may name directories of the host; those
 * are not there, and the container's own quota is found at the root.
 */
static int path_quota_cpus(const char *mount, const char *hierarchy, const char *path)
{
    const size_t root = strlen(mount) + strlen(hierarchy);
    char dir[PATH_SIZE];
    int least = INT_MAX;
    const int length = snprintf(dir, sizeof dir, "%s%s%s", mount, hierarchy, path);
    if (length < 0 || length >= PATH_SIZE) return least;
    for (;;) {
        const int cpus = quota_cpus(dir);
        if (cpus < least) least = cpus;
        char *slash = strrchr(dir + root, '/');
        if (slash == NULL) return least;
        *slash = '\0';
    }
}

static bool lists_cpu(const char *controllers)
{
    for (;;) {
        const size_t length = strcspn(controllers, ",");
        if (length == 3 && memcmp(controllers, "cpu", 3) == 0) return true;
        if (controllers[length] == '\0') return false;
        controllers += length + 1;
    }
}

/*
 * The tightest quota of the process; INT_MAX where it has none. Each line of
 * `membership` is id:controllers:path, with no controllers for v2.
 */
static int cgroup_cpus(const char *membership, const char *mount)
{
    int least = INT_MAX;
    char line[PATH_SIZE];
    FILE *file = fopen(membership, "r");
    if (file == NULL) return least;
    while (fgets(line, sizeof line, file) != NULL) {
        char *controllers = strchr(line, ':');
        char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (path == NULL) continue;
        *path++ = '\0';
        path[strcspn(path, "\n")] = '\0';
        const bool v2 = *++controllers == '\0';
        if (!v2 && !lists_cpu(controllers)) continue;
        const int cpus = path_quota_cpus(mount, v2 ? "" : "/cpu", path);
        if (cpus < least) least = cpus;
    }
    fclose(file);
    return least;
}

static int allowed_cpus(void)
{
    const int affinity = affinity_cpus();
    const int quota = cgroup_cpus("/proc/self/cgroup", "/sys/fs/cgroup");
    return affinity < quota ? affinity : quota;
}

/* ---- Environment variables */

/* The number that a variable, or a list in it, begins with; 0 for none. */
static int env_threads(const char *name)
{
    const char *value = getenv(name);
    if (value == NULL) return 0;
    char *end;
    const long n = strtol(value, &end, 10);
    end += strspn(end, " \t");
    return (*end == '\0' || *end == ',') && n >= 1 && n < INT_MAX ? (int)n : 0;
}

int fn_default_num_threads(void)
{
    int n = env_threads("FASTNORM_NUM_THREADS");
    if (n == 0) n = env_threads("OMP_NUM_THREADS");
    return n != 0 ? n : allowed_cpus();
}
