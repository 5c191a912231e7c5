"""``calisim capture``."""

from __future__ import annotations

import os
import sys
from collections import Counter
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from . import options

if TYPE_CHECKING:
    from ..report.capture import Recording


@click.command(epilog="""\b
Examples:
  calisim capture scenarios/three-az.yaml --traffic out -o out.pcapng
  calisim capture scenarios/s02-check-still-on.yaml --variant calico-no-encap -o hops/
  calisim capture scenarios/vxlan-cross-subnet.yaml --replies -o - > vxlan.pcapng
""")
@options.scenario_argument
@click.option(
    "-o", "--output", required=True, type=click.Path(), metavar="FILE.pcapng|DIR|-",
    help="A pcapng with an interface per hop (- is standard output) or a folder with a pcap per interface: whole or not at all.")
@options.traffic
@click.option("--replies", is_flag=True, help="Send an answer for every packet that arrived.")
@options.editing
@options.variant
@options.step
@options.engine
@click.option("--json", "as_json", is_flag=True, help="What was written as one JSON document.")
def command(
    scenario: str, output: str, traffic: str | None, replies: bool, set_: tuple[str, ...], apply: tuple[str, ...], variant: str,
    step: int, engine: str, as_json: bool,
) -> None:
    """Send the scenario's traffic and write what tcpdump would see on every interface that it crosses.

    Times are in nanoseconds; the last frame of a lost packet says in a comment why it got no further.
    """
    from ..analysis.network import Network
    from ..report.capture import record
    from .progress import progress

    folder = _is_folder(output)
    network = Network(options.load(scenario, set_, apply), variant, step=step, engine=engine)
    with progress() as tell:
        recording = record(network, traffic, replies=replies, progress=tell)
        options.warn(network.intent.failures)
        if folder:
            _write_folder(recording, output)
        else:
            _write_file(recording, output)
    if as_json:
        from ..report.json import capture_document

        answer = [capture_document(network, recording, output)]
    else:
        answer = list(_account(network, recording, output))
    click.echo("\n".join(answer), err=output == "-")


def _is_folder(output: str) -> bool:
    """``FILE.pcapng`` and what is there but no folder (a pipe, a device) are files, all else is a folder."""
    from ..errors import UsageError

    if output == "-" or (os.path.exists(output) and not os.path.isdir(output) and not os.path.isfile(output)):
        return False
    ending = os.path.splitext(output)[1].lower()
    if ending == ".pcapng" and not os.path.isdir(output):
        return False
    if ending in (".pcap", ".cap", ".gz") or os.path.isfile(output):
        raise UsageError(f"-o {output}: one file for all interfaces is a FILE.pcapng; a folder gets a pcap per interface")
    return True


def _write_file(recording: Recording, output: str) -> None:
    from ..wire.pcapng import Writer
    from .files import whole_file

    target: Any = nullcontext(sys.stdout.buffer) if output == "-" else whole_file(output)
    with target as stream:
        writer = Writer(stream)
        for frame in recording.frames():
            writer.write(frame)


def _write_folder(recording: Recording, output: str) -> None:
    from ..report.capture import file_names
    from ..wire.linktypes import IPV4
    from ..wire.pcap import Writer
    from .files import whole_folder

    names = file_names(recording.interfaces)
    with whole_folder(output) as folder:
        for interface, frames in recording.by_interface():
            stream: BinaryIO
            with open(folder / names[interface], "wb") as stream:
                writer = Writer(stream, IPV4)
                for frame in frames:
                    writer.write(frame)


def _account(network: Any, recording: Recording, output: str) -> Any:
    """What was written and what is not in it."""
    from ..quantities import plural

    sent = recording.run.tally.sent
    yield (f"{network.scenario.name}, {network.variant}: {plural(len(recording), 'frame')} of {plural(sent, 'packet')} "
           f"on {plural(len(recording.interfaces), 'interface')} in {output}")
    lost = Counter({reason.name: count for reason, count in recording.run.tally.lost().items()})
    unseen = Counter(recording.unseen())
    if seen := lost - unseen:
        yield f"lost on the way, the last frame says why: {_counts(seen)}"
    if unseen:
        yield f"never on an interface: {_counts(unseen)}"


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common())
