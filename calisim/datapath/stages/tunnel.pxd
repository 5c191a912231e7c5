"""Tunnels' connections: the outer packet of a tunnel is to conntrack one that the node sends or gets, by its outer header.

Neither NAT nor services nor policy are asked, and RESULT does not speak of it.
"""
from libc.stdint cimport uint64_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport Connection, Core, Seat, Tuple, Walk, unsteady
from calisim.datapath.stages.conntrack cimport renew
from calisim.datapath.stages.lookup cimport class_of
from calisim.datapath.stages.ties cimport touch
from calisim.datapath.stages.track cimport find_at, inverse, is_original, redirected, seat_foreseen, translated
from calisim.datapath.stages.translate cimport confirm, search
from calisim.datapath.stages.verdict cimport drop


cdef inline bint is_tracked(const Walk* w) noexcept nogil:
    """Felix exempts VXLAN (NOTRACK)."""
    return w.carry.encap != ENCAP_VXLAN or not w.router.flags & ROUTER_FLAG_CALICO_FILTER


cdef inline Tuple outer_tuple(const Walk* w) noexcept nogil:
    """The packet's tuple at this router by its outer header."""
    cdef Tuple t
    t.key, t.flags, t.protocol = w.router.key, 0, ENCAPSULATIONS[w.carry.encap].protocol
    t.src, t.dst = w.result.outer_src, w.result.outer_dst
    t.sport, t.dport = w.carry.outer_sport, w.carry.outer_dport        # of IPIP 0
    return t


cdef inline Connection* open_tunnel(Core* core, Walk* w, const Tuple* original, const Seat* there) noexcept nogil:
    """Its new entry, with a null binding.      Drops (NULL)  SNAT_PORTS_EXHAUSTED"""
    cdef Tuple reply = inverse(original)
    cdef Seat back = there[0]
    cdef uint64_t time = w.packet.time
    if find_at(core, &reply, &back, time) is not NULL and not search(core, w.glance, original, &reply, &back, time):
        drop(core, w, STAGE_TRANSLATE, DROP_SNAT_PORTS_EXHAUSTED, w.id, 0)
        return NULL
    return confirm(core, w, original, &reply, there, &back)


cdef inline bint made(Core* core, Walk* w) noexcept nogil:
    """The outer packet of a tunnel that begins here.

    Uses   outer header    Sets  outer header, where its connection is a translated one    Drops  SNAT_PORTS_EXHAUSTED
    """
    cdef Tuple t
    cdef Connection* c
    cdef Seat seat
    if not is_tracked(w):
        return True
    t = outer_tuple(w)
    seat = seat_foreseen(core, &w.glance.out, &t)
    c = find_at(core, &t, &seat, w.packet.time)
    if c is NULL:
        unsteady(w)
        c = open_tunnel(core, w, &t, &seat)
        if c is NULL:
            return False
    elif is_original(c, &t):
        touch(core, w, c, False)
        renew(core, c, w.packet.time, False)
    else:
        touch(core, w, c, True)
        renew(core, c, w.packet.time, True)
        w.result.outer_src, w.result.outer_dst, w.carry.outer_sport, w.carry.outer_dport = c.dst, c.src, c.dport, c.sport
        return True
    w.result.outer_src, w.result.outer_dst = c.reply_dst, c.reply_src
    w.carry.outer_sport, w.carry.outer_dport = c.reply_dport, c.reply_sport
    return True


cdef inline bint may_send(const Core* core, const Walk* w) noexcept nogil:
    """Felix takes tunnels' packets only from who is known to send them."""
    return (not w.router.flags & ROUTER_FLAG_CALICO_FILTER
            or core.fib.classes[class_of(&core.fib, w.result.outer_src)].flags & CLASS_FLAG_TUNNEL_SENDER != 0)


cdef inline bint taken(Core* core, Walk* w, bint* own) noexcept nogil:
    """The outer packet of a tunnel that ends here.

    Uses   outer header    Sets  own: False where a known connection leads it elsewhere: nothing has happened to it yet
    Drops  TUNNEL_UNKNOWN_SENDER, SNAT_PORTS_EXHAUSTED
    """
    cdef Tuple t
    cdef Connection* c = NULL
    cdef bint tracked = is_tracked(w), reply
    cdef Seat seat
    own[0] = True
    if tracked:
        t = outer_tuple(w)
        seat = seat_foreseen(core, &w.glance.into, &t)
        c = find_at(core, &t, &seat, w.packet.time)
        if c is not NULL:
            reply = not is_original(c, &t)
            if translated(c) if reply else redirected(c):
                own[0] = False
                return True
            touch(core, w, c, reply)
            renew(core, c, w.packet.time, reply)
        else:
            unsteady(w)
    if not may_send(core, w):
        return drop(core, w, STAGE_DECAPSULATE, DROP_TUNNEL_UNKNOWN_SENDER, w.id, 0)
    return not tracked or c is not NULL or open_tunnel(core, w, &t, &seat) is not NULL
