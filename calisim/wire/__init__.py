"""Bytes on the wire: one file per protocol, the same verbs in each.

    parse(bytes) → (header, payload)      what stands there; raises MalformedPacket and nothing else
    emit(header, payload) → bytes         lengths and checksums that are ``None`` in the header are filled in
    verify(bytes, …) → bool               is the checksum right?

Headers are frozen dataclasses in the field's own units (addresses are host-order integers). ``parse`` keeps every field as it
stands, right or wrong, so ``emit(*parse(data))`` gives the same bytes; a header to be changed is
``dataclasses.replace(header, ttl=63, checksum=None)``.

    ethernet · ipv4 (also the outer one of IP-in-IP) · udp · tcp · icmp · vxlan · checksum
    fragments   cutting and putting together            dissect   a packet's whole nest of headers
    frame       what a capture holds                    linktypes a frame → the IPv4 packet inside
    pcap · pcapng · capture                             reading and writing capture files, streaming

Knows the vocabulary and nothing of routers, tables or scenarios.
"""
