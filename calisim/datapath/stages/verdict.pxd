"""How a journey ends: the last fields of RESULT and the counters of verdicts and losses. Always returns false (*stop*)."""
from libc.stdint cimport uint32_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport Core, Walk

cdef extern from "intrinsics.h":
    ctypedef void aside                # of functions that are rarely called
    ctypedef bint dead_end


cdef inline bint end(Core* core, Walk* w, uint32_t verdict, uint32_t stage, uint32_t where) noexcept nogil:
    """Uses everything so far. Sets verdict, stage, where, path."""
    cdef Result* result = w.result
    cdef uint32_t hops = result.hops if result.hops < 15 else 15
    result.verdict, result.stage, result.where = verdict, stage, where
    result.path = (verdict | <uint32_t>result.reason << 3 | <uint32_t>result.encap << 9 | hops << 12
                   | (result.flags & 0xFF) << 16)
    core.verdicts[verdict] += 1
    return False


cdef inline dead_end drop(Core* core, Walk* w, uint32_t stage, uint32_t reason, uint32_t where, uint32_t detail) noexcept nogil:
    """A loss with its reason and the object that decided it."""
    w.result.reason, w.result.detail = reason, detail
    core.drops[<size_t>where * DROP_COUNT + reason] += 1
    return end(core, w, VERDICT_DROPPED, stage, where)


cdef inline dead_end unknown(Core* core, Walk* w, uint32_t stage, uint32_t where, uint32_t detail) noexcept nogil:
    """What the model does not know it does not guess."""
    w.result.detail = detail
    return end(core, w, VERDICT_UNDETERMINED, stage, where)


cdef inline aside object_to(Walk* w, uint32_t error, uint8_t ttl, uint32_t mtu) noexcept nogil:
    """The loss that follows is one that the router tells the sender of."""
    w.error, w.error_ttl, w.error_mtu = error, ttl, mtu


cdef inline dead_end proceed(
    Core* core, Walk* w, uint32_t stage, uint32_t where, uint32_t limit, uint32_t resume, uint32_t resume_at,
) noexcept nogil:
    """What was sent goes on as its pieces, of at most ``limit`` bytes, or held as a piece of something whole (limit 0)."""
    w.limit, w.resume, w.resume_at = limit, resume, resume_at
    w.result.detail = 0
    return end(core, w, VERDICT_CONTINUED, stage, where)
