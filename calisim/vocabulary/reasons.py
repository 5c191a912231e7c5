"""Why a packet is lost: one row per reason. Adding a reason is adding a row (codes are never reused).

A row is: code, the stage that decides it, severity, a sentence and a remedy. Sentences are filled with
the facts of the packet: ``{src} {dst} {where} {what} {size} {limit} {protocol}``; what a fact is not known, the
report leaves out. The C enum, counters, reports and documentation are made from these rows.
"""

from __future__ import annotations

from enum import IntEnum

from .stages import Stage


class Severity(IntEnum):
    """How a reader should take a loss."""

    EXPECTED = 1       # a rule that somebody wrote did its work
    WARNING = 2        # the network's nature; may be meant
    ERROR = 3          # almost surely a misconfiguration


_E, _W, _X = Severity.ERROR, Severity.WARNING, Severity.EXPECTED


class DropReason(IntEnum):
    """Stable codes; ``reason.stage``, ``.severity``, ``.sentence``, ``.remedy`` describe each."""

    stage: Stage
    severity: Severity
    sentence: str
    remedy: str

    def __new__(cls, code: int, stage: Stage, severity: Severity, sentence: str, remedy: str) -> DropReason:
        member = int.__new__(cls, code)
        member._value_ = code
        member.stage, member.severity, member.sentence, member.remedy = stage, severity, sentence, remedy
        return member

    NONE = 0, Stage.NONE, _X, "", ""
    SPOOFED_SOURCE = (
        1, Stage.SOURCE_CHECK, _W, "{src} is not the address of the pod that sent it; {where} drops spoofed packets",
        "send from the pod's own address, or allow the prefix with the annotation cni.projectcalico.org/allowedSourcePrefixes")
    RPF = (
        2, Stage.SOURCE_CHECK, _E,
        "{where} would answer {src} through another interface than the packet came in by, and rp_filter is strict",
        "make routing symmetric (the same encapsulation both ways, natOutgoing on), or set net.ipv4.conf.all.rp_filter=2")
    MARTIAN = (
        3, Stage.SOURCE_CHECK, _E, "{src} → {dst} has an address that no interface may send from or to",
        "send from an address of the sending endpoint to a unicast address")
    TTL_EXCEEDED = (
        4, Stage.TTL, _W, "the packet's TTL ran out at {where}",
        "send with a larger TTL; a traceroute does this on purpose")
    NO_ROUTE = (
        5, Stage.LOOKUP, _E, "{where} has no route to {dst}",
        "add a route or an IP pool that covers the address")
    BLACKHOLE = (
        6, Stage.LOOKUP, _W, "{dst} lies in a block of {where}, but no pod has it",
        "send to an address that a pod has (calisim ipam shows them)")
    UNREACHABLE = (
        7, Stage.LOOKUP, _E, "nobody on the link of {where} answers for {dst}",
        "send to an address that somebody on the subnet has")
    MTU_EXCEEDED = (
        8, Stage.MTU, _E, "{size} bytes with DF set do not fit {what} of {where} (MTU {limit} bytes)",
        "lower the pods' MTU to the smallest on the path (FelixConfiguration ipipMTU, vxlanMTU), or send smaller packets")
    POLICY_EGRESS = (
        9, Stage.POLICY, _X, "{where} does not let {src} send this ({what})",
        "allow it in the sender's egress policy or defaultEndpointToHostAction")
    POLICY_INGRESS = (
        10, Stage.POLICY, _X, "{what} does not let {dst} receive this",
        "allow it in the receiver's ingress policy")
    CT_INVALID = (
        11, Stage.CONNTRACK, _W, "{where} knows no connection that this packet could belong to, so it is INVALID",
        "open the connection first (SYN, echo request); set FelixConfiguration disableConntrackInvalidCheck if paths are "
        "asymmetric")
    SNAT_PORTS_EXHAUSTED = (
        12, Stage.TRANSLATE, _E, "{where} has no free source port towards {dst} in the class of the sender's port (where there "
        "are no ports, as in an IP-in-IP tunnel, a single connection takes the place)",
        "spread the connections over more nodes or destinations")
    NO_ENDPOINTS = (
        13, Stage.BALANCE, _E, "the service {dst} has no ready endpoint that {where} may choose",
        "start a pod that the service selects; with a traffic policy Local, one on the node itself")
    HOST_PORT_TAKEN = 14, Stage.BALANCE, _E, "the host port on {where} belongs to another pod", "choose another host port"
    SOURCE_CHECK = (
        15, Stage.FABRIC_OUT, _E,
        "{where} sends from {src}, which is not its own address, and its source/destination check is on",
        "aws ec2 modify-instance-attribute --instance-id {instance} --no-source-dest-check")
    DEST_CHECK = (
        16, Stage.FABRIC_IN, _E,
        "{where} is sent a packet for {dst}, which is not its own address, and its source/destination check is on",
        "aws ec2 modify-instance-attribute --instance-id {instance} --no-source-dest-check")
    SG_EGRESS = (
        17, Stage.FABRIC_OUT, _X, "the security groups of {where} let no {protocol} out to {dst}",
        "aws ec2 authorize-security-group-egress --group-id {what} --ip-permissions IpProtocol={ipprotocol}")
    SG_INGRESS = (
        18, Stage.FABRIC_IN, _E, "the security groups of {where} let no {protocol} in from {src}",
        "aws ec2 authorize-security-group-ingress --group-id {what} --ip-permissions IpProtocol={ipprotocol}")
    NACL_OUT = (
        19, Stage.FABRIC, _X, "{what} lets no {protocol} to {dst} out of its subnet", "add an allow rule with a lower number")
    NACL_IN = (
        20, Stage.FABRIC_IN, _X, "{what} lets no {protocol} from {src} into its subnet", "add an allow rule with a lower number")
    FABRIC_NO_ROUTE = (
        21, Stage.FABRIC, _E, "the cloud's router has no route to {dst}: it knows nodes, not pods",
        "encapsulate across subnets (ipipMode: CrossSubnet), or add a route to the node")
    FABRIC_NO_OWNER = (
        22, Stage.FABRIC, _E, "{dst} is inside the VPC, but no interface has it", "send to an address that is in use")
    FABRIC_PROTOCOL = (
        23, Stage.FABRIC, _E, "the cloud does not carry {protocol}", "use VXLAN instead of IP-in-IP (vxlanMode: CrossSubnet)")
    FABRIC_MTU = (
        24, Stage.FABRIC, _E, "{size} bytes on the wire exceed {limit}, the largest that {what} carries",
        "lower the pods' MTU (FelixConfiguration ipipMTU, vxlanMTU)")
    ROUTE_QUOTA = (
        25, Stage.FABRIC, _E, "the route to {dst} did not fit the route table ({what}): its quota is used up",
        "raise the quota, aggregate the routes, or encapsulate across subnets")
    IGW_NO_PUBLIC_ADDRESS = (
        26, Stage.FABRIC, _E, "the packet took the default route to the internet gateway, which has no public address for {src}",
        "let the node translate it (natOutgoing: true); for pod traffic across subnets encapsulate (ipipMode: CrossSubnet)")
    TUNNEL_UNKNOWN_SENDER = (
        27, Stage.DECAPSULATE, _X, "{where} accepts tunnels only from nodes of the cluster, and {src} is none",
        "list the sender in FelixConfiguration externalNodesList")
    ENCAP_FROM_POD = (
        28, Stage.POLICY, _X, "pods may not send encapsulated packets",
        "set FelixConfiguration allowIPIPPacketsFromWorkloads or allowVXLANPacketsFromWorkloads")
    ECN_ILLEGAL = (
        29, Stage.DECAPSULATE, _W, "the outer header says congestion experienced, the inner one is not ECN-capable (RFC 6040)",
        "find the router that marks packets which are not ECN-capable")
    MALFORMED = 30, Stage.SOURCE_CHECK, _E, "the packet is malformed: {what}", "mend the sender"
    CHECKSUM = 31, Stage.SOURCE_CHECK, _E, "a checksum is wrong", "mend the sender or its checksum offload"
    ADDRESS_UNUSED = 32, Stage.FABRIC, _W, "nobody has {dst}", "send to an address that is in use"
    ENDPOINT_DOWN = 33, Stage.DELIVER, _W, "{what} is down", "bring it up again"
    FORWARDING_LOOP = (
        34, Stage.LOOKUP, _E, "the packet went round in a circle through {where}",
        "remove the route that sends it back (a route table entry to a node that does not have the address)")
    QUEUE_FULL = 35, Stage.FABRIC, _W, "the queue of {what} is full", "send less, or give the link more bandwidth"
