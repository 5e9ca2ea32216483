/*
 * Test of the default number of threads: environment, control groups.
 *
 * Includes its source, so that it can give it control groups of its own. Build it alone:
 *
 *     cc -std=c11 -Icsrc tests/c/check_thread_count.c -lpthread -lm
 */
#define _DEFAULT_SOURCE 1

#include "../../csrc/thread_count.c"

#include "check.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_environment(void)
{
    static const struct {
        const char *value;
        int threads;
    } cases[] = {{"3", 3},    {" 4 ", 4}, {"5,2,1", 5}, {"0", 0}, {"-2", 0},     {"", 0},
                 {"four", 0}, {"2x", 0},  {"1.5", 0},   {",", 0}, {"+6 , 1", 6}, {"99999999999999999999", 0}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        setenv("FN_CHECK_THREADS", cases[i].value, 1);
        CHECK(env_threads("FN_CHECK_THREADS") == cases[i].threads);
    }
    unsetenv("FN_CHECK_THREADS");
    CHECK(env_threads("FN_CHECK_THREADS") == 0);
    CHECK(allowed_cpus() >= 1);
}

static char scratch[] = "/tmp/check_thread_count.XXXXXX";

static const char *scratch_path(const char *name)
{
    static char path[256];
    snprintf(path, sizeof path, "%s/%s", scratch, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    FILE *file = fopen(scratch_path(name), "w");
    CHECK(file != NULL);
    if (file != NULL) {
        fputs(text, file);
        fclose(file);
    }
}

static int quota_of(const char *membership)
{
    char path[256];
    write_file("membership", membership);
    snprintf(path, sizeof path, "%s", scratch_path("membership"));
    return cgroup_cpus(path, scratch);
}

static void test_cgroups(void)
{
    static const char *dirs[] = {"a", "a/b", "cpu", "cpu/c", "cpu/c/d"};
    static const char *files[] = {"membership",
                                  "cpu.max",
                                  "a/cpu.max",
                                  "a/b/cpu.max",
                                  "cpu/c/cpu.cfs_quota_us",
                                  "cpu/c/cpu.cfs_period_us",
                                  "cpu/c/d/cpu.cfs_quota_us",
                                  "cpu/c/d/cpu.cfs_period_us"};
    CHECK(mkdtemp(scratch) != NULL);
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) CHECK(mkdir(scratch_path(dirs[i]), 0700) == 0);
    write_file("a/cpu.max", "250000 100000\n");
    write_file("a/b/cpu.max", "max 100000\n");
    write_file("cpu/c/cpu.cfs_quota_us", "400000\n");
    write_file("cpu/c/cpu.cfs_period_us", "100000\n");
    write_file("cpu/c/d/cpu.cfs_quota_us", "-1\n");
    write_file("cpu/c/d/cpu.cfs_period_us", "100000\n");

    CHECK(quota_of("") == INT_MAX);
    CHECK(quota_of("garbage\n0:\n") == INT_MAX);
    CHECK(quota_of("0::/\n") == INT_MAX);
    CHECK(quota_of("0::/a\n") == 3);
    CHECK(quota_of("0::/a/b\n") == 3);
    CHECK(quota_of("0::/a/b/not/here\n") == 3);
    CHECK(quota_of("3:cpuset:/c\n2:cpuacct,cpux:/c\n") == INT_MAX);
    CHECK(quota_of("3:cpuacct,cpu:/c/d\n0::/\n") == 4);
    CHECK(quota_of("3:cpu:/c\n0::/a/b\n") == 3);
    write_file("cpu.max", "5000 100000\n"); /* a container's own, at the root */
    CHECK(quota_of("0::/\n") == 1);
    CHECK(quota_of("0::/host/path\n") == 1);
    write_file("cpu.max", "9223372036854775807 1\n");
    CHECK(quota_of("0::/\n") == INT_MAX);
    CHECK(cgroup_cpus(scratch_path("no such file"), scratch) == INT_MAX);

    for (size_t i = sizeof files / sizeof files[0]; i-- > 0;) CHECK(unlink(scratch_path(files[i])) == 0);
    for (size_t i = sizeof dirs / sizeof dirs[0]; i-- > 0;) CHECK(rmdir(scratch_path(dirs[i])) == 0);
    CHECK(rmdir(scratch) == 0);
}

int main(void)
{
    test_environment();
    test_cgroups();
    printf(atomic_load(&failures) == 0 ? "passed\n" : "FAILED\n");
    return atomic_load(&failures) != 0;
}
