"""Random choices without a random generator: the same bits as :mod:`calisim.vocabulary.chance`."""
from libc.stdint cimport uint64_t


cdef inline uint64_t stir(uint64_t state, uint64_t word) noexcept nogil:
    """One word more (SplitMix64's finalizer: Steele, Lea, Flood 2014)."""
    state = (state + <uint64_t>0x9E3779B97F4A7C15) ^ word
    state = (state ^ (state >> 30)) * <uint64_t>0xBF58476D1CE4E5B9
    state = (state ^ (state >> 27)) * <uint64_t>0x94D049BB133111EB
    return state ^ (state >> 31)


cdef inline uint64_t draw4(uint64_t begun, uint64_t b, uint64_t c, uint64_t d) noexcept nogil:
    """Of four words, the first of which has been stirred already (Tables.begun)."""
    return stir(stir(stir(begun, b), c), d)


cdef inline uint64_t draw5(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e) noexcept nogil:
    return stir(draw4(stir(0, a), b, c, d), e)
