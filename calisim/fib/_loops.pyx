"""What the compiler does address by address or record by record; :mod:`.lpm` says what a table of longest matches is.

Every array is made by the caller. At the door, and wherever a number from one array is a place in another, it is made sure that
nothing else is written to.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t

from calisim._vocabulary cimport VOCABULARY_DIGEST, Endpoint

VOCABULARY = VOCABULARY_DIGEST.decode()


cdef int demand(bint belong) except -1:
    if not belong:
        raise ValueError("these arrays do not belong together")
    return 0


def within(const int64_t[::1] starts, const int64_t[:] addresses, int64_t[::1] found):
    """Of ascending addresses the interval in which each lies; the first one begins at 0."""
    cdef Py_ssize_t at, interval = 0, last = len(starts) - 1
    demand(len(found) == len(addresses))
    for at in range(len(addresses)):
        while interval < last and starts[interval + 1] <= addresses[at]:
            interval += 1
        found[at] = interval


def cut(const int64_t[::1] order, const int64_t[::1] networks, const int64_t[::1] ends, int64_t[::1] parents,
        int64_t[::1] around, int64_t[::1] starts, int64_t[::1] matches):
    """Where the innermost of the prefixes changes and to which; in ``order`` what holds others comes before them. ``around`` is
    room for those that hold an address. Returns how many starts there are."""
    cdef Py_ssize_t at, depth = 0, count = 1
    cdef int64_t prefix, end
    demand(len(order) == len(networks) == len(ends) == len(parents) == len(around)
           and min(len(starts), len(matches)) > 2 * len(order))
    for at in range(len(order)):
        demand(0 <= order[at] < len(order))
    starts[0], matches[0] = 0, -1
    for at in range(len(order) + 1):
        while depth and (at == len(order) or ends[around[depth - 1]] <= networks[order[at]]):
            end = ends[around[depth - 1]]
            depth -= 1
            if end >> 32 == 0:
                count += starts[count - 1] != end
                starts[count - 1], matches[count - 1] = end, around[depth - 1] if depth else -1
        if at < len(order):
            prefix = order[at]
            parents[prefix] = around[depth - 1] if depth else -1
            around[depth] = prefix
            depth += 1
            count += starts[count - 1] != networks[prefix]
            starts[count - 1], matches[count - 1] = networks[prefix], prefix
    return count


def inherit(const int64_t[::1] parents, int64_t[::1] flags, int64_t[:, ::1] nearest):
    """What is said of prefixes goes down to those that they hold, which come after them: flags in any case, of ``nearest`` what
    is 0 there."""
    cdef Py_ssize_t at, row
    demand(len(flags) == nearest.shape[1] == len(parents))
    for at in range(len(parents)):
        if parents[at] >= 0:
            demand(parents[at] < len(parents))
            flags[at] |= flags[parents[at]]
            for row in range(len(nearest)):
                if nearest[row, at] == 0:
                    nearest[row, at] = nearest[row, parents[at]]


def fill(uint32_t[::1] root, uint32_t[::1] branches, uint32_t[::1] leaves, const int64_t[::1] starts, const int64_t[::1] values,
         const int64_t[::1] places, uint32_t first_branch, uint32_t first_leaf, int wide, int deep):
    """The cells of a table: of intervals, with the ``places`` of the branches of what fills root cells. Root cells stand for
    2^wide addresses, those of branches for 2^deep."""
    cdef Py_ssize_t at, branch = -1, leaf = -1
    cdef int64_t here, there, end, of_branch = -1, of_leaf = -1, cell, offset
    demand(0 <= deep <= wide <= 32 and len(root) == <int64_t> 1 << 32 - wide and len(starts) == len(values) == len(places))
    for at in range(len(starts)):
        here, end = starts[at], starts[at + 1] if at + 1 < len(starts) else <int64_t> 1 << 32
        demand(here >= 0 and end <= <int64_t> 1 << 32)
        while here < end:
            if here & (1 << wide) - 1 == 0 and end - here >= 1 << wide:
                there = end >> wide << wide
                for cell in range(here >> wide, there >> wide):
                    root[cell] = <uint32_t> places[at]
                here = there
                continue
            if of_branch != here >> wide:
                of_branch = here >> wide
                branch += 1
                demand(branch + 1 << wide - deep <= len(branches))
                root[of_branch] = first_branch + <uint32_t> (branch << wide - deep)
            offset = (branch - of_branch) << wide - deep               # of the branch's cells from the addresses' numbers
            if here & (1 << deep) - 1 == 0 and end - here >= 1 << deep:
                there = min(end >> deep << deep, of_branch + 1 << wide)
                for cell in range(here >> deep, there >> deep):
                    branches[offset + cell] = <uint32_t> values[at]
            else:
                if of_leaf != here >> deep:
                    of_leaf = here >> deep
                    leaf += 1
                    demand(leaf + 1 << deep <= len(leaves))
                    branches[offset + of_leaf] = first_leaf + <uint32_t> (leaf << deep)
                offset = (leaf - of_leaf) << deep
                there = min(end, of_leaf + 1 << deep)
                for cell in range(here, there):
                    leaves[offset + cell] = <uint32_t> values[at]
            here = there


def overlay(const int64_t[::1] starts, const int64_t[::1] values, const int64_t[:] addresses, const int64_t[:] sizes,
            const int64_t[:] over, int64_t[::1] changes, int64_t[::1] changed):
    """Where the value changes and to which: that ``over`` each stretch of addresses (ascending), elsewhere the interval's.
    Returns how often."""
    cdef Py_ssize_t at = 0, interval = 0, count = 0
    cdef int64_t here = 0, end, value
    demand(0 < len(starts) == len(values) and len(addresses) == len(sizes) == len(over)
           and min(len(changes), len(changed)) >= len(starts) + 2 * len(addresses))
    while here >> 32 == 0:
        while interval + 1 < len(starts) and starts[interval + 1] <= here:
            interval += 1
        while at < len(addresses) and addresses[at] < here:
            at += 1
        if at < len(addresses) and addresses[at] == here:
            value, end = over[at], here + sizes[at]
            at += 1
        else:
            value = values[interval]
            end = starts[interval + 1] if interval + 1 < len(starts) else <int64_t> 1 << 32
            if at < len(addresses):
                end = min(end, addresses[at])
        if count == 0 or changed[count - 1] != value:
            changes[count], changed[count] = here, value
            count += 1
        here = end
    return count


def place(uint32_t[::1] cells, const int64_t[::1] places, const int64_t[:] counts, const int64_t[:] first,
          const int64_t[:] steps):
    """To so many cells from each place on numbers that are evenly spaced."""
    cdef Py_ssize_t at
    cdef int64_t cell
    demand(len(places) == len(counts) == len(first) == len(steps))
    for at in range(len(places)):
        demand(0 <= places[at] <= len(cells) and counts[at] <= len(cells) - places[at])
        for cell in range(counts[at]):
            cells[places[at] + cell] = <uint32_t> (first[at] + cell * steps[at])


cdef struct Turn:
    const int64_t* numbers           # of the piece
    int64_t size                     # how many take turns
    int64_t step
    int64_t place                    # of the next one
    int64_t more                     # what is added to it


cdef inline int begin(Turn* turn, const int64_t[:, ::1] pieces, const int64_t[::1] numbers, Py_ssize_t piece) except -1:
    demand(pieces[piece, 1] > 0 and pieces[piece, 3] >= 0 and pieces[piece, 1] <= len(numbers) - pieces[piece, 3])
    turn.size, turn.step, turn.numbers = pieces[piece, 1], pieces[piece, 2], &numbers[pieces[piece, 3]]
    turn.place, turn.more = 0, 0
    return 0


cdef inline uint32_t take(Turn* turn) noexcept nogil:
    cdef int64_t number = turn.numbers[turn.place] + turn.more
    turn.place += 1
    if turn.place == turn.size:
        turn.place = 0
        turn.more += turn.step
    return <uint32_t> number


def tell(Endpoint[::1] records, uint8_t kind, uint32_t decider, const int64_t[:, ::1] addresses, const int64_t[::1] of_addresses,
         const int64_t[:, ::1] routers, const int64_t[::1] of_routers, const int64_t[:, ::1] mtus, const int64_t[::1] of_mtus,
         const int64_t[::1] edges, const uint32_t[::1] ingress, const uint32_t[::1] egress):
    """Records of endpoints in no subnet, decided by one object after the other. Columns are pieces and their numbers
    (:class:`.columns.Turning`); from one of the ``edges`` to the next one the same programs police all."""
    cdef Turn address, router, mtu
    cdef Py_ssize_t at, piece = 0, of_router = 0, of_mtu = 0, run = 0
    if not len(records):
        return
    demand(0 < len(edges) == len(ingress) == len(egress) and addresses.shape[1] == routers.shape[1] == mtus.shape[1] == 4
           and min(len(addresses), len(routers), len(mtus)) > 0 and addresses[0, 0] == routers[0, 0] == mtus[0, 0] == 0)
    for at in range(len(records)):
        if piece < len(addresses) and addresses[piece, 0] == at:
            begin(&address, addresses, of_addresses, piece)
            piece += 1
        if of_router < len(routers) and routers[of_router, 0] == at:
            begin(&router, routers, of_routers, of_router)
            of_router += 1
        if of_mtu < len(mtus) and mtus[of_mtu, 0] == at:
            begin(&mtu, mtus, of_mtus, of_mtu)
            of_mtu += 1
        while run + 1 < len(edges) and edges[run + 1] <= at:
            run += 1
        records[at].address = take(&address)
        records[at].router = take(&router)
        records[at].subnet = 0
        records[at].mtu = take(&mtu)
        records[at].detail = decider + <uint32_t> at
        records[at].ingress = ingress[run]
        records[at].egress = egress[run]
        records[at].kind = kind
