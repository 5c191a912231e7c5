"""POLICY: what Calico's chains let pass of new connections, at the pods' own nodes."""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from calisim._vocabulary cimport *
from calisim.datapath.stages.types cimport (
    HITS, unsteady,
    Core, Tables, Walk, ECHO_REQUEST, PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, TRACK_REPLY)
from calisim.datapath.stages.lookup cimport descend
from calisim.datapath.stages.verdict cimport drop

cdef extern from "intrinsics.h":
    int lowest_bit(uint64_t word) nogil
    ctypedef bint apart                # of a function that is not for all packets

cdef enum:
    ANY_PROTOCOL = 256
    NOT_ASKED = 0xFFFFFFFF


# A packet under judgement. Peers are looked up when the first rule asks for an address.
cdef struct Suspect:
    uint32_t src
    uint32_t dst
    uint32_t src_peer
    uint32_t dst_peer
    uint16_t sport
    uint16_t dport
    uint8_t protocol


cdef inline void suspect(
    Suspect* s, const Packet* packet, uint32_t src, uint32_t dst, uint16_t sport, uint16_t dport,
) noexcept nogil:
    """The packet with the addresses and ports that it has now."""
    s.src, s.dst, s.sport, s.dport, s.protocol = src, dst, sport, dport, packet.protocol
    s.src_peer = s.dst_peer = NOT_ASKED


cdef inline uint32_t src_peer(const Tables* fib, Suspect* s) noexcept nogil:
    if s.src_peer == <uint32_t>NOT_ASKED:
        s.src_peer = descend(fib.peers, s.src)
    return s.src_peer


cdef inline uint32_t dst_peer(const Tables* fib, Suspect* s) noexcept nogil:
    if s.dst_peer == <uint32_t>NOT_ASKED:
        s.dst_peer = descend(fib.peers, s.dst)
    return s.dst_peer


cdef inline bint answers_to(const Tables* fib, uint32_t peer, uint32_t atom) noexcept nogil:
    """A rule's question about the address of a peer."""
    return fib.atoms[<size_t>peer * fib.atom_words + (atom >> 5)] >> (atom & 31) & 1


cdef inline bint holds(const Tables* fib, const Term* term, Suspect* s) noexcept nogil:
    """One alternative of what a rule asks besides addresses, protocol and port."""
    cdef uint32_t value = 0
    if term.protocol != ANY_PROTOCOL and term.protocol != s.protocol:
        return False
    if term.kind == TERM_KIND_SPORT:
        value = s.sport
    elif term.kind != TERM_KIND_ANY:
        value = s.dport
    if value < term.low or value > term.high:
        return False
    if not term.atom:
        return True
    return answers_to(fib, src_peer(fib, s) if term.kind == TERM_KIND_SPORT else dst_peer(fib, s), term.atom)


cdef inline apart all_hold(const Tables* fib, const Match* rule, Suspect* s) noexcept nogil:
    """Each group of terms: one of them, or where it is negated none."""
    cdef const Term* term
    cdef bint found = False
    cdef uint32_t i
    for i in range(rule.term_count):
        term = &fib.terms[rule.terms + i]
        found = found or holds(fib, term, s)
        if term.flags & TERM_FLAG_LAST:
            if found == (term.flags & TERM_FLAG_NEGATED != 0):
                return False
            found = False
    return True


cdef inline bint matches(const Tables* fib, const Match* rule, Suspect* s) noexcept nogil:
    if rule.protocol != ANY_PROTOCOL and rule.protocol != s.protocol:
        return False
    if s.dport < rule.low or s.dport > rule.high:
        return False
    if rule.src and not answers_to(fib, src_peer(fib, s), rule.src):
        return False
    if rule.dst and not answers_to(fib, dst_peer(fib, s), rule.dst):
        return False
    return not rule.term_count or all_hold(fib, rule, s)


cdef inline const Match* tried(const Tables* fib, const Tier* tier, Suspect* s) noexcept nogil:
    """The first of a tier's rules that matches, one by one; NULL none."""
    cdef const Match* rule
    cdef uint32_t i
    for i in range(tier.count):
        rule = &fib.matches[fib.steps[tier.steps + i]]
        if matches(fib, rule, s):
            return rule
    return NULL


cdef inline const Match* found(const Tables* fib, const Tier* tier, Suspect* s) noexcept nogil:
    """The same by the tier's index: only rules that are in the set of the peer and in that of the port are tried."""
    cdef const Index* index = &fib.indexes[tier.index]
    cdef uint32_t key = <uint32_t>s.protocol << 16 | s.dport
    cdef uint32_t low = 0, high = index.edge_count, middle, i, at, step
    cdef uint32_t filled = (index.words + 63) // 64
    cdef const uint64_t* by_peer = &fib.bits[fib.maps[index.peers + (dst_peer(fib, s) if index.by_dst else src_peer(fib, s))]]
    cdef const uint64_t* by_port
    cdef const Match* rule
    cdef uint64_t some, word
    while high - low > 1:                      # the last edge that is not above the key; the first one is 0
        middle = (low + high) // 2
        if fib.maps[index.edges + middle] <= key:
            low = middle
        else:
            high = middle
    by_port = &fib.bits[fib.maps[index.edges + index.edge_count + low]]
    for i in range(filled):
        some = by_peer[i] & by_port[i]
        while some:
            at = i * 64 + lowest_bit(some)
            if at >= index.words:
                return NULL
            word = by_peer[filled + at] & by_port[filled + at]
            while word:
                step = at * 64 + lowest_bit(word)
                if step >= tier.count:
                    return NULL
                rule = &fib.matches[fib.steps[tier.steps + step]]
                if matches(fib, rule, s):
                    return rule
                word &= word - 1
            some &= some - 1
    return NULL


cdef inline uint32_t sentence(const Tables* fib, uint32_t program, uint32_t owner, Suspect* s, uint32_t* decider) noexcept nogil:
    """What a program (0: none, which allows) says of the packet: ALLOW, DENY, or PASS where it ends without a word.

    Sets   decider: the rule, the tier whose end it was, the owner where the program's end decided, 0 where nothing did
    """
    cdef const Tier* tier = &fib.tiers[program]
    cdef const Match* rule
    decider[0] = 0
    while program:
        rule = found(fib, tier, s) if tier.index else tried(fib, tier, s)
        if rule is not NULL:
            if rule.action != POLICY_ACTION_PASS:
                decider[0] = rule.detail if rule.detail else owner
                return rule.action
        elif tier.end != POLICY_ACTION_PASS:
            decider[0] = tier.end_detail if tier.end_detail else owner
            return POLICY_ACTION_DENY
        if tier.last:
            decider[0] = owner if tier.last != POLICY_ACTION_PASS else 0
            return tier.last
        tier += 1
    return POLICY_ACTION_ALLOW


cdef inline bint judge(const Tables* fib, uint32_t pod, bint ingress, Suspect* s, uint32_t* decider) noexcept nogil:
    """Whether the pod's program in this direction allows the packet."""
    cdef const Endpoint* endpoint = &fib.endpoints[pod]
    cdef uint32_t program = endpoint.ingress if ingress else endpoint.egress
    decider[0] = 0
    return not program or sentence(fib, program, endpoint.detail, s, decider) == POLICY_ACTION_ALLOW


cdef inline bint ask(Core* core, Walk* w, Suspect* s, uint32_t pod, bint ingress) noexcept nogil:
    """One side's program.      Sets  a hit      Drops  POLICY_EGRESS, POLICY_INGRESS"""
    cdef uint32_t decider
    cdef bint allowed = judge(&core.fib, pod, ingress, s, &decider)
    if decider:
        core.hits[decider] += 1
        if w.carry.trail.hits[HITS - 1]:
            unsteady(w)
        w.carry.trail.hits[HITS - 1] = w.carry.trail.hits[0]
        w.carry.trail.hits[0] = decider
    return allowed or drop(core, w, STAGE_POLICY, DROP_POLICY_INGRESS if ingress else DROP_POLICY_EGRESS, w.id, decider)


cdef inline bint opens_tunnel(const Walk* w) noexcept nogil:
    """Felix: a workload opens neither IP-in-IP nor VXLAN, unless told to."""
    cdef const Encapsulation* vxlan = &ENCAPSULATIONS[ENCAP_VXLAN]
    if w.packet.protocol == ENCAPSULATIONS[ENCAP_IPIP].protocol:
        return not w.router.flags & ROUTER_FLAG_PODS_SEND_IPIP
    return (w.packet.protocol == vxlan.protocol and w.result.dport == vxlan.port
            and not w.router.flags & ROUTER_FLAG_PODS_SEND_VXLAN)


cdef inline void first_of(const Walk* w, Suspect* s) noexcept nogil:
    """The packet that opened the connection, as policy saw it; where conntrack has no ports, with those of this one."""
    cdef const Connection* c = w.connection
    cdef bint back = w.tracking == TRACK_REPLY
    suspect(s, w.packet, c.src, c.reply_src, w.result.sport, w.result.dport)
    if s.protocol == PROTOCOL_TCP or s.protocol == PROTOCOL_UDP:
        s.sport, s.dport = c.sport, c.reply_sport
    elif s.protocol == PROTOCOL_ICMP:
        s.sport, s.dport = c.sport, ECHO_REQUEST
    elif back:
        s.sport, s.dport = w.result.dport, w.result.sport


cdef inline bint police(Core* core, Walk* w) noexcept nogil:
    """The sender's program at its veth, the receiver's at its own; of answers, where policy cuts, the other ways round.

    Uses   w.connection (NULL: not known), w.tracking, w.route
    Drops  ENCAP_FROM_POD, POLICY_EGRESS, POLICY_INGRESS
    """
    cdef uint32_t sender = w.packet.ingress if w.carry.device == DEVICE_VETH else 0
    cdef uint32_t receiver = w.route.endpoint if w.carry.device != DEVICE_LOOPBACK else 0
    cdef bint back = False
    cdef Suspect s
    if (not w.router.flags & ROUTER_FLAG_CALICO_FILTER or not (sender or receiver)
            or (sender == receiver and not w.redirected)):
        return True
    if w.connection is not NULL:
        if not w.router.flags & ROUTER_FLAG_CUTS or w.quote is not NULL:
            return True
        back = w.tracking == TRACK_REPLY
        first_of(w, &s)
    else:
        if sender and opens_tunnel(w):
            return drop(core, w, STAGE_POLICY, DROP_ENCAP_FROM_POD, w.id, 0)
        suspect(&s, w.packet, w.result.src, w.result.dst, w.result.sport, w.result.dport)
    return ask(core, w, &s, sender, back) and ask(core, w, &s, receiver, not back)
