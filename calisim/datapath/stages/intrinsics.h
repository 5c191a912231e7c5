/* What Cython cannot say: prefetch, and which branch is the usual one. */
#ifndef CALISIM_INTRINSICS_H
#define CALISIM_INTRINSICS_H

#if defined(__GNUC__) || defined(__clang__)
#define prefetch_read(address) __builtin_prefetch((address), 0, 3)
#define prefetch_write(address) __builtin_prefetch((address), 1, 3)
#define likely(condition) __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)
#else
#define prefetch_read(address) ((void)(address))
#define prefetch_write(address) ((void)(address))
#define likely(condition) (condition)
#define unlikely(condition) (condition)
#endif

#endif
