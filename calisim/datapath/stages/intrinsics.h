/* What Cython cannot say: ask for a cache line before it is needed, find the lowest bit that is set. */
#ifndef CALISIM_INTRINSICS_H
#define CALISIM_INTRINSICS_H

#if defined(__GNUC__) || defined(__clang__)
#define prefetch_read(address) __builtin_prefetch((address), 0, 3)
#define prefetch_write(address) __builtin_prefetch((address), 1, 3)
#define lowest_bit(word) __builtin_ctzll(word)
#else
#define prefetch_read(address) ((void)(address))
#define prefetch_write(address) ((void)(address))
static inline int lowest_bit(unsigned long long word)
{
    int bit = 0;
    while (!(word >> bit & 1))
        bit++;
    return bit;
}
#endif

#endif
