"""Floor 5 – what happens to packets. (image | intent) + state + wave → results. Two engines, one meaning.

This page is that meaning; the reference engine (plain Python over the Intent) and the compiled core are
written from it, each in its own way, and must agree on every field of every RESULT, EVENT, CONNECTION and counter.
**Readings** at the end settles what the sections before leave open; it is as binding.

**A wave** is an array of PACKET. Its packets are in flight together; none answers another of its own
wave. It is worked leg by leg: every packet's first router, then every packet's second one, and so on; within a leg
in row order. All state that a leg touches belongs to its router (conntrack, the security groups' tracking at its
interface, counters), so the order between routers has no meaning.

**Headers** may come with a wave, a HEADER for each PACKET; zeros say nothing more than PACKET does. encap: the packet is
*sent encapsulated*: PACKET is the inner packet, and the outer header is as HEADER says (outer_sport VXLAN's alone, its
destination port 4789; of outer_fragment DF is kept). From then on "the packet" of every stage at a router that does not
DECAPSULATE it – addresses, ports, protocol (4 or 17), TTL, length, DF, TOS, conntrack key – is the outer one, an ordinary
packet of that protocol; the inner one lies in it untouched. *The wire's header* below is that header. id, outer_id and
flags are the bytes' affair, but for FRAME: what is sent past the sender's IP layer does not ask its *path MTU*. An
*ICMP error* is a PACKET of ICMP type 3 or 11 (dport = type << 8 | code, sport 0; no piece with an offset) whose HEADER
quotes a header (quote_length ≥ 20) that is neither a later fragment nor itself ICMP other than echo; mtu is
frag-needed's. place ≠ 0: the cloud's router at that place sends it.

**Pieces.** A PACKET with MF or an offset (*a piece*) is an IP fragment: length is its own, ports and tcp_flags are the
datagram's (its bytes show them only where the offset is 0; who sends later pieces by hand leaves 0). HEADER.id, or,
where it is not 0, HEADER.datagram (a number that the engine gives out) says which pieces belong together. outer_fragment
with MF or an offset: a piece of the *outer* packet, outer_length bytes long (0 otherwise: inner length + overhead);
PACKET is the inner packet whole, outer_id and outer_datagram say what belongs together. Such a packet *stays
encapsulated* until it is whole: nothing looks into it. Filters of the cloud see a piece's ports as the record has them
(assumed). resume ≠ 0: the packet does not start at an endpoint but goes on at that Stage (see *Offspring*; RESULT then
tells of this part of the journey alone): the leg of the router resume_at, which it came into by device, from that stage
on; FABRIC_IN: the next leg is there, crossing ROUTED, peer_groups empty; DELIVER: the HOST with the endpoint id
resume_at gets it (FABRIC step 5, an inside one after its subnet's NACL_IN), resume_at 0: it has EXITED, stage FABRIC, where
= place. A resume that is none of DECAPSULATE, CONNTRACK, FRAGMENT, FABRIC_OUT, FABRIC_IN, DELIVER, or whose router or HOST
there is not (DOWN: ENDPOINT_DOWN, stage = resume): DROPPED ADDRESS_UNUSED, stage ENDPOINT, where 0. Of the "any" checks all hold.

**Start.** With a place: not one of those beyond the routers' → DROPPED ADDRESS_UNUSED, stage ENDPOINT, where 0; the "any"
checks with where = place; then *From the router itself* (FABRIC). Else by kind of the ingress endpoint (0 or beyond the
last id, or a pod without an address: DROPPED ADDRESS_UNUSED,
stage ENDPOINT, where 0):

- any: ICMP (protocol 1; not a piece with an offset) that is neither echo request, echo reply nor an ICMP error →
  UNDETERMINED, stage CONNTRACK. length < 20 (IPv4 header), or
  TCP/UDP/ICMP shorter than its own header (40, 28, 28; a piece with an offset: 21), an encap that there is not, or a wire's
  length over 65535 → DROPPED MALFORMED, stage ENDPOINT. So is a piece with MF whose payload is no multiple of 8, and one that
  ends beyond 65535 (20 + 8 × offset + payload); of an outer piece the same is asked of outer_length (least 21).
  where = the sender's router, 0 for hosts; of what resumes the router resume_at, else 0.
- POD: wire's length > its mtu, or less if it knows of a *path MTU* (its address, the wire's destination) → with DF
  DROPPED MTU_EXCEEDED (stage ENDPOINT, detail = the endpoint's object), without CONTINUED (stage ENDPOINT): its stack
  cuts it (the outer packet if it is sent encapsulated). Event VETH IN. Then leg 1 on its router, coming in by VETH.
- NODE: hook OUTPUT of its router. src 0 means *the kernel chooses*: after LOOKUP the source becomes the tunnel address
  of the device if the adjacency is a TUNNEL, else the router's address. A src that is not 0 and not one of the
  router's own addresses, but of ICMP type 3 or 11 (no later piece; it may come from a service): DROPPED SPOOFED_SOURCE,
  stage SOURCE_CHECK.
- src is the wire's: of what is sent encapsulated outer_src is chosen, checked or filled in.
- HOST: src 0 means its address. Event ETHERNET OUT with router 0. If its address is in a fabric subnet it sends from
  there (FABRIC from that subnet, same-subnet destinations directly); else it comes in through the gateway (FABRIC from
  outside). Then leg 1 on the target router, coming in by ETHERNET.
- A router with RouterFlag.DOWN neither sends nor receives: DROPPED ENDPOINT_DOWN (stage ENDPOINT when its own pods or
  itself send, stage FABRIC_IN when something arrives), detail = router's object.

**A leg at router R.** hops += 1. More than MAX_HOPS (32) legs: FORWARDING_LOOP, stage LOOKUP, where R.

1. FABRIC_IN (coming in by ETHERNET), on the wire's header (outer if encapsulated): if it was routed (ResultFlag.ROUTED
   on this crossing, not directly delivered inside a subnet), the NACL of R's subnet, inbound: first rule that matches
   decides, none → NACL_IN, where = the subnet's place, detail = rule or subnet. Security groups of R: see *Groups*.
   Then, if the check is on and the wire's destination is not R.address: DEST_CHECK (detail R). Then event ETHERNET IN.
   Where the internet gateway translated the destination it has already done so.
1a. DEFRAGMENT: an outer piece come in by ETHERNET whose outer destination is one of R's own addresses → CONTINUED,
   stage DEFRAGMENT, where R: R holds it until the packet is whole.
2. DECAPSULATE, if encapsulated, come in by ETHERNET and the outer destination is one of R's own addresses (otherwise it
   is forwarded as it is). The outer packet is tracked (see *Tunnels' connections*); one whose destination a known connection
   changes is forwarded as it is, too. CALICO_FILTER and outer source not in Intent.tunnel_senders →
   TUNNEL_UNKNOWN_SENDER; the outer packet's connection is confirmed; R has no such tunnel address (device absent) → DROPPED
   ADDRESS_UNUSED stage DECAPSULATE. ECN
   (RFC 6040): outer CE and inner Not-ECT → ECN_ILLEGAL; outer CE, inner ECT → inner CE; outer ECT(1), inner ECT(0) →
   inner ECT(1). Event IPIP/VXLAN IN (outer fields 0). The packet now comes in by that tunnel device.
3. SOURCE_CHECK. Source multicast, 255.255.255.255, 0.0.0.0 or 127/8, or destination 0.0.0.0 or 127/8: MARTIAN (the rest
   of 0/8 is like any other since Linux 5.3). By VETH under CALICO_FILTER: source is not the sending endpoint's address →
   SPOOFED_SOURCE, and that is all. By VETH without it, and on all other devices: source is one of R's own addresses →
   MARTIAN; rp_filter (Router.rp_filter_of the device) STRICT and the route to the source does not leave by the device the
   packet came in by (for VETH: not that very endpoint's) → RPF; LOOSE and no route at all, or a route that is a DROP →
   RPF. A pod's device has no address of its own, so by VETH LOOSE is as STRICT (measured; fib_validate_source, no_addr).
   OUTPUT skips this stage.
3a. DEFRAGMENT: a piece (by OUTPUT, too; of what is still encapsulated an outer one) → CONTINUED, stage DEFRAGMENT, where R:
   conntrack holds it until the datagram is whole, so that all later stages see whole packets only.
3b. Untracked policy of the node's interfaces: see *Hosts*.
4. CONNTRACK: see below. INVALID with CALICO_FILTER → CT_INVALID. In the reply direction the destination (and for SNATed ones
   destination port) is translated back now, before the lookup. ICMP errors: see *Errors*.
   preDNAT policy follows: see *Hosts*.
4a. BALANCE: a service's address becomes that of one of its endpoints: see *Balance*. What follows – LOOKUP, MTU, POLICY,
   Intent.nat, the tunnel, the fabric – sees the endpoint's address and port; what went before saw the service's.
5. LOOKUP: own addresses first (LOCAL), then longest prefix match over routes_of(R); of equal prefixes the first in its
   order. No route, or destination multicast, 255.255.255.255, 0.0.0.0 or 127/8 → NO_ROUTE. Blackhole → BLACKHOLE (detail =
   the block's pool). An ICMP error that is INVALID, forwarded (neither LOCAL to the node nor OUTPUT), under CALICO_FILTER
   → CT_INVALID, stage CONNTRACK.
6. LOCAL_IN (LOCAL, the node itself): step 8a; then from VETH with HOST_ACTION_DROP and of no known connection (answers
   to the node's own requests pass: Calico accepts what is ESTABLISHED before the action) → POLICY_EGRESS, detail R's
   object, stage LOCAL_IN. Then what BALANCE *refused*. Still encapsulated (by VETH or OUTPUT) → UNDETERMINED, stage
   DECAPSULATE. Otherwise
   DELIVERED, stage
   DELIVER.
7. TTL (not on OUTPUT): ttl ≤ 1 → TTL_EXCEEDED; else decrement.
8. MTU of the output device (LOCAL pod: the endpoint's mtu): length greater, and DF → MTU_EXCEEDED (detail = the route's
   decider) – but of a datagram that came in pieces (HEADER.largest ≠ 0) the largest of them is compared.
8a. POLICY: see *Policy*. Then, forwarded, what BALANCE *refused*.
9. TRANSLATE, only for the packet that opens a connection (and not on INVALID): Intent.nat.matches(src, dst) or BALANCE
   *marked* it (OUTPUT, too) → MASQUERADE to R.address (output device TUNNEL: to its tunnel address). OUTPUT, or forwarded
   with a local
   address as source: adjacency TUNNEL and src is not that device's tunnel address → MASQUERADE to it (not under
   NO_TUNNEL_MASQUERADE). Never when delivering to a local pod (its adjacency is LOCAL) unless nat matches or it is
   marked. Ports: see *Ports*. Packets of a known SNATed connection get the same translation here. The connection is
   confirmed here (entered
   into the table), also when nothing was translated.
9a. FRAGMENT: length greater than the MTU of step 8, or the datagram came in pieces → CONTINUED, stage FRAGMENT, where R.
10. LOCAL pod: event VETH OUT, DELIVERED (stage DELIVER). An endpoint that is a pod of R but whose node is … down was
    handled before.
10a. NEIGHBOUR (not for a TUNNEL): ATTACHED, or a REMOTE next hop that is not the gateway's: if nobody *answers* for it →
    UNREACHABLE, stage LOOKUP. An address answers if somebody in that subnet owns it (Fabric.owners) – and, on a Linux
    router's links (decrements_ttl), it is no node that is DOWN.
11. ENCAPSULATE (TUNNEL): what is encapsulated already → UNDETERMINED, stage ENCAPSULATE. Event IPIP/VXLAN OUT. Outer
    src R.address, dst next_hop, TTL (inner's for IPIP, 64 for VXLAN), TOS (DSCP 0; ECN inherited, CE →
    ECT(0)), DF (copied for IPIP, 0 for VXLAN), length + overhead; VXLAN source port =
    32768 + draw(seed, src, dst, protocol << 32 | sport << 16 | dport, …) mod 28232 made symmetric by ordering the two
    addresses and, apart from them, the two ports (measured; __flow_hash_consistentify). The outer header is
    looked up again: ATTACHED if next_hop is in R's link prefix, else REMOTE
    via the gateway. In this order: outer length > R's mtu, or less if it knows of a *path MTU* (R.address, outer
    destination), with outer DF: MTU_EXCEEDED (stage ENCAPSULATE); the outer packet is tracked (see *Tunnels' connections*);
    UNREACHABLE; too long without outer DF: CONTINUED (stage ENCAPSULATE, where R), the outer packet is cut.
    VXLAN's source port of an inner piece is drawn with both ports 0.
12. FABRIC_OUT: event ETHERNET OUT. RESULT.wire = wire length, set on the first time. Check on and wire source is not
    R.address → SOURCE_CHECK (detail R). Security groups of R, egress. Then FABRIC.

**FABRIC** (stage FABRIC, place = the VPC router of the subnet the packet is in).
1. protocol (outer) in blocked_protocols → FABRIC_PROTOCOL. length > Fabric.mtu → FABRIC_MTU (DF or not: with DF
   dropped, without UNDETERMINED); what goes to a Linux router (decrements_ttl) is measured in step 4 instead.
2. The next hop (LOCAL link): ATTACHED → the wire's destination, REMOTE → next_hop. If it is not the subnet's gateway:
   the frame goes straight to the owner of that address in the same subnet (no NACL, no route table, ROUTED not set):
   NODE → FABRIC_IN there on the next leg; HOST → if the wire's destination is the host's address DELIVERED else DROPPED
   ADDRESS_UNUSED.
3. routes_pods (provider plain): deliver to the router or host that owns the wire's destination (Intent.address_owners,
   also pods: to the pod's node), else EXITED if the destination is in no subnet and no enabled pool, else FABRIC_NO_OWNER.
4. A Linux router's leg (decrements_ttl) of mtu ≠ 0 takes in no frame of more than mtu and a VLAN tag (length > mtu + 4;
   measured, is_skb_forwardable) → FABRIC_MTU, detail = Fabric.decided_by, and nobody is told. Otherwise it is routed:
   ROUTED. decrements_ttl: wire TTL ≤ 1 → TTL_EXCEEDED stage FABRIC, but without a route FABRIC_NO_ROUTE (Linux looks for
   one first); else decrement the wire's TTL (outer if encapsulated; between the two length > Fabric.mtu with DF →
   FABRIC_MTU), and hops += 1. NACL outbound of the sender's
   subnet (no match → NACL_OUT). Route table of that subnet, longest match: none → FABRIC_NO_ROUTE; BLACKHOLE →
   FABRIC_NO_ROUTE (detail = route); QUOTA → ROUTE_QUOTA (detail = route); NAT → UNDETERMINED (detail = route); LOCAL →
   owner of the wire's destination among Fabric.owners: none → FABRIC_NO_OWNER; HOST → NACL_IN of its subnet, DELIVERED;
   NODE → next leg. NODE → next leg at that router, whatever the destination. A Linux router's leg: length > mtu ≠ 0 of
   the subnet of the owner or router → with DF FABRIC_MTU; without, also if length > Fabric.mtu, CONTINUED (stage
   FABRIC, where = place): the router cuts the wire's packet to the smaller of the two. A node that does not *answer*
   (10a) → UNREACHABLE, stage FABRIC. OUTSIDE → length > internet_mtu → with DF FABRIC_MTU (detail = route), then step 5
   without translation; what step 5 delivers to a HOST or lets go (EXITED) and is without DF longer than internet_mtu or
   Fabric.mtu → CONTINUED (stage FABRIC, where = place). INTERNET → place = the gateway; the last rule of step 5 first
   (a default route is none for pods); then, encapsulated or not, the wire's source must be the address of a router with
   PUBLIC or of nothing else: otherwise IGW_NO_PUBLIC_ADDRESS. length > internet_mtu → FABRIC_MTU (DF) or UNDETERMINED.
   The source becomes public_address if it is known. Then step 5.
5. Outside: the wire's destination is a HOST's address (not in a subnet) → DELIVERED to it, event ETHERNET IN with
   router 0. It is the public_address of a router (known) → back in through the gateway to that router (destination
   translated). Nobody outside routes an address in a subnet or in an enabled pool, nor, beyond an internet gateway, one of
   private use (10/8, 172.16/12, 192.168/16, 100.64/10, 169.254/16): FABRIC_NO_ROUTE, detail = the route. Else EXITED.
From outside (a HOST sends): destination is a known public_address → translated to the router's address, routed to it.
Destination is a router's address with PUBLIC whose public_address is not known, or OUTSIDE provider (linux) and
Fabric.owners has it → routed to it (TTL and MTUs as in step 4). Else: FABRIC_NO_ROUTE where = the gateway place (0 if
there is none), stage FABRIC.
From the router itself (place): neither aged nor filtered going out: the owner among Fabric.owners as in step 4 (LOCAL,
ROUTED), else the outside HOST that has the address, else FABRIC_NO_ROUTE, where = place.
From outside counts as ROUTED (NACL_IN and security groups of the target apply; peer_groups empty).

**Groups.** A router without security groups (provider linux, plain) filters nothing. Otherwise egress at R allows if a
rule of any of its groups matches (protocol, destination port, the wire's destination, peer groups = groups of the
router that owns the wire's destination, else ()); ingress: (…, wire's source, peer groups = groups of the *router that
sent the frame*). ICMP port = type; other protocols 0. Stateful per router: an allowed packet leaves an entry (key R,
wire's 5-tuple; protocols other than TCP, UDP, ICMP: addresses and protocol only); a packet whose inverted tuple has a
live entry is allowed without a rule – but only if a packet of an *earlier* wave made the entry (CONNECTION.wave < the
wave's number; State counts its waves from 1): none of a wave answers another of it, and a tunnel that only the other
side's sending opens (protocol 4, one entry for all pods of two nodes) still loses the packets that were under way at
the same time. Times: TCP 432,000 s, UDP 180 s, others 600 s, refreshed by every allowed packet. Rules are asked only
when no entry lets the packet in: one of its own direction, or of the other one from an earlier wave. A packet that
rules allow while the other direction's entry of the same wave is alive refreshes that entry (which becomes ESTABLISHED)
and makes no second one. No match → SG_EGRESS / SG_INGRESS, detail = the object of R's first group. Entries are
CONNECTION records with flags bit 0x80 (TRACKED_BY_FABRIC), history 0.

**Conntrack** at R, key (R.key, src, dst, sport, dport, protocol); for ICMP echo sport = identifier and dport = 0x0800
(type 8) or 0 (type 0), as in Linux: the inverse of a request is the reply with the same identifier, so that a request
is never taken for a reply; for protocols without ports both 0. A live entry (expires > packet time): original direction
or reply direction. Otherwise new: TCP as *TCP states* says; an ICMP echo reply → INVALID; all else NEW. A reply makes what is
NEW ESTABLISHED. Time-outs: UDP 30 s, but 120 s from a packet that finds the entry ESTABLISHED and created more than 2 s ago
(a stream); GRE (47) 30 s, but 180 s from a packet that finds it ESTABLISHED; ICMP 30 s; others 600 s; each packet
refreshes. RESULT.connection = the entry's ordinal (per router, 1-based, in order of confirmation) on the first router;
flag NEW if this packet opened it. INVALID packets are neither translated nor entered. Only what reaches TRANSLATE or
LOCAL_IN confirms a connection: a packet dropped earlier leaves no trace.

*TCP states* (nf_conntrack_tcp_packet of Linux 6; measured). vocabulary.tcp has three tables: TCP_CLASSES[tcp_flags & 63] is
the class of the flags: SYN, SYNACK, FIN, ACK, RST, or NONE for a combination that no stack sends (FIN without ACK, too);
TCP_TRANSITIONS[is reply][class][state] the state after, IGNORE or INVALID; TCP_TIMEOUTS[state] seconds. A packet without a
live entry is an original one on NONE: what is not INVALID opens (SYN → SYN_SENT; ACK → ESTABLISHED, picked up), history 0.
Of a live entry *answered* means that reply_packets was not 0 before this packet. CONNECTION.history holds ConnectionHistory
bits: CLOSING (was in FIN_WAIT), LAST_SYN, LAST_RST (the last packet that was not INVALID was one of the original direction),
CHALLENGE, SIMULTANEOUS, UNACKNOWLEDGED, REPLY_UNACKNOWLEDGED (by direction of the data). In this order:

- INVALID: the packet belongs to no connection; the entry stays as it is.
- SYN_SENT from TIME_WAIT or CLOSE: under CLOSING, or LAST_RST and an original packet, the entry is gone for good (expires 0)
  and the packet opens another one, in its own direction. Else IGNORE.
- IGNORE (the packet belongs to the entry and counts, state and expires stay): LAST_SYN is set for a SYN of the original
  direction, else cleared, LAST_RST cleared; such a SYN clears SIMULTANEOUS and makes CHALLENGE say whether the state is LAST_ACK.
  But a SYNACK of the reply direction under LAST_SYN answers a SYN that was ignored: the state is SYN_RECV, history 0, and on.
- An ACK of the reply direction on LAST_ACK under LAST_SYN and CHALLENGE is a challenge ACK (RFC 5961): CHALLENGE is cleared,
  nothing else but the counter changes.
- SYN_SENT2 sets SIMULTANEOUS. An ACK of the reply direction that leads to SYN_RECV leads to ESTABLISHED under SIMULTANEOUS.
- The state changes (into FIN_WAIT from another one: CLOSING); LAST_SYN and LAST_RST are set or cleared. PSH stands for data (an
  assumption: PACKET has no length of the header): on a FIN or ACK it sets its direction's UNACKNOWLEDGED (not on a reply that is
  not answered). Every packet with ACK clears the other direction's (it acknowledges everything).
- Not answered: RST → the entry is gone for good (expires 0) behind this packet; a SYN on SYN_SENT leaves expires as it is.
  Otherwise expires = time + TCP_TIMEOUTS, but 300 s of ESTABLISHED when not answered, or with data of either direction
  unacknowledged.

PACKET has no sequence numbers: every packet is taken to be inside the window, every RST to hit its edge, every ACK to
acknowledge all that came the other way, as between two stacks that lose nothing (Linux calls what is outside INVALID).

*Tunnels' connections* (measured): the outer packets that R makes (ENCAPSULATE) and takes (DECAPSULATE) are to CONNTRACK like
any other that R sends or gets, by the outer header: IPIP is protocol 4, VXLAN UDP – but under CALICO_FILTER not VXLAN
(Felix' NOTRACK: no connection changes it, DECAPSULATE takes it whatever entry has its tuple). They follow the live entry that
has their tuple, or else are NEW and confirmed with a *null binding* (*Ports*): whose reply tuple is taken moves its source port
(R's VXLAN: outer_sport, this packet's and the connection's), or, without ports, is lost: SNAT_PORTS_EXHAUSTED, stage TRANSLATE.
Where the entry's source or destination was translated, what R makes is as any packet of that entry (outer addresses and ports,
before UNREACHABLE is asked), what R takes keeps its header.
Neither Intent.nat nor BALANCE nor policy is asked, and RESULT (connection, flags) says nothing of it. What DECAPSULATE would
take but is the reply to an entry whose source was translated, or of the original direction of one whose destination was, is not
R's: nothing is tracked there, and it goes on with step 3 like what is for somebody else (such packets are pods' own, or a
service's).

**Balance** (kube-proxy in iptables mode, Intent.services). At 4a, by whatever device or OUTPUT (whose source is chosen
before: by the route to the service's address), on the wire's header. Only *the packet that opens a connection* (TCP or
UDP; not INVALID, no ICMP error) asks for its *frontend*: the one of its destination (0.0.0.0 has none), protocol and destination
port; if
there is none and the destination is one of R's own addresses (and in a prefix of node_addresses, if that is not None) the
one of address 0, protocol and port. None: BALANCE does nothing. The frontend's port is S.

1. sources not None, and the source in none of them: *refused*, firewall.
2. S.backends empty: *refused*, rejected.
3. Who is asked, and whether the packet is *marked* (KUBE-MARK-MASQ). *A pod's*: by_interface: it came in by VETH; else
   pods is not None and has the source. Not external: marked if masquerade_all, or pods are told apart (by_interface, or
   pods not None) and it is not a pod's; asked are, under local, R's own (those of S.own with router = R), else
   S.backends. External, not local: marked, S.backends. External, local: a pod's: S.backends, not marked (short cut: as if
   it had gone out and come in again); else the source is one of R's own addresses: S.backends, marked; else R's own, not
   marked.
4. Nobody to ask: *refused*, dropped.
5. The endpoint: with S.affinity the one that the live record (expires > time) of (R.key, S.key, source) names, if it is
   among the asked; else asked[draw(seed, R.key, src << 32 | dst, sport << 32 | dport << 16 | protocol, 1 << 32 | S.key)
   mod their number] – which is what 1/n, 1/(n − 1), … of the chained rules come to. With S.affinity the record now names
   it, expires = time + S.affinity, whatever becomes of the packet; packets of known connections leave it as it is.
   (xt_recent keeps one list for each endpoint and a hundred clients in each; here it is one record for each client.)
6. Marked, too: the source is the endpoint's own address (hairpin).
7. dst, dport := the endpoint's (DNAT), and so the reply tuple's source. Its port is never changed to avoid a clash:
   TRANSLATE moves the source port (*Ports*) where the reply tuple is taken.

*Refused* packets go on as they are and end where the filter table stands: LOCAL_IN, or forwarded at the end of step 8a:
DROPPED, stage BALANCE, where R, detail = S.decided_by: POLICY_INGRESS for the firewall, else NO_ENDPOINTS; rejected ones
give rise to an ICMP error. By OUTPUT those of an external frontend are refused at LOCAL_IN only (KUBE-EXTERNAL-SERVICES
is not in OUTPUT), but for the firewall's. They enter no connection.

*Known connections.* Original direction: dst and dport := the reply tuple's source where that is another one (flag DNAT),
at 4a; services are not asked: the endpoint stays though it is no longer there. Reply direction: the source is put back
last, at TRANSLATE or at LOCAL_IN: src, sport := the original destination and its port (flag UNDNAT). An entry's *source
was translated* if reply_dst, reply_dport differ from src, sport; its *destination was*, if reply_src, reply_sport differ
from dst, dport. "SNATed" and UNNAT, everywhere on this page, ask for the former only. Endpoints' addresses are nobody's
own affair: a LOCAL one (a host-network pod, the node) goes to LOCAL_IN, where nothing is masqueraded – but by OUTPUT what
is marked, to R.address (lo); delivered to a pod, to R.address (a cali… device has no address, so the kernel takes the
first device's that has one). State.affinities(): AFFINITY records, live at the latest packet time seen, sorted.

**Errors.** An ICMP error belongs (RELATED) to the live entry that has the inverse of the quoted header's key, in that
key's direction; it refreshes and opens nothing. None: INVALID – never translated, dropped only as step 5 says. In the
reply direction of a translated entry: destination := original source, quoted source and source port := the original's,
at CONNTRACK (UNNAT). In the original direction: at TRANSLATE source and quoted destination := the translated source, the
quoted destination port := its port (SNAT; of a quoted echo the identifier). Where the entry's destination was translated:
in the reply direction source and quoted
destination := the original destination, the quoted destination port := its port, at TRANSLATE or LOCAL_IN (UNDNAT: routers near
the endpoint speak in the service's name); in the original direction destination and quoted source := the endpoint's, the quoted
source port := its port, at BALANCE (DNAT). Nothing else is translated, MASQUERADE neither.

**Offspring** (forward(…, offspring=True): Results.born: PACKETs with HEADERs and a BORN each, in the order of legs, then
rows, of their causes). They are not sent: that is the caller's next wave (:mod:`.generations`). BORN.relation says what
they are: ERROR, PIECE or WHOLE; a born packet of a CONTINUED one has cause 0, type 0, code 0, where as its RESULT, and the
parent's ingress and time. Nothing is said about a piece with an offset (RFC 1812 §4.3.2.7; quote_fragment has DF and MF).

*Pieces.* A packet that was CONTINUED at ENDPOINT, FRAGMENT, ENCAPSULATE or FABRIC is cut (ip_do_fragment): payload in
pieces of the largest multiple of 8 that fits limit − 20, in order, the last one all that fits; of the outer packet
where it is encapsulated, else of the packet (a piece may be cut again: offsets count on, the last keeps MF if it had
it). limit: ENDPOINT the pod's mtu or path MTU; FRAGMENT the MTU of step 8; ENCAPSULATE what did not suffice; FABRIC the
smaller of the two. FRAGMENT of a datagram that came in pieces: as they came (boundaries kept, DF cleared), if each fits
the limit and it was not forwarded into a TUNNEL (measured: of what came by a device the pieces lack room for the
tunnel's header; of OUTPUT they have it); else cut anew by the smaller of limit and largest piece, DF kept. A limit
below 28: one piece, as long as the whole (the kernel does not get that far). PACKET and HEADER of a piece are as the
packet is now (after NAT, TTL and TOS as they are at this point, all of HEADER taken along, its encap as it is now),
with fragment (DF as just said, otherwise cleared), length; id, if 0, 1 + draw(seed, datagram number, 0) mod 65535
(Linux draws, too); datagram (outer: outer_id and outer_datagram): a number from State, counted up from 1 for each
packet that is cut – but a packet that has one keeps it, and a piece that has none gets neither number nor id: its id
alone says what it belongs to. resume: 0 at ENDPOINT (ingress: the pod), FRAGMENT at FRAGMENT, FABRIC_OUT at
ENCAPSULATE, both with resume_at R and the device it came in by; at FABRIC FABRIC_IN with the next router or DELIVER
with the HOST, 0 for EXITED, place = the place of the RESULT that it would have had.

*Wholes.* Pieces held by R (key: R.key, source, destination, protocol of the piece's header, the datagram number if
there is one, else the id; inner and outer pieces apart) wait 30 s from the first one on (ipfrag_time). At the end of a
wave they are taken up in the order in which they came: a piece whose every byte is there already is forgotten; one that
overlaps others, ends beyond a known end, or is a second, different end, kills what is held with it (RFC 5722 as Linux
does it), itself included. When the last hole closes the datagram is WHOLE: PACKET and HEADER of the first piece (offset
0) as it came to DEFRAGMENT, parent the row that closed the hole, time that one's, length 20 + all payload, fragment 0,
but DF if the largest of its pieces with DF is as large as the largest piece; ECN (ip_frag_ecn_table): Not-ECT and other
pieces mixed → nothing is born; CE among ECT → CE. resume CONNTRACK, of an outer one for R itself DECAPSULATE, resume_at
R, device as it came in. Its number (0: a new one) is datagram or outer_datagram, under which State keeps its pieces'
offsets and lengths for FRAGMENT, for 30 s; HEADER.largest is the largest length (of a whole outer packet for R itself
0). More than 4 MiB of pieces' lengths at one router (ipfrag_high_thresh): new ones are forgotten. A packet whose last
pieces never come ends CONTINUED at DEFRAGMENT; no 11/1 is sent (not modelled).

*Errors.* A router R says, about
a packet
that came in by a device (not OUTPUT): TTL_EXCEEDED (stage TTL) → 11/0; MTU_EXCEEDED of stage MTU → 3/4, mtu the output
device's; of stage ENCAPSULATE → 3/4 about the inner packet, mtu what did not suffice − overhead, to the original source
if it was translated here (SNAT); UNREACHABLE of NEIGHBOUR → 3/1, 3.1 s later; what BALANCE *rejected* (stage BALANCE,
NO_ENDPOINTS) → 3/3, forwarded after the decrement, src 0; at LOCAL_IN src is the quoted destination. A Linux router between the
subnets (decrements_ttl): TTL_EXCEEDED → 11/0;
FABRIC_NO_ROUTE for want of a route, or OUTSIDE → 3/0 (from outside to an address of a subnet, with a TTL above 1: 3/1, 3.1 s
later, quoted after the decrement); FABRIC_NO_OWNER,
UNREACHABLE →
3/1, 3.1 s later; FABRIC_MTU of step 4 → 3/4, mtu what did not suffice. All other losses, blackholes too, and
the AWS fabric are silent, and nothing is said about an ICMP error, nor about a packet whose source or destination is
multicast, 255.255.255.255, 0/8 or 127/8, or whose destination is the last address of the speaker's own link (R.inputs.link,
a subnet of the place; prefixes of up to 30 bits). Quoted is the wire's header where it was lost, with the TTL as it came in –
but for
ENCAPSULATE, NEIGHBOUR, FABRIC_NO_OWNER and UNREACHABLE, which come after the decrement. R's errors of the stages TTL, MTU
and ENCAPSULATE about a packet whose
destination R has changed, of a connection whose destination was translated (confirmed or not: the error is attached to it,
nf_ct_attach), quote destination and destination port as they came in to R; their src is that destination. But
of an answer (reply direction) at ENCAPSULATE, whose source UNDNAT has put back, the quote is as the packet is now, and src is
0: at OUTPUT the error is RELATED, goes to the endpoint, and from the address that hid the client, if one did. PACKET: dst the
quoted source,
TTL 64,
TOS 0xC0 | quoted TOS & 0x1E (icmp_send),
length 28 + min(quoted length, 548), no DF; of R: ingress R, else src 0 (its kernel chooses: the route back
decides); of
the other router: place, src its address on the leg to the receiver: the gateway address of the owner's subnet, for an
outside
HOST Fabric.outside_address; 0 or neither of them: no error. Held back, by speaker and receiver, in that
order, is what the silence since the last error does not pay for (inet_peer; time is the error's; 60 s before the first;
3/4 is free): 3/0 costs a second, of at most 5 (ip_error); then every error costs Intent.icmp_ratelimit (ms), of at most 6
of these (inet_peer_xrlim_allow: so with 0 nothing is left over for a 3/0 right after another error).

**Path MTU.** State.path_mtus(): PMTU records (source, destination, mtu, expires), alive ones, sorted. At the end of a wave,
row by row, each frag-needed (3/4, not sent encapsulated) that was DELIVERED to the source of the quoted packet teaches its
stack: a pod for all that it sends, a node R for what is of protocol 4 from R.address. It holds for packets of later waves
with time < expires = the error's time + 600 s. It never widens: a live record with a smaller mtu stays, with the same one,
too, unless half of the time is over. Less than 552: 552, or what is known if that is less (ip_rt_min_pmtu).

**Policy** (Intent.policy; :mod:`calisim.control.policing`), at step 8a and, for what is addressed to the node itself, at step 6:
under CALICO_FILTER, of no known connection (what is known, RELATED included, was accepted before; a picked up one is new, and
what is INVALID and got this far is judged as well). Not asked is what a pod sends to its own address (adjacency LOCAL to the
sender, and not of a connection whose destination BALANCE has translated): it never leaves a real one. In this order:
1. By VETH: protocol 4 without PODS_SEND_IPIP, UDP to port 4789 without PODS_SEND_VXLAN → ENCAP_FROM_POD: Felix lets workloads
   open no tunnels.
2. By VETH: the *egress* program of the sending pod's identity (Policing.endpoints of the packet's ingress).
3. Adjacency LOCAL, a pod, and not OUTPUT (a node reaches its own pods, whatever policy says): the *ingress* program of that
   pod's identity.
Judged is the packet as it is then: after BALANCE and translation back, before TRANSLATE, what is still encapsulated by its
outer header, a datagram that came in pieces whole. Ports are its own, asked of protocols 6, 17 and 132; type and code of
protocols 1 and 58 are the bytes of dport. An address has the identity that Policing.addresses gives it. Program 0 and
identity 0: nothing is asked. Denied → DROPPED POLICY_EGRESS or POLICY_INGRESS, stage POLICY, where R, detail = what decided:
the rule; the tier whose end it was; the pod's own object (of the sender, of the receiver) where the profiles did not
decide. State.hits: uint64[objects + 1]: each program that was asked counts one for what decided it, allowed or denied. A
connection that was allowed stays so, whatever policy says later, unless Policing.cuts: then (settings.policyChange: cut) what
is of a known connection, but no ICMP error, is asked about in 2 and 3 as well, by the connection's first packet as it was
judged – source and port of the original direction, source and port of the reply tuple, which stand for the destination; of
ICMP an echo request of code 0; of protocols but TCP, UDP and ICMP ports as this packet has them, turned round in the reply
direction –; in the reply direction 2 asks the *ingress* program of the pod that sends, 3 the *egress* program of the pod that
receives, each with its reason. Denied, it is lost, and the entry stays as CONNTRACK has left it. Without it, and for *Hosts*,
known connections go on.

**Hosts** (Policing.interfaces, by router and device: the Guard – a HostEndpoint – of the device). Under CALICO_FILTER, of no
known connection. The device *in* is the one that the packet came in by, the device *out* the adjacency's: VETH to a pod,
LOOPBACK to the node itself. Without a Guard, and of a Guard's program 0, nothing is asked. A program ends without a decision
as Program.end says: ALLOW, DENY, or PASS, which is neither. Denied → DROPPED POLICY_INGRESS by a program of the device in,
POLICY_EGRESS by one of the device out, stage POLICY, where R, detail = the rule, the tier whose end it was, or else the
Guard's object. State.hits counts what decided (the Guard's object where the program's end did, but nothing for PASS).
*Failsafes* (Policing.failsafes) are programs that are asked before; what they allow counts for the rule and is not asked
further, what they do not is not counted. Judged is the packet as it is then, as in *Policy*. What is INVALID and would be
asked about in 2, 3 or 4 is lost: CT_INVALID, stage CONNTRACK, detail 0.
1. 3b, but for VETH: by OUTPUT untracked_egress of the device that LOOKUP would find now (not asked where it would find none),
   else untracked_ingress; failsafes: untracked_egress, untracked_ingress. ALLOW: the packet is *untracked* – 4, 4a and 9
   leave it alone: it belongs to no connection and opens none, is never INVALID, and is not translated, nor is its quote – and
   *accepted*. On the way it is treated as one of no known connection.
2. Before 4a, unless OUTPUT or untracked: pre_dnat of the device in; failsafes: ingress. ALLOW: *accepted*.
3. At 6, unless it is accepted or came by VETH: by OUTPUT egress of LOOPBACK (failsafes: egress), then pre_dnat of LOOPBACK as
   in 2. Then, still not accepted: ingress of the device in (failsafes: ingress).
4. At 8a, but for what a pod sends to its own address. Not by OUTPUT: before 1 of *Policy*, unless it is accepted,
   forward_ingress of the device in; after 3 of *Policy* forward_egress of the device out. By OUTPUT: egress of the device out
   (failsafes: egress), unless it is accepted or goes to a pod. Forwarded packets have no failsafes.
Tunnels between nodes are no matter of 3 and 4: what the node sends or gets of protocol 4 or UDP to port 4789, if it has that
device's address, and the other end is one of Intent.tunnel_senders. What DECAPSULATE takes is asked about as the inner packet
only.

**Ports** of MASQUERADE: class of the original source port: 0..511 → 1..511, 512..1023 → 600..1023, else 1024..65535;
ICMP id 0..65535; protocols without ports: no port, SNAT_PORTS_EXHAUSTED if the reply tuple is taken. Without
RANDOM_FULLY: (a) the mapping sticks to (source, source port), as measured: of R's connections whose source was translated
with the same protocol, source and source port (before translation) the one confirmed last; if it is alive and its new
address is this
one's, its port if free; (b) the own port if the reply tuple (dst, dport → new source, port) is free on R (no live entry
has it in either direction). Otherwise, and at once with RANDOM_FULLY, Linux' search (nf_nat_l4proto_unique_tuple): for
attempts in 128, 64, 32, 16, 8 (rounds 0, 1, …; the first not more than the range): offset = draw(seed, R.key, src << 32
| dst, sport << 32 | dport << 16 | protocol, round) mod range; try that many ports from min + offset on, wrapping inside
the range; the first free one wins; stop after a round with attempts ≥ range. None → SNAT_PORTS_EXHAUSTED (stage
TRANSLATE), nothing is entered. (src, sport, dst, dport of the draw are the packet's before TRANSLATE – after BALANCE –,
for ICMP as in the key.) **Null binding**: every other opening packet, at LOCAL_IN too, keeps its source address, and its
port unless its
reply tuple is taken; then the search gives another one (Linux does the same: a node's own connection never shares a
tuple with a pod's masqueraded one). So no two live entries of a router share a tuple. An entry that is no longer alive
when a new one takes one of its tuples is gone for good, whatever the time of later packets.

**Result.** verdict, reason, stage; where = place id where it ended (router, VPC router, gateway; 0 for outside hosts);
src, dst, ports, ttl as at the end; encap, outer_src, outer_dst of the last encapsulated leg (sent encapsulated: from the
start on, ENCAP too); flags; detail = object id that decided: on DELIVERED/EXITED the decider of
the last adjacency used on the first router. path = verdict | reason << 3 | encap << 9 | min(hops, 15) << 12 |
(flags & 0xFF) << 16.

**Counters** (State.links: uint64[routers + 1, len(Device), 2 directions, 2]: packets, bytes of IP total length on that
device – one per event; State.drops: uint64[places + 1, len(DropReason)]; State.verdicts: uint64[len(Verdict)]; State.hits: see
*Policy*; they begin anew with another image).

**Events**: router, device, direction, header as on that interface, endpoint (VETH: the pod; router 0: the host), detail
= the adjacency's decider on OUT events, else 0, stage: ENDPOINT (VETH IN, host OUT), ENCAPSULATE (tunnel OUT),
FABRIC_OUT (ETHERNET OUT), FABRIC_IN (ETHERNET IN), DECAPSULATE (tunnel IN), DELIVER (VETH OUT, host IN). encap is the
wrapping that is on the packet on that interface; quote_* what an ICMP error quotes there; time = the packet's. Returned
sorted by row (stable).

**Readings.** One line each; where a section says more, the section holds.

- detail is 0 and stage is the section's heading wherever nothing else is said. In FABRIC where = place. Sentences are
  checked in the order in which they stand.
- Start: ENDPOINT_DOWN of the sender comes after the "any" checks and before those by kind. Only the ICMP type (dport >>
  8) is looked at, 8 or 0. Refusals in Start leave hops 0, a NODE's SPOOFED_SOURCE included.
- hops is counted at the beginning of a leg, also of one that ends in FORWARDING_LOOP (first check) or ENDPOINT_DOWN
  (second; stage FABRIC_IN).
- OUTPUT with src 0: a LOOKUP of dst chooses the source before CONNTRACK (a loss there is a loss at LOOKUP); the
  packet's own LOOKUP follows as for all.
- A tunnel device without address masquerades to, and sends from, R.address.
- State, expiry and the packet counters change at CONNTRACK, whatever becomes of the packet; a new entry has packets 1,
  created = the packet's time.
- ICMP echo: the port that is translated (and translated back) is the identifier, RESULT.sport. Protocols without ports
  keep RESULT's ports as sent.
- Of an entry whose two tuples are equal the original direction counts. A null binding that moves the port is SNAT;
  MASQUERADE and null bindings share *Ports*, but (a) and RANDOM_FULLY are MASQUERADE's alone.
- MASQUERADE that keeps address and port (source already R.address) is no SNAT: flag SNAT is set where the entry's reply
  destination differs from the packet's source address or port.
- LOCAL to the node itself has R's object (decided_by) as its decider and no MTU. LOCAL_IN confirms after its check;
  DELIVERED there has where R, no event.
- Deliveries to hosts: event, stage DELIVER, where 0. ADDRESS_UNUSED at a host: stage FABRIC, where place.
- "In that subnet owns": Fabric.owners has the address, and it lies inside the prefix of R's fabric subnet.
  ENCAPSULATE's second lookup: ATTACHED if next_hop is in R.inputs.link and somebody answers for it, nobody → UNREACHABLE
  (stage LOOKUP; in its place of the order); the same for a HOST's direct destination (stage ENDPOINT, where 0).
- A HOST inside: its next hop is the destination if its subnet's prefix has it and it is not the gateway's address, else
  the gateway. Then FABRIC from 1. on; peer_groups empty.
- NACLs and groups see the wire's header; protocols without ports: port 0. A NACL rule's peer is the wire's source
  inbound, its destination outbound; peer_groups (). NACL_OUT's detail is as NACL_IN's. NACL_IN of a host: stage
  FABRIC_IN. peer_groups are empty for what came in from outside, hairpinned through the internet gateway included.
  Egress: the owner by Fabric.owners, if it is a NODE.
- Groups' entries have the conntrack key of the wire's header (neither TCP, UDP nor ICMP: ports 0), state NEW until a
  packet the other way makes it ESTABLISHED, reply tuple inverted, ordinals counted apart from conntrack's (both per
  router, from 1).
- From outside: decrements_ttl decrements (and counts a hop) before delivery; no other check of FABRIC applies; the
  choice comes first (FABRIC_NO_ROUTE wins over TTL_EXCEEDED); with routes_pods step 3 decides instead, nothing is
  decremented, ROUTED not set, place is 0 whatever gateways there are. The gateway place is that of the first INTERNET
  route in Fabric.tables, else of the first subnet whose table has an OUTSIDE route, else 0; OUTSIDE provider means that
  some table has an OUTSIDE route. A HOST of Fabric.owners is
  delivered as in step 4 (LOCAL). A public address belongs to a router with PUBLIC.
- VXLAN's source port: addresses a ≤ b and ports p ≤ q of the inner header after NAT (of ICMP and pieces both 0, as Linux'
  flow hash leaves the identifier out): 32768 + draw(seed, a, b, protocol << 32 | p << 16 | q) mod 28232.
- connections() shows what is alive at the latest packet time seen. Waves come in the order of time; what had expired
  before the earliest packet of a wave may be forgotten by it.
- The decider on DELIVERED and EXITED is the first leg's adjacency (the tunnel's, not the outer header's); 0 if no
  router looked it up. FABRIC_PROTOCOL and FABRIC_MTU of step 1: Fabric.decided_by. FABRIC_NO_OWNER after a route,
  IGW_NO_PUBLIC_ADDRESS and the gateway's FABRIC_MTU: that route. ENCAPSULATE's MTU_EXCEEDED: the tunnel route's. Of
  equal prefixes of a route table, and of hosts with one address, the first.
- outer_src and outer_dst are as on the wire at the end (a gateway may have translated them), of the last encapsulated leg.
- path's hops: min(hops, 15) in bits 12..15; all of it modulo 2³².
- What resumes, in Start: resume comes before place and ingress. ADDRESS_UNUSED (first of all) also: a device that is none of
  VETH … LOOPBACK, or VETH and ingress is no pod of that router (both at DECAPSULATE, CONNTRACK, FRAGMENT, FABRIC_OUT);
  FABRIC_OUT with encap 0; DELIVER to 0 with a place that is not one beyond the routers'. Then the "any" checks, then DOWN
  (of FABRIC_IN, too): hops 0. Later its legs count from 1. FABRIC_IN sets ROUTED, DELIVER does not.
- DECAPSULATE goes on with 2 and all after it (1a is not asked again); CONNTRACK with 4 (no source is chosen); FRAGMENT with 10
  and FABRIC_OUT with 12, after a LOOKUP anew (its losses, its decider): FRAGMENT's of the packet's destination – LOCAL to the
  node itself is NO_ROUTE (stage LOOKUP) there –, FABRIC_OUT's of the inner one, which must be a TUNNEL, else NO_ROUTE (stage
  LOOKUP); then the outer destination's link as in 11. No connection is known there: an error goes to the source as it is now.
- Every CONTINUED has detail 0. At ENDPOINT where = the pod's router. Step 8 and 9a: largest stands for the length in 8 alone.
- A piece of any protocol is at least 21 long (MALFORMED). ENCAPSULATE, before its event: an outer length over 65535 is MALFORMED.
- FABRIC's MTUs without DF: after the route is known, before UNREACHABLE and before a host's NACL_IN; OUTSIDE after step 5's
  FABRIC_NO_ROUTE; what is hairpinned to a router is not measured again.
- What is held in 1a resumes at DECAPSULATE (largest 0), what is held in 3a at CONNTRACK, encapsulated or not.
- HEADER of a born piece or whole: what is not named of resume, resume_at, device, largest is 0 (a piece's largest,
  too); place is the wave's but for an EXITED to be; a packet that is not encapsulated now has all outer_* 0, one that
  is has them as on the wire, outer_length 0 unless it is an outer piece. An outer header that ENCAPSULATE has made has
  no outer_id or outer_datagram yet.
- Numbers are counted up, and pieces taken up, in one pass over the CONTINUED rows, legs then rows; a whole takes its new number
  when it is born. Device, ingress and resume of a whole are those of the piece that closed it (skb->dev).
- A queue is alive for pieces with time < the first one's + 30 s (else a new one replaces it); for the 4 MiB count all that had
  not expired at the earliest time of the wave and are not replaced, closed or killed. A last piece beyond whose end there
  is a piece already kills, too. That every byte is there is asked first.
- Kept boundaries hold while time < the whole's + 30 s, by number alone (the last whole with a number counts), if their
  payloads add up to the packet's. DF of a piece cut anew is the packet's.
"""

MAX_HOPS = 32
