/* What Cython cannot say: ask for a cache line before it is needed. */
#ifndef CALISIM_INTRINSICS_H
#define CALISIM_INTRINSICS_H

#if defined(__GNUC__) || defined(__clang__)
#define prefetch_read(address) __builtin_prefetch((address), 0, 3)
#define prefetch_write(address) __builtin_prefetch((address), 1, 3)
#else
#define prefetch_read(address) ((void)(address))
#define prefetch_write(address) ((void)(address))
#endif

#endif
