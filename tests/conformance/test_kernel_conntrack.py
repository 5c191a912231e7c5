"""What `conntrack -L` said on each node after a recorded case, against the tables of both engines: tunnels' connections, too."""

import re
from collections import Counter
from pathlib import Path

import pytest

from calisim import conformance
from calisim.conformance.kernel import case as cases
from calisim.conformance.kernel.play import ENGINES, Player
from calisim.quantities import format_address
from calisim.vocabulary import ConnectionFlag

DATA = Path(__file__).parents[2] / conformance.data_directory("kernel")
LISTED = sorted(path.parent.name for path in DATA.glob("*/conntrack.txt"))
VXLAN = 4789                       # the source port of a tunnel's packet is drawn


def said_by_linux(listing):
    """Node, protocol, tuple of the first packet, ends of the answers, packets of both directions."""
    node = ""
    for line in filter(None, listing.splitlines()):
        if line.startswith("#"):
            node = line[1:].strip()
            continue
        (src, reply_src), (dst, reply_dst), counts = (re.findall(rf"\b{name}=(\S+)", line) for name in ("src", "dst", "packets"))
        sport, dport = (int((re.findall(rf"\b{name}=(\d+)", line) or [0])[0]) for name in ("sport", "dport"))
        yield (node, int(line.split()[3]), src, dst, 0 if dport == VXLAN else sport, dport, reply_src, reply_dst,
               *map(int, counts))


def said_by_us(state, intent):
    names = {router.key: router.name for router in intent.routers}
    for entry in state.connections():
        if entry["flags"] & ConnectionFlag.TRACKED_BY_FABRIC:
            continue
        src, dst, reply_src, reply_dst = (format_address(int(entry[name])) for name in ("src", "dst", "reply_src", "reply_dst"))
        sport, dport = (int(entry[name]) if entry["protocol"] in (6, 17) else 0 for name in ("sport", "dport"))
        yield (names[int(entry["key"])], int(entry["protocol"]), src, dst, 0 if dport == VXLAN else sport, dport, reply_src,
               reply_dst, int(entry["packets"]), int(entry["reply_packets"]))


@pytest.mark.parametrize("name", LISTED or ["any"])
@pytest.mark.parametrize("engine", range(len(ENGINES)), ids=ENGINES)
def test_the_kernels_connections_are_ours(name, engine):
    if not LISTED:
        pytest.skip(f"no conformance data: {DATA} is absent (set CALISIM_CONFORMANCE)")
    case = cases.read(DATA / name)
    player = Player(case)
    player.play()
    theirs = Counter(said_by_linux((DATA / name / "conntrack.txt").read_text()))
    assert Counter(said_by_us(player._engines[engine][1], case.intent)) == theirs
