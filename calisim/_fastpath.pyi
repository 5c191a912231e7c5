"""Types of the compiled door; :mod:`calisim.datapath.fast` and, of ``deparse``, :mod:`calisim.datapath.deparse` call it.

Arrays must be contiguous and of the named dtype.
"""

from typing import Any

import numpy as np

VOCABULARY: str                # digest of the vocabulary that the core was built from
FRAME: int                     # packets that are walked together; rooms are checked once a frame
CARRY_SIZE: int                # bytes of a packet that is carried from leg to leg
NOTICE_SIZE: int               # bytes of a journey that began in another shard
SHARDS: int                    # at most
HOME_NOT_KNOWN: int            # no shard: it has to be found out
TAKEN_SIZE: int                # bytes that remember which of 64 ports are taken
TIE_SIZE: int                  # bytes of what a connection has to do with flows
RIDE_SIZE: int                 # bytes for each packet of a wave that short cuts may be trusted with
WAITING_SIZE: int              # bytes of a packet before its first leg
EVEN_ROWS: int                 # that such a wave may have at most
CONNECTION_ROOM: int           # records that one frame more may take in one leg
FLOW_SIZE: int                 # bytes of a flow, of what is seldom asked of it, and of what it means to the counters
ASIDE_SIZE: int
TOLL_SIZE: int
EVENT_ROOM: int                # likewise of events
LEAST_AFFINITIES: int          # slots of the smallest table of affinities
LEAST_INDEX: int               # slots of the smallest index of connections
INDEX_PER_FLOW: int            # slots of the index for each flow there is room for
SLOTS_PER_TAKEN: int     # room for so many connections to each such memory
WAVE_NUMBER: int               # the bits of CONNECTION.wave that are the wave's number
TIED_BIT: int

class Tables:
    """The arrays of a FibImage, by their names there."""

    def __init__(
        self, lpm: np.ndarray, classes: np.ndarray, residents: np.ndarray, rows: np.ndarray, adjacencies: np.ndarray,
        routers: np.ndarray, endpoints: np.ndarray, subnets: np.ndarray, target_rows: np.ndarray, targets: np.ndarray,
        rules: np.ndarray, blocked: np.ndarray, fabric: np.ndarray, peers: np.ndarray, atoms: np.ndarray, tiers: np.ndarray,
        steps: np.ndarray, matches: np.ndarray, terms: np.ndarray, indexes: np.ndarray, maps: np.ndarray, bits: np.ndarray,
        interfaces: np.ndarray, guards: np.ndarray, frontends: np.ndarray, services: np.ndarray, backends: np.ndarray,
        ranges: np.ndarray, places: int, objects: int,
    ) -> None: ...

class Ledger:
    """What a shard has written down, by the names there; ``flows``, ``asides``, ``tolls``: bytes. ``shards``: whose each router
    is."""

    counts: tuple[int, int, int, int]   # connections, affinities, flows, slots of the connections' index

    def __init__(
        self, connections: np.ndarray, connection_count: int, index: np.ndarray, ties: np.ndarray, taken: np.ndarray,
        affinities: np.ndarray, affinity_count: int, paths: np.ndarray, ordinals: np.ndarray, links: np.ndarray,
        drops: np.ndarray, verdicts: np.ndarray, hits: np.ndarray, flows: np.ndarray, asides: np.ndarray,
        tolls: np.ndarray, flow_index: np.ndarray, unsettled: np.ndarray, flow_count: int, index_count: int,
        shards: np.ndarray, shard: int, sourced: bool, trial_links: np.ndarray, trial_drops: np.ndarray,
        trial_verdicts: np.ndarray,
    ) -> None: ...
    def settle(self) -> None:
        """The counters get the packets that took short cuts."""

class Post:
    """What a shard has for each of the shards: rows to start, packets that go on, or journeys that began there."""

    total: int

    def clear(self, octets: int, shards: int, room: int, rows: int) -> None:
        """Empties it and makes room for ``room`` of that size for each shard, in a wave of ``rows``."""
    def make_room(self, octets: int) -> None:
        """For a frame more for each shard, of what is of that size."""
    def count(self, shard: int) -> int:
        """How many there are for a shard."""

class Sheet:
    """Memory of so many bytes, ``blank`` or as it is. What has been given up is kept for the next ones."""

    def __init__(self, octets: int, blank: bool = False) -> None: ...
    def __buffer__(self, flags: int) -> memoryview: ...

class Desk:
    """What a shard has in hand during a wave."""

    calls: bool                    # there are second legs that nobody's packets lead to

class Wave:
    """The arrays of a wave: PACKET, RESULT and, unless all packets are plain, HEADER records."""

    size: int                      # packets

    def __init__(self, packets: np.ndarray, results: np.ndarray, headers: np.ndarray | None) -> None: ...

class Gate:
    """Where so many threads meet."""

    def __init__(self, parties: int) -> None: ...
    def meet(self) -> bool:
        """Waits for the others. False: one of them cannot come."""
    def give_up(self) -> None:
        """The others need not wait."""
    @property
    def given_up(self) -> bool:
        """Somebody cannot come."""

def earliest(wave: Wave) -> int:
    """Time of a wave that is not empty."""
def typed_rows(
    events: np.ndarray, born_packets: np.ndarray, born_headers: np.ndarray, born: np.ndarray,
) -> tuple[Any, Any, Any, Any]:
    """The arrays as step takes them without looking at their layout once more."""

def set_off(
    tables: Tables, ledgers: list[Ledger], mine: list[int], waitings: list[Post], desks: list[Desk], wave: Wave,
    homes: np.ndarray, rides: np.ndarray, number: int, since: int, caching: bool, wants_born: bool, gate: Gate | None,
) -> tuple[int, int, bool, bool] | None:
    """What a thread does before a wave's first leg, all of it or as many slices as threads meet at the ``gate``: where packets
    start (``homes`` of their endpoints; where that is HOME_NOT_KNOWN or there are headers by admitting them on trial), and who
    may be trusted with a short cut. The others go into ``waitings``, of the first of the shards that are its own: ``mine``.
    ``rides``: RIDE_SIZE bytes for each packet. ``since``: when all waves before are over.

    Returns the wave's earliest and latest time, whether packets may be trusted, and whether any packet of the wave is not at its
    end; None if another thread has given up.
    """
def pay_all(ledgers: list[Ledger], wave: int) -> None:
    """Between waves: connections get what short cuts owe to them. ``wave``: the last one."""
def step(
    tables: Tables, ledgers: list[Ledger], shard: int, wave: Wave, posts: list[Post], out: Post, notes: Post, desk: Desk,
    rides: Any, events: np.ndarray, event_count: int, wants_events: bool, born_packets: np.ndarray, born_headers: np.ndarray,
    born: np.ndarray, born_count: int, number: int, lively: int, leg: int, even: bool, flows_may_grow: bool,
) -> tuple[bool, int, int]:
    """Walks what ``posts`` have for a shard through leg ``leg`` (0: out of their endpoints, and leg 1 where nobody wants
    offspring), survivors to ``out``, journeys that began elsewhere to ``notes``.

    Stops early where connections, affinities, flows, events or offspring (if wanted: its arrays are not empty) lack room for
    one frame more.
    Returns whether all is done, event_count, born_count.
    """

def enter(ledger: Ledger, posts: list[Post], flows_may_grow: bool) -> bool:
    """Takes the journeys that ``posts`` have for this shard into its flow cache. False: that lacks room."""

def reflow(flows: np.ndarray, count: int, flow_index: np.ndarray) -> None:
    """Enters the first ``count`` flows into an empty index."""

def reindex(connections: np.ndarray, count: int, index: np.ndarray, sourced: bool) -> int:
    """Enters the first ``count`` records into an empty index, in their order. Returns how many slots they take."""

def widen(index: np.ndarray, wider: np.ndarray) -> None:
    """Enters the slots of an index, some of them empty, into a wider empty one."""

def remember(known: np.ndarray, room: np.ndarray) -> None:
    """Enters AFFINITY records, all of different clients, into an empty table."""

def lookup(tables: Tables, addresses: np.ndarray, classes: np.ndarray) -> None:
    """Class of each address (the shared LPM alone)."""

def police(tables: Tables, packets: np.ndarray, reasons: np.ndarray, deciders: np.ndarray) -> None:
    """DropReason that policy has for each packet from pod to pod that opens a connection, and what decided last."""

def adjacency(tables: Tables, router: int, address: int) -> tuple[int, int, int, int, int, int, int, int]:
    """(kind, device, encap, reason, next_hop, mtu, detail, endpoint) of one router's route to an address."""

def deparse(
    events: np.ndarray, which: np.ndarray, headers: np.ndarray, numbers: np.ndarray, wholes: np.ndarray, vteps: np.ndarray,
    macs: np.ndarray, seed: int, vni: int, port: int, udp_checksum: bool, offsets: np.ndarray, octets: np.ndarray,
) -> bool:
    """Bytes of the events at positions ``which``: of each as many as there is room for between its offset and the next.

    ``headers``, ``numbers`` and ``wholes`` are row by row, or empty. False: an event is out of range and nothing holds.
    """
