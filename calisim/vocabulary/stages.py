"""Where things happen to a packet, and how its journey can end.

The order of :class:`Stage` is the order on a node as the Linux kernel was measured to keep it:
TTL, MTU, then NAT, then encapsulation; a packet whose TTL has run out never reaches NAT.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag


class Stage(IntEnum):
    """Stages of a router in the order in which a packet meets them; names appear in traces and counters."""

    NONE = 0           # nobody decided yet
    ENDPOINT = 1       # the sending or receiving endpoint's own stack
    FABRIC_IN = 2      # arriving at a network interface: NACL, security group, destination check
    DECAPSULATE = 3    # outer header off: sender known? ECN legal?
    SOURCE_CHECK = 4   # anti-spoofing at the pod's veth, rp_filter and martians elsewhere
    DEFRAGMENT = 5     # conntrack holds pieces until their datagram is whole
    CONNTRACK = 6      # which connection it belongs to, or that it is INVALID
    BALANCE = 7        # service address → endpoint (DNAT)
    LOOKUP = 8         # longest prefix match → adjacency
    LOCAL_IN = 9       # addressed to the node itself
    TTL = 10           # counted down, once on each router
    MTU = 11           # does it fit the interface that it leaves by?
    POLICY = 12        # policies and profiles of the pods, and of host endpoints
    TRANSLATE = 13     # natOutgoing and tunnel masquerade (SNAT)
    FRAGMENT = 14      # cut: what came in pieces, and what is too long and may be cut
    ENCAPSULATE = 15   # the outer header: IPIP or VXLAN
    FABRIC_OUT = 16    # leaving a network interface: source check, security group
    FABRIC = 17        # the cloud's router: NACL, route table, owner, protocol, MTU, gateways
    DELIVER = 18       # handed to the pod, or to the host outside


class Verdict(IntEnum):
    """How a journey ends; ``verdict.sentence`` says it. UNDETERMINED and CONTINUED are neither success nor failure."""

    NONE = 0
    DELIVERED = 1
    EXITED = 2
    DROPPED = 3
    REFUSED = 4
    UNDETERMINED = 5
    CONTINUED = 6

    @property
    def sentence(self) -> str:
        return _ENDS[self]

    @property
    def success(self) -> bool:
        return self in (Verdict.DELIVERED, Verdict.EXITED)

    @property
    def failure(self) -> bool:
        return self in (Verdict.DROPPED, Verdict.REFUSED)


_ENDS = {
    Verdict.NONE: "",
    Verdict.DELIVERED: "the addressed endpoint has it",
    Verdict.EXITED: "it left the modelled network towards an address that the scenario does not name",
    Verdict.DROPPED: "it is lost, for exactly one reason",
    Verdict.REFUSED: "the endpoint's own stack said no (port unreachable, RST)",
    Verdict.UNDETERMINED: "the model does not know, and does not guess",
    Verdict.CONTINUED: "what was sent goes on as other packets: its fragments, or the datagram of which it is a fragment",
}


class Relation(IntEnum):
    """What a born packet is to the packet that gave rise to it."""

    NONE = 0
    ERROR = 1          # an ICMP error about it
    PIECE = 2          # a fragment of it
    WHOLE = 3          # the datagram of which it was the last missing fragment
    REPLY = 4          # what the stack that got it says


class AdjacencyKind(IntEnum):
    """What a route says to do. Index 0 of every adjacency table is DROP, so a zeroed table drops."""

    DROP = 0           # no route, or a blackhole route (the record's reason says which)
    LOCAL = 1          # an endpoint here: a pod's veth, or the node itself
    ATTACHED = 2       # on the node's own link: the next hop is the destination itself
    REMOTE = 3         # through a next hop on the node's own link
    TUNNEL = 4         # encapsulate to the next hop, then look up the outer header


class EndpointKind(IntEnum):
    """A thing with an address that may send or receive."""

    NONE = 0
    NODE = 1
    POD = 2
    HOST = 3           # outside the cluster


class Device(IntEnum):
    """Kinds of interface of a node; with the router they name a link."""

    NONE = 0
    VETH = 1           # cali…
    ETHERNET = 2       # eth0
    IPIP = 3           # tunl0
    VXLAN = 4          # vxlan.calico
    LOOPBACK = 5       # the node's own stack


class Direction(IntEnum):
    """Of an EVENT: which way an interface was crossed, seen from its router."""

    IN = 0             # into the router
    OUT = 1            # out of it


class RpFilter(IntEnum):
    """net.ipv4.conf.*.rp_filter."""

    OFF = 0
    STRICT = 1
    LOOSE = 2


class TargetKind(IntEnum):
    """Where a route of the cloud's route table leads. 0 is *no route*."""

    NONE = 0
    LOCAL = 1          # deliver to whoever owns the address
    NODE = 2           # to a node's interface, whatever the destination
    INTERNET = 3       # the internet gateway
    NAT = 4            # a NAT gateway (not modelled: UNDETERMINED)
    BLACKHOLE = 5
    OUTSIDE = 6        # a plain router's leg to the outside: no gateway, no translation
    QUOTA = 7          # a route that did not fit the table and that nothing else replaces


class ConnectionState(IntEnum):
    """Of a tracked connection. NEW is for all protocols but TCP, whose states are the kernel's."""

    NONE = 0
    NEW = 1            # first packet seen, no answer yet
    ESTABLISHED = 2    # an answer was seen; TCP: the handshake, or a connection was picked up in its middle
    SYN_SENT = 3
    SYN_RECV = 4       # SYN-ACK seen
    FIN_WAIT = 5       # FIN seen
    CLOSE_WAIT = 6     # ... and acknowledged
    LAST_ACK = 7       # FIN seen from both
    TIME_WAIT = 8      # ... and acknowledged
    CLOSE = 9          # RST seen
    SYN_SENT2 = 10     # SYN seen from both (simultaneous open)


class PacketFlag(IntFlag):
    """Bits of PACKET.fragment, as in the IPv4 header (offset in units of 8 bytes in the low 13 bits)."""

    DF = 0x4000        # don't fragment
    MF = 0x2000        # more fragments
    OFFSET = 0x1FFF    # of a fragment, in units of 8 bytes


class HeaderFlag(IntFlag):
    """Bits of HEADER.flags: what only the packet's bytes tell, and how it was sent."""

    NO_CHECKSUM = 1        # UDP checksum 0
    NO_OUTER_CHECKSUM = 2  # VXLAN's UDP checksum 0
    FRAME = 4              # a frame put onto the wire past the sender's IP layer and what that has learnt of the path


class ResultFlag(IntFlag):
    """Bits of RESULT.flags."""

    SNAT = 1           # the source was translated on the way (original direction)
    UNNAT = 2          # the destination was translated back (reply direction)
    NEW = 4            # opened a connection on the first router
    ROUTED = 8         # passed the cloud's router (crossed a subnet)
    ENCAP = 16         # was encapsulated on some leg
    DNAT = 32          # a service's address became that of one of its endpoints (original direction)
    UNDNAT = 64        # … and the endpoint's the service's again (reply direction)


class RouterFlag(IntFlag):
    """Bits of ROUTER.flags."""

    SOURCE_DEST_CHECK = 1
    CALICO_FILTER = 2       # Calico's chains: INVALID and tunnels from strangers are dropped
    RANDOM_FULLY = 4        # MASQUERADE --random-fully
    PUBLIC = 8              # the internet gateway has a public address for it
    DOWN = 16
    HOST_ACTION_DROP = 32   # defaultEndpointToHostAction: Drop
    EXCLUDE_HOSTS = 64      # natOutgoingExclusions: IPPoolsAndHostIPs
    PODS_SEND_IPIP = 128    # allowIPIPPacketsFromWorkloads
    PODS_SEND_VXLAN = 256   # allowVXLANPacketsFromWorkloads
    NO_TUNNEL_MASQUERADE = 512  # Felix' rule for the node's own packets into a tunnel is missing
    GUARDED = 1024          # in images: some interface has a GUARD
    CUTS = 2048             # in images: policy is asked about known connections, too


class ClassFlag(IntFlag):
    """Bits of CLASS.flags: what is true of every address of a class."""

    POOL = 1           # inside an enabled IP pool
    MASQUERADE = 2     # inside a pool with natOutgoing: masqueraded as a source …
    EXEMPT = 4         # … unless the destination is one of these
    SUBNET = 8         # inside a subnet of the fabric
    TUNNEL_SENDER = 16  # may send tunnels to any node
    RESIDENTS = 32     # FibImage.residents says who has each of its addresses
    SCATTERED = 64     # … and some of them are pods of other routers than the holder
    CLUSTER_CIDR = 128  # kube-proxy takes it for a pod's
    NODE_PORTS = 256   # where a node has it, node ports are found there


class FrontendFlag(IntFlag):
    """Bits of FRONTEND.flags: what kube-proxy's chains ask there."""

    EXTERNAL = 1       # a node port, an external address or a balancer's
    LOCAL = 2          # the traffic policy that holds here
    RANGED = 4         # there are source ranges
    MASQUERADE_ALL = 8
    BY_INTERFACE = 16  # a pod's is what comes in by a veth …
    BY_SOURCE = 32     # … or from the cluster's range; with neither bit pods are not told apart


class AdjacencyFlag(IntFlag):
    """Bits of ADJACENCY.flags."""

    OWN_DECIDER = 1    # decided by the object of the router that looks (its own link, its default route)


class FabricFlag(IntFlag):
    """Bits of FABRIC.flags."""

    DECREMENTS_TTL = 1
    ROUTES_PODS = 2
    OUTSIDE = 4        # some table has a leg to the outside that translates nothing


class ConnectionFlag(IntFlag):
    """Bits of CONNECTION.flags."""

    TRACKED_BY_FABRIC = 0x80       # the security groups' entry, not the router's conntrack


class ConnectionHistory(IntFlag):
    """Bits of CONNECTION.history: what conntrack remembers of a TCP connection besides its state."""

    CLOSING = 1                    # it was in FIN_WAIT
    LAST_SYN = 2                   # the last packet was a SYN of the original direction
    LAST_RST = 4                   # ... an RST
    CHALLENGE = 8                  # that SYN came in LAST_ACK: the answer may be a challenge ACK
    SIMULTANEOUS = 16              # both sides opened it
    UNACKNOWLEDGED = 32            # data of the original direction waits for an ACK
    REPLY_UNACKNOWLEDGED = 64      # ... of the reply direction


class PolicyAction(IntEnum):
    """What a rule of policy says, and how a tier ends."""

    ALLOW = 1
    DENY = 2
    PASS = 3                              # on to the next tier, after the last one to the profiles
    LOG = 4                               # and on to the next rule


class TermKind(IntEnum):
    """What a TERM looks at."""

    ANY = 0                               # nothing but the protocol
    SPORT = 1                             # of a protocol with ports; the atom is the source's
    DPORT = 2                             # the atom is the destination's
    ICMP = 3                              # type << 8 | code


class TermFlag(IntFlag):
    """Bits of TERM.flags."""

    LAST = 1                              # of its group
    NEGATED = 2                           # none of the group may hold
