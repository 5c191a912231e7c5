/* What Cython cannot say: ask for a cache line before it is needed, keep a rare function out of its callers and others in
   them, find the lowest bit that is set, multiply to 128 bits, lend memory to the kernel, wait for other threads. */
#ifndef CALISIM_INTRINSICS_H
#define CALISIM_INTRINSICS_H

#if defined(__GNUC__) || defined(__clang__)
/* The empty statement has no code: without it GCC takes a function that only asks for memory for one without effect, and
   leaves it out. */
#define prefetch_read(address) do { __builtin_prefetch((address), 0, 3); __asm__ volatile (""); } while (0)
#define prefetch_write(address) do { __builtin_prefetch((address), 1, 3); __asm__ volatile (""); } while (0)
#define lowest_bit(word) __builtin_ctzll(word)
#define aside __attribute__((cold, noinline)) void
#define built_in __attribute__((always_inline)) void
#define dead_end __attribute__((cold, noinline)) int
#define apart __attribute__((noinline)) int
#define flat __attribute__((flatten, noinline)) void
#else
#define prefetch_read(address) ((void)(address))
#define prefetch_write(address) ((void)(address))
#define aside void
#define built_in void
#define dead_end int
#define apart int
#define flat void
static inline int lowest_bit(unsigned long long word)
{
    int bit = 0;
    while (!(word >> bit & 1))
        bit++;
    return bit;
}
#endif

/* The halves of a 128-bit product, folded: a good mixture of both words for the price of one multiplication. */
static inline unsigned long long fold(unsigned long long a, unsigned long long b)
{
#ifdef __SIZEOF_INT128__
    unsigned __int128 product = (unsigned __int128)a * b;
    return (unsigned long long)product ^ (unsigned long long)(product >> 64);
#else
    unsigned long long low = (a & 0xFFFFFFFF) * (b & 0xFFFFFFFF), high = (a >> 32) * (b >> 32);
    unsigned long long cross = (a >> 32) * (b & 0xFFFFFFFF) + (low >> 32);
    unsigned long long other = (a & 0xFFFFFFFF) * (b >> 32) + (cross & 0xFFFFFFFF);
    return (other << 32 | (low & 0xFFFFFFFF)) ^ (high + (cross >> 32) + (other >> 32));
#endif
}

/* Memory that nobody has for now is the process' until the kernel needs it, then what is in it is lost: who writes to it before
   that need not wait for pages to be cleared. */
#include <stddef.h>
#include <stdint.h>
#if defined(__unix__) || defined(__APPLE__)
#include <sys/mman.h>
#include <unistd.h>
#endif
#ifdef MADV_FREE
enum { CAN_BE_LENT = 1 };
static inline void advise(void* memory, size_t size, int advice)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = ((uintptr_t)memory + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)memory + size) / page * page;
    if (first < end)
        (void)madvise((void*)first, end - first, advice);
}
#define lend(memory, size) advise((memory), (size), MADV_FREE)
#ifdef MADV_HUGEPAGE
#define ask_for_large_pages(memory, size) advise((memory), (size), MADV_HUGEPAGE)
#else
#define ask_for_large_pages(memory, size) ((void)(memory))
#endif
#else
enum { CAN_BE_LENT = 0 };
#define lend(memory, size) ((void)(memory))
#define ask_for_large_pages(memory, size) ((void)(memory))
#endif

/* Threads meet. Who comes early looks again and again, for the others are some microseconds away where all have a core; then it
   lets others run, and at last it sleeps a little between looks, for they may have much to do. */
#include <stdatomic.h>
#ifdef _WIN32
#include <windows.h>
#define let_others_run() SwitchToThread()
#define sleep_a_little() Sleep(0)
#else
#include <sched.h>
#include <time.h>
#define let_others_run() sched_yield()
static inline void sleep_a_little(void)
{
    struct timespec span = {0, 20000};
    nanosleep(&span, 0);
}
#endif

struct gate { atomic_int parties, arrived, round, broken, unfinished; };

#if defined(__x86_64__) || defined(__i386__)
#define take_a_breath() __builtin_ia32_pause()
#else
#define take_a_breath() ((void)0)
#endif

enum { LOOKS = 200, YIELDS = 1000 };

static inline void make_gate(struct gate* gate, int parties)
{
    atomic_init(&gate->parties, parties);
    atomic_init(&gate->arrived, 0);
    atomic_init(&gate->round, 0);
    atomic_init(&gate->broken, 0);
    atomic_init(&gate->unfinished, 0);
}

static inline void break_gate(struct gate* gate)
{
    atomic_store(&gate->broken, 1);
}

static inline int is_broken(struct gate* gate)
{
    return atomic_load(&gate->broken);
}

/* For all to know when they have met: one of them is not at the end. */
static inline void leave_unfinished(struct gate* gate)
{
    atomic_store(&gate->unfinished, 1);
}

static inline int is_unfinished(struct gate* gate)
{
    return atomic_load(&gate->unfinished);
}

/* Whether all have come; not, if one of them cannot. */
static inline int pass_gate(struct gate* gate)
{
    int round = atomic_load(&gate->round), waits = 0;
    if (atomic_fetch_add(&gate->arrived, 1) + 1 == atomic_load(&gate->parties)) {
        atomic_store(&gate->arrived, 0);
        atomic_fetch_add(&gate->round, 1);
    }
    while (atomic_load(&gate->round) == round && !is_broken(gate)) {
        waits++;
        if (waits > LOOKS + YIELDS)
            sleep_a_little();
        else if (waits > LOOKS)
            let_others_run();
        else
            take_a_breath();
    }
    return !is_broken(gate);
}

#endif
