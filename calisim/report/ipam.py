"""Addresses in use as ``calicoctl ipam show`` prints them, per pool and (``--show-blocks``) per block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..control.intent import Block, Intent
from ..quantities import format_address

HEADINGS = ("GROUPING", "CIDR", "IPS TOTAL", "IPS IN USE", "IPS FREE")
_RIGHT = (2,)      # columns of bare numbers


def table(intent: Intent, *, show_blocks: bool = False) -> str:
    """The boxed table of ``calicoctl ipam show``."""
    rows = list(_rows(intent, show_blocks))
    widths = [max(len(cell) for cell in column) for column in zip(HEADINGS, *rows, strict=True)]
    border = "+" + "+".join("-" * (width + 2) for width in widths) + "+"
    head = "| " + " | ".join(_centred(cell, width) for cell, width in zip(HEADINGS, widths, strict=True)) + " |"
    body = ["| " + " | ".join(
        cell.rjust(width) if column in _RIGHT else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))) + " |" for row in rows]
    return "\n".join([border, head, border, *body, border])


def records(intent: Intent) -> list[dict[str, Any]]:
    """Every pool with its blocks: who is affine, how much is in use, and which addresses others borrowed."""
    return [
        {
            "name": pool.name, "cidr": str(pool.prefix), "blockSize": pool.block_size, "disabled": pool.disabled,
            "total": pool.prefix.size, "inUse": sum(len(intent.allocations[block.prefix]) for block in blocks),
            "blocks": [_block(intent, block) for block in blocks],
        }
        for pool, blocks in _by_pool(intent)]


def _block(intent: Intent, block: Block) -> dict[str, Any]:
    borrowed = {
        format_address(block.prefix.network + ordinal): intent.endpoint(endpoint).name
        for ordinal, endpoint in intent.allocations[block.prefix].items() if intent.endpoint(endpoint).router != block.affinity}
    return {
        "cidr": str(block.prefix), "node": intent.router(block.affinity).name if block.affinity else None,
        "total": block.prefix.size, "inUse": len(intent.allocations[block.prefix]), "borrowed": borrowed,
    }


def _by_pool(intent: Intent) -> Iterator[tuple[Any, list[Block]]]:
    blocks: dict[int, list[Block]] = {}
    for block in intent.blocks:
        blocks.setdefault(block.pool, []).append(block)
    order = sorted(range(len(intent.pools)), key=lambda index: intent.pools[index].prefix)
    yield from ((intent.pools[index], blocks.get(index, [])) for index in order)


def _rows(intent: Intent, show_blocks: bool) -> Iterator[Sequence[str]]:
    used = {prefix: len(held) for prefix, held in intent.allocations.items()}
    for pool, blocks in _by_pool(intent):
        yield _row("IP Pool", str(pool.prefix), pool.prefix.size, sum(used[block.prefix] for block in blocks))
        if show_blocks:
            yield from (_row("Block", str(block.prefix), block.prefix.size, used[block.prefix]) for block in blocks)


def _row(grouping: str, cidr: str, total: int, used: int) -> Sequence[str]:
    return grouping, cidr, str(total), _share(used, total), _share(total - used, total)


def _share(part: int, total: int) -> str:
    return f"{part} ({100 * part / total:.0f}%)"


def _centred(text: str, width: int) -> str:
    left = (width - len(text)) // 2
    return " " * left + text + " " * (width - len(text) - left)
