"""Intent.policy → tables. What a packet costs depends on the rules that can match it, not on all there are.

All addresses that answer every question of every rule alike are one *peer*; a rule's question about an address is an *atom*,
a bit of the peer's row. A program is a run of tiers, a tier a run of steps (rules); equal runs of steps are stored once.
A long run has an index (bit vectors by peer and by protocol and port: Lakshman and Stiliadis 1998, Baboescu and Varghese 2001).
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..control.policing import AddressSet, Failsafes, Identified, Policing, Ports, Program, RuleMatch, SideMatch
from ..errors import CompileError
from ..quantities import Prefix
from ..vocabulary import GUARD, INDEX, MATCH, TERM, TIER, PolicyAction, TermFlag, TermKind
from . import lpm
from .columns import column

MOST_CELLS = 1 << 26                  # of 32 bits: atoms of all peers, steps of all tiers
MOST_INDEXED = 1 << 23                # words of 64 bits that indexes may take; what is left over is tried rule by rule
LONG = 8                              # steps from which on an index pays (measured: 22 ns by it, 5 ns a step without)
ANY = 256                             # protocol: all
WITH_PORTS = (6, 17, 132)
ICMP = (1, 58)
LAST_PORT = 0xFFFF
_BLOCK = 1 << 24                      # cells that are worked on at once

HOOKS = (
    "ingress", "egress", "forward_ingress", "forward_egress", "pre_dnat", "untracked_ingress", "untracked_egress")

_Row = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """The tables, by their names in the image, and the first tier of each program."""

    arrays: dict[str, np.ndarray]
    programs: dict[int, int]


def compile_policy(policing: Policing) -> Policy:
    questions = _Questions(policing)
    tiers = _Tiers(policing, questions)
    peers = _Peers(policing, questions)
    matches = np.array(list(questions.matches), MATCH)
    indexes = _Indexes(peers.atoms, matches)
    steps = tiers.steps()
    records = tiers.records(indexes.over(tiers.runs, steps))
    return Policy({
        "peers": peers.table, "atoms": peers.atoms, "tiers": records, "steps": steps, "matches": matches,
        "terms": np.array(questions.terms, TERM), **indexes.arrays(), "guards": _guards(policing, tiers.programs)},
        tiers.programs)


def _guards(policing: Policing, programs: dict[int, int]) -> np.ndarray:
    before = [programs[number] for number in _failsafes(policing.failsafes)]
    rows = [(0,) * 12, *(
        (*(programs[getattr(guard, name)] for name in HOOKS), guard.decided_by, *before) for guard in policing.guards)]
    return np.array(rows, GUARD)


def _failsafes(safe: Failsafes) -> tuple[int, ...]:
    return safe.ingress, safe.egress, safe.untracked_ingress, safe.untracked_egress


class _Questions:
    """Rules, and what they ask of addresses and ports: each once."""

    def __init__(self, policing: Policing) -> None:
        self.policing = policing
        self.sets: list[AddressSet] = list(policing.sets)
        self.atoms: dict[SideMatch, int] = {SideMatch(): 0}        # the address part of a side
        self.terms: list[_Row] = [(0,) * 6]
        self.matches: dict[_Row, int] = {(0,) * 9: 0}
        self._asked: dict[tuple[tuple[object, ...], ...], int] = {}
        self._named: dict[AddressSet, int] = {}
        self._runs: dict[tuple[_Row, ...], int] = {(): 0}

    def match(self, rule: RuleMatch) -> int:
        """Index of the rule's record."""
        wanted = rule.destination.ports if rule.protocol in WITH_PORTS and not rule.destination.port_sets else ()
        terms = tuple(term for group in self._groups(rule, inline=len(wanted) == 1) for term in group)
        row = (
            self._atom(rule.source), self._atom(rule.destination), self._run(terms), len(terms), rule.decided_by,
            ANY if rule.protocol is None else rule.protocol, min((first for first, _ in wanted), default=0),
            max((last for _, last in wanted), default=LAST_PORT), rule.action)
        return self.matches.setdefault(row, len(self.matches))

    def _atom(self, side: SideMatch) -> int:
        asked = side.nets, side.not_nets, side.sets, side.not_sets
        if asked not in self._asked:
            self._asked[asked] = self.atoms.setdefault(SideMatch(*asked), len(self.atoms))
        return self._asked[asked]

    def _run(self, terms: tuple[_Row, ...]) -> int:
        if terms not in self._runs:
            self._runs[terms] = len(self.terms)
            self.terms += terms
        return self._runs[terms]

    def _groups(self, rule: RuleMatch, *, inline: bool) -> Iterator[list[_Row]]:
        """Groups of terms, all of which must hold. ``inline``: the wanted destination ports stand in the rule's record."""
        if rule.not_protocol is not None:
            yield _group([(0, 0, LAST_PORT, rule.not_protocol, TermKind.ANY)], negated=True)
        if rule.icmp is not None:
            yield _group(_icmp(rule.icmp))
        if rule.not_icmp is not None:
            yield _group(_icmp(rule.not_icmp), negated=True)
        for side, kind in ((rule.source, TermKind.SPORT), (rule.destination, TermKind.DPORT)):
            if (side.ports or side.port_sets) and not (inline and kind is TermKind.DPORT):
                yield _group(self._among(side.ports, side.port_sets, kind) or [_NEVER])
            if side.not_ports or side.not_port_sets:
                yield _group([(0, 0, LAST_PORT, protocol, kind) for protocol in WITH_PORTS])
                if refused := self._among(side.not_ports, side.not_port_sets, kind):
                    yield _group(refused, negated=True)

    def _among(self, ports: Ports, port_sets: Iterable[int], kind: TermKind) -> list[_Row]:
        found: list[_Row] = [
            (0, first, last, protocol, kind) for first, last in ports if first <= last for protocol in WITH_PORTS]
        for number in port_sets:
            named = self.policing.port_sets[number - 1]
            owners: dict[int, set[int]] = {}
            for identity, numbers in named.numbers.items():
                for port in numbers:
                    owners.setdefault(port, set()).add(identity)
            for port in sorted({*owners, *(port for _, port in named.hosts)}):
                nets = tuple(sorted(Prefix(address, 32) for address, own in named.hosts if own == port))
                atom = self._owners(AddressSet("", frozenset(owners.get(port, ())), nets))
                found.append((atom, port, port, named.protocol, kind))
        return found

    def _owners(self, owners: AddressSet) -> int:
        """The atom of those who give a port's name this number."""
        if owners not in self._named:
            self.sets.append(owners)
            self._named[owners] = self._atom(SideMatch(sets=(len(self.sets),)))
        return self._named[owners]


_NEVER = (0, 1, 0, ANY, TermKind.ANY)


def _group(terms: Iterable[_Row], *, negated: bool = False) -> list[_Row]:
    terms = list(terms)
    flags = TermFlag.LAST | (TermFlag.NEGATED if negated else TermFlag(0))
    return [(*term, 0) for term in terms[:-1]] + [(*terms[-1], flags)]


def _icmp(asked: tuple[int, int | None]) -> list[_Row]:
    kind, code = asked
    low, high = (kind << 8, kind << 8 | 0xFF) if code is None else (kind << 8 | code,) * 2
    return [(0, low, high, protocol, TermKind.ICMP) for protocol in ICMP]


class _Tiers:
    """Programs as runs of tiers; their rules as runs of steps. Rules that only log decide nothing and are left out."""

    def __init__(self, policing: Policing, questions: _Questions) -> None:
        self.questions = questions
        self.runs: list[tuple[int, ...]] = [(0,)]                  # steps, index 0 of them nothing
        self.programs: dict[int, int] = {0: 0}
        self._known: dict[tuple[int, ...], int] = {}
        self._total = 1
        deny = PolicyAction.DENY
        self._tiers: list[tuple[int, int, int, int]] = [(0, 0, deny, deny)]      # run, end's object, end, last
        self._chains = [self._of_chain(policing, number) for number in range(len(policing.chains))]
        enforced = {program for identity in policing.identities for program in (identity.ingress, identity.egress)}
        enforced |= {getattr(guard, name) for guard in policing.guards for name in HOOKS}
        enforced |= set(_failsafes(policing.failsafes))
        for number in sorted(enforced - {0}):
            self.programs[number] = self._add(policing.programs[number - 1])

    def _of_chain(self, policing: Policing, number: int) -> tuple[int, ...]:
        return tuple(
            self.questions.match(rule) for rule in policing.chains[number].rules if rule.action is not PolicyAction.LOG)

    def _add(self, program: Program) -> int:
        """Index of the program's first tier; the profiles are tiers that never end by themselves."""
        first = len(self._tiers)
        for tier in program.tiers:
            self._tiers.append((self._run(tier.chains), tier.decided_by, tier.end, 0))
        for chain in program.profiles:
            self._tiers.append((self._run((chain,)), 0, PolicyAction.PASS, 0))
        if first == len(self._tiers):
            self._tiers.append((self._run(()), 0, PolicyAction.PASS, 0))
        self._tiers[-1] = (*self._tiers[-1][:3], program.end)
        return first

    def _run(self, chains: tuple[int, ...]) -> int:
        if chains not in self._known:
            self._known[chains] = len(self.runs)
            self.runs.append(tuple(step for chain in chains for step in self._chains[chain - 1]))
            self._total += len(self.runs[-1])
            if self._total > MOST_CELLS:
                raise CompileError(
                    f"the policies that apply to one pod after another add up to more than {MOST_CELLS:,} rules: let fewer "
                    "policies select all pods")
        return self._known[chains]

    def steps(self) -> np.ndarray:
        return np.fromiter((step for run in self.runs for step in run), np.uint32, self._total)

    def records(self, indexed: dict[int, int]) -> np.ndarray:
        starts = np.concatenate([[0], np.cumsum([len(run) for run in self.runs])])
        return np.array([
            (starts[run], len(self.runs[run]), indexed.get(run, 0), detail, end, last) for run, detail, end, last in self._tiers
        ], TIER)


def _identified(given: Mapping[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Addresses, ascending, and the identity of each."""
    known = given if isinstance(given, Identified) else Identified(list(given), array("q", given.values()))
    rows = column(known.addresses).astype(np.int64) << 31 | column(known.identities)
    rows.sort()
    rows = rows[np.searchsorted(rows, 1 << 31):]
    identities = rows & (1 << 31) - 1
    if not identities.all():
        rows, identities = rows[identities > 0], identities[identities > 0]
    return rows >> 31, identities


class _Peers:
    """The partition of all addresses by what the atoms say: ``table`` (16-10-6, address → peer), ``atoms`` (peer → bits)."""

    def __init__(self, policing: Policing, questions: _Questions) -> None:
        self._sets, self._identities = questions.sets, len(policing.identities)
        asked = list(questions.atoms)
        nets = sorted({net for atom in asked for net in self._nets(atom)})
        intervals = lpm.Intervals(nets)
        addresses, identities = _identified(policing.addresses)
        # pairs of an identity (0: nobody) and a net: of all that there may be those that there are
        of_address = identities * (len(nets) + 1) + intervals.match_ascending(addresses) + 1
        pairs, number = _which(np.concatenate([of_address, intervals.matches + 1]), (self._identities + 1) * (len(nets) + 1))
        self._who, self._match = np.divmod(pairs, len(nets) + 1)
        used, first = np.unique(intervals.matches + 1, return_index=True)
        self._samples = np.full(len(nets) + 1, -1, np.int64)       # an address of each match that there is
        self._samples[used] = intervals.starts[first]
        self._known: dict[int, np.ndarray] = {}
        rows, of_pair = self._rows(asked)
        self.atoms = np.concatenate([np.zeros((1, rows.shape[1]), np.uint32), rows])
        peers = (of_pair + 1)[number]
        self.table = lpm.build(*_changes(addresses, peers[:len(addresses)], intervals, peers[len(addresses):]))

    def _nets(self, atom: SideMatch) -> Iterator[Prefix]:
        yield from atom.nets
        yield from atom.not_nets
        for number in (*atom.sets, *atom.not_sets):
            yield from self._sets[number - 1].nets

    def _rows(self, asked: list[SideMatch]) -> tuple[np.ndarray, np.ndarray]:
        """The different rows of bits, one an atom, and which of them each pair of identity and match has."""
        words = -(-len(asked) // 32)
        if len(self._who) * words > MOST_CELLS:
            raise CompileError(
                f"{len(asked):,} different questions of rules about {len(self._who):,} kinds of pods do not fit the table of "
                f"policy ({MOST_CELLS:,} cells): select pods by fewer different labels")
        by_atom = np.zeros((words * 32, -(-len(self._who) // 8)), np.uint8)
        for number, atom in enumerate(asked):
            by_atom[number] = np.packbits(self._truth(atom), bitorder="little")
        rows = np.empty((len(self._who), words), np.uint32)
        step = max(8, _BLOCK // len(by_atom) // 8 * 8)
        for start in range(0, len(rows), step):
            block = np.unpackbits(by_atom[:, start // 8:(start + step) // 8], axis=1, bitorder="little")[:, :len(rows) - start]
            rows[start:start + step] = np.ascontiguousarray(np.packbits(block.T, axis=1, bitorder="little")).view("<u4")
        return _distinct(rows)

    def _truth(self, atom: SideMatch) -> np.ndarray:
        """What each pair answers."""
        said = np.ones(len(self._who), bool)
        if atom.nets:
            said &= self._inside(atom.nets)
        if atom.not_nets:
            said &= ~self._inside(atom.not_nets)
        for number in atom.sets:
            said &= self._holds(number)
        for number in atom.not_sets:
            said &= ~self._holds(number)
        return said

    def _inside(self, nets: Iterable[Prefix]) -> np.ndarray:
        found: np.ndarray = (lpm.Intervals(list(nets)).match(self._samples) >= 0)[self._match]
        return found

    def _holds(self, number: int) -> np.ndarray:
        if number not in self._known:
            found = self._sets[number - 1]
            members = np.zeros(self._identities + 1, bool)
            members[list(found.identities)] = True
            said = members[self._who]
            self._known[number] = said | self._inside(found.nets) if found.nets else said
        return self._known[number]


def _which(values: np.ndarray, limit: int) -> tuple[np.ndarray, np.ndarray]:
    """The different values, ascending, and of each value which it is; all are below the limit."""
    if limit > _BLOCK:
        return lpm.numbered(values)
    there = np.zeros(limit, bool)
    there[values] = True
    return np.flatnonzero(there), (np.cumsum(there) - 1)[values]


def _changes(
    addresses: np.ndarray, peers: np.ndarray, intervals: lpm.Intervals, around: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Where the peer changes and to which: ``peers`` of some addresses, ascending, ``around`` them those of the intervals."""
    alone = np.append(True, addresses[1:] != addresses[:-1] + 1)[:len(addresses)]
    first = np.flatnonzero(alone | np.append(True, peers[1:] != peers[:-1])[:len(addresses)])
    after = addresses[np.append(alone[1:], True)[:len(addresses)]] + 1
    gaps = lpm.distinct(np.concatenate([intervals.starts, after]))
    gaps = gaps[gaps < 1 << 32]
    if len(addresses):
        gaps = gaps[addresses[np.minimum(np.searchsorted(addresses, gaps), len(addresses) - 1)] != gaps]
    starts = np.concatenate([addresses[first], gaps])
    values = np.concatenate([peers[first], lpm.spread(intervals.starts, around, gaps)])
    order = np.argsort(starts)
    starts, values = starts[order], values[order]
    new = np.append(True, values[1:] != values[:-1])
    return starts[new], values[new]


def _distinct(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different rows, and the number of each row among them."""
    rows = np.ascontiguousarray(rows)
    whole = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, number = np.unique(whole, return_index=True, return_inverse=True)
    return rows[first], number


@dataclass
class _Indexes:
    """Bit vectors over long runs of steps, the longest first, as long as there is room."""

    atoms: np.ndarray
    matches: np.ndarray
    _records: list[_Row] = field(default_factory=lambda: [(0,) * 5])
    _maps: list[np.ndarray] = field(default_factory=lambda: [np.zeros(1, np.uint32)])
    _bits: list[np.ndarray] = field(default_factory=lambda: [np.zeros(1, np.uint64)])
    _mapped: int = 1
    _words: int = 1

    def over(self, runs: list[tuple[int, ...]], steps: np.ndarray) -> dict[int, int]:
        """Index of each run that has one."""
        starts = np.concatenate([[0], np.cumsum([len(run) for run in runs])])
        found = {}
        for run in sorted((run for run in range(len(runs)) if len(runs[run]) >= LONG), key=lambda run: -len(runs[run])):
            words = -(-len(runs[run]) // 64)
            rules = self.matches[steps[starts[run]:starts[run + 1]]]
            edges = np.unique(np.concatenate([[0], *_keys(rules)]))
            room = self._words + self._mapped // 2 < MOST_INDEXED
            if room and (len(self.atoms) + len(edges)) * words < MOST_INDEXED:
                found[run] = self._add(rules, words, edges)
        return found

    def _add(self, rules: np.ndarray, words: int, edges: np.ndarray) -> int:
        by_dst = int(np.count_nonzero(rules["dst"]) > np.count_nonzero(rules["src"]))
        peers, of_peer = self._by_peer(rules["dst" if by_dst else "src"], words)
        low, end = _keys(rules)
        ports, of_edge = _packed(len(edges), words, lambda start, stop: (
            (low <= edges[start:stop, None]) & (edges[start:stop, None] < end)))
        base, stride = self._words, peers.shape[1]
        record = (self._mapped, self._mapped + len(of_peer), len(edges), words, by_dst)
        for part in (base + of_peer * stride, edges, base + (len(peers) + of_edge) * stride):
            self._maps.append(part.astype(np.uint32))
            self._mapped += len(part)
        for bits in (peers, ports):
            self._bits.append(bits.ravel())
            self._words += bits.size
        self._records.append(record)
        return len(self._records) - 1

    def _by_peer(self, atoms: np.ndarray, words: int) -> tuple[np.ndarray, np.ndarray]:
        return _packed(len(self.atoms), words, lambda start, stop: (
            (self.atoms[start:stop, atoms >> 5] >> (atoms & 31).astype(np.uint32) & 1).astype(bool) | (atoms == 0)))

    def arrays(self) -> dict[str, np.ndarray]:
        return {
            "indexes": np.array(self._records, INDEX), "maps": np.concatenate(self._maps), "bits": np.concatenate(self._bits)}


def _keys(rules: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The protocols << 16 | destination ports that can match each rule, as far as its record alone tells: from, up to."""
    everything = rules["protocol"] == ANY
    base = rules["protocol"].astype(np.int64) << 16
    return np.where(everything, 0, base + rules["low"]), np.where(everything, 1 << 24, base + rules["high"] + 1)


def _packed(count: int, words: int, truth: Callable[[int, int], np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The different sets among ``count``; ``truth(start, stop)`` tells some of them, a row of booleans each.

    A set is a bit for each of its words that is not empty, then the words.
    """
    rows = np.zeros((count, words * 8), np.uint8)
    step = max(1, _BLOCK // (words * 64))
    for start in range(0, count, step):
        block = np.packbits(truth(start, start + step), axis=1, bitorder="little")
        rows[start:start + step, :block.shape[1]] = block
    full = rows.view("<u8")
    filled = np.zeros((count, -(-words // 64) * 8), np.uint8)
    filled[:, :-(-words // 8)] = np.packbits(full != 0, axis=1, bitorder="little")
    return _distinct(np.concatenate([filled.view("<u8"), full], axis=1))
