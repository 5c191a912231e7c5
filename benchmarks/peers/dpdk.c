/* rte_lpm and rte_fib (DIR-24-8) on prefixes and addresses of files: PREFIXES ADDRESSES OUT ROUNDS after EAL's options.

   A prefix is three words (network, length, number above 0), of equal ones the last counts. Prints for each table its name and
   nanoseconds per lookup, round by round; writes the numbers found (0: none), all of rte_lpm's, then all of rte_fib's. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_fib.h>
#include <rte_lpm.h>

enum { BULK = 64, GROUPS = 1 << 16, NUMBER = 0x00FFFFFF };        /* rte_lpm's numbers have 24 bits */

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, rte_strerror(rte_errno));
    exit(1);
}

static uint32_t *words_of(const char *path, size_t *count)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END))
        fail(path);
    *count = ftell(file) / sizeof(uint32_t);
    uint32_t *words = malloc(*count * sizeof(uint32_t));
    rewind(file);
    if (!words || fread(words, sizeof(uint32_t), *count, file) != *count)
        fail(path);
    fclose(file);
    return words;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1e9 + t.tv_nsec;
}

static void by_lpm(const struct rte_lpm *lpm, const uint32_t *addresses, size_t count, uint32_t *found)
{
    for (size_t i = 0; i < count; i += BULK) {
        unsigned n = count - i < BULK ? count - i : BULK;
        rte_lpm_lookup_bulk(lpm, addresses + i, found + i, n);
        for (size_t k = i; k < i + n; k++)
            found[k] = found[k] & RTE_LPM_LOOKUP_SUCCESS ? found[k] & NUMBER : 0;
    }
}

static void by_fib(struct rte_fib *fib, uint32_t *addresses, size_t count, uint32_t *found)
{
    uint64_t numbers[BULK];
    for (size_t i = 0; i < count; i += BULK) {
        unsigned n = count - i < BULK ? count - i : BULK;
        rte_fib_lookup_bulk(fib, addresses + i, numbers, n);
        for (unsigned k = 0; k < n; k++)
            found[i + k] = numbers[k];
    }
}

int main(int argc, char **argv)
{
    int options = rte_eal_init(argc, argv);
    if (options < 0 || argc - options != 5)
        fail("EAL");
    argv += options;
    size_t words, count;
    uint32_t *prefixes = words_of(argv[1], &words), *addresses = words_of(argv[2], &count);
    uint32_t *found = malloc(2 * count * sizeof(uint32_t));
    struct rte_lpm_config small = {.max_rules = words / 3 + 1, .number_tbl8s = GROUPS};
    struct rte_fib_conf large = {
        .type = RTE_FIB_DIR24_8, .default_nh = 0, .max_routes = words / 3 + 1,
        .dir24_8 = {.nh_sz = RTE_FIB_DIR24_8_4B, .num_tbl8 = GROUPS}};
    struct rte_lpm *lpm = rte_lpm_create("lpm", SOCKET_ID_ANY, &small);
    struct rte_fib *fib = rte_fib_create("fib", SOCKET_ID_ANY, &large);
    if (!found || !lpm || !fib)
        fail("no room for the tables");
    for (size_t i = 0; i + 2 < words; i += 3)
        if (rte_lpm_add(lpm, prefixes[i], prefixes[i + 1], prefixes[i + 2])
                || rte_fib_add(fib, prefixes[i], prefixes[i + 1], prefixes[i + 2]))
            fail("a prefix does not fit");
    rte_fib_select_lookup(fib, RTE_FIB_LOOKUP_DIR24_8_VECTOR_AVX512);          /* where there is none the plain one stays */
    double took[2][64];
    int rounds = atoi(argv[4]) < 64 ? atoi(argv[4]) : 64;
    for (int round = -1; round < rounds; round++) {                /* in turn; the first round warms up */
        double start = now();
        by_lpm(lpm, addresses, count, found);
        double between = now();
        by_fib(fib, addresses, count, found + count);
        if (round >= 0)
            took[0][round] = (between - start) / count, took[1][round] = (now() - between) / count;
    }
    for (int table = 0; table < 2; table++) {
        printf(table ? "rte_fib" : "rte_lpm");
        for (int round = 0; round < rounds; round++)
            printf(" %f", took[table][round]);
        printf("\n");
    }
    FILE *out = fopen(argv[3], "wb");
    if (!out || fwrite(found, sizeof(uint32_t), 2 * count, out) != 2 * count || fclose(out))
        fail(argv[3]);
    return 0;
}
