"""``calisim policy``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from . import completion, options

if TYPE_CHECKING:
    from ..analysis.network import Network

_QUESTIONS = ("matrix", "pod", "lint", "diff", "hits", "staged")


@click.command(epilog="""\b
Examples:
  calisim policy scenarios/shop-default-deny.yaml
  calisim policy scenarios/shop-default-deny.yaml --pod shop/web-0
  calisim policy scenarios/shop-default-deny.yaml --matrix --port 5432
  calisim policy scenarios/shop-default-deny.yaml --matrix --from "app == 'web'"
  calisim policy scenarios/shop-default-deny.yaml --lint
  calisim policy scenarios/s44-staged-policy.yaml --diff scenarios/s44-staged-policy.yaml scenarios/s43/dns.yaml
  calisim policy scenarios/s44-staged-policy.yaml --staged
""")
@options.scenario_argument
@click.option("--matrix", is_flag=True, help="Who may talk to whom: for --port a truth table, else all that is allowed.")
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="Of --matrix: this destination port only.")
@click.option("--protocol", default=None, metavar="NAME", help="Of --matrix: tcp (default), udp, sctp, icmp or a number.")
@click.option("--from", "source", default=None, metavar="WHO", shell_complete=completion.endpoints,
              help="Of --matrix: only these senders (a name, an address or a selector).")
@click.option("--to", "destination", default=None, metavar="WHO", shell_complete=completion.endpoints,
              help="Of --matrix: only these receivers.")
@click.option("--pod", default=None, metavar="POD", shell_complete=completion.endpoints,
              help="What applies to a pod, in the order in which it is asked.")
@click.option("--lint", is_flag=True, help="What cannot mean what it says (exit 1 if there is something).")
@click.option("--diff", nargs=2, default=None, metavar="OLD NEW", type=click.Path(),
              help="Verdicts that differ between two scenarios, or policy files on top of SCENARIO (exit 1 if some do).")
@click.option("--hits", is_flag=True, help="How often each rule decided in a run of the traffic.")
@click.option("--staged", is_flag=True, help="What staged policies would change for the traffic.")
@options.traffic
@options.editing
@options.variant
@options.step
@options.answering
@click.pass_context
def command(
    ctx: click.Context, scenario: str, matrix: bool, port: int | None, protocol: str | None, source: str | None,
    destination: str | None, pod: str | None, lint: bool, diff: tuple[str, str] | None, hits: bool, staged: bool,
    traffic: str | None, set_: tuple[str, ...], apply: tuple[str, ...], variant: str, step: int, as_json: bool,
    output: str | None,
) -> None:
    """Answer questions about the policies of SCENARIO: one a call, without any the list of policies.

    Verdicts are exact for everything that policy can tell apart, not samples, and need no traffic (but --hits and --staged).
    Exit 0: fine, 1: --lint or --diff found something, 2: wrong call or input.
    """
    from ..errors import UsageError
    from .progress import progress

    asked = [f"--{name}" for name in _QUESTIONS if ctx.params[name]]
    if len(asked) > 1:
        raise UsageError(f"{' and '.join(asked)} are questions of their own; ask one at a time")
    _refuse_strays(asked, {"--port": port, "--protocol": protocol, "--from": source, "--to": destination}, ("--matrix",))
    _refuse_strays(asked, {"--traffic": traffic}, ("--hits", "--staged"))

    def network_of(path: str, more: Iterable[str] = ()) -> Network:
        from ..analysis.network import Network

        return Network(options.load(path, set_, (*apply, *more)), variant, step=step)

    def answer(*, table: Callable[[], Any], json: Callable[[], str], plain: bool = False) -> None:
        if as_json:
            options.answer_lines([json()], output)
        else:
            (options.answer_lines if plain else options.answer_text)(table(), output)

    from ..report import policies, policy_json

    with progress() as tell:
        if diff:
            from ..analysis.policy_diff import diff as compare

            old, new = (_of_diff(network_of, scenario, path) for path in diff)
            changed = compare(old, new, tell)
            answer(table=lambda: policies.diff_parts(changed), json=lambda: policy_json.diff_document(*diff, changed))
            ctx.exit(1 if changed.changes else 0)
        network = network_of(scenario)
        name = network.scenario.name
        if network.scenario.spec.settings.filter == "none":
            options.warn(["settings.filter is none: nobody enforces policy here; the answers are what Calico would do"])
        if matrix and (port is not None or protocol is not None):
            from ..analysis.policy_matrix import truth_table

            truth = truth_table(network, protocol or "tcp", 80 if port is None else port, source, destination, tell)
            answer(table=lambda: policies.truth_lines(truth), json=lambda: policy_json.truth_document(name, truth), plain=True)
        elif matrix:
            from ..analysis.policy_matrix import connection_sets

            sets = connection_sets(network, source, destination, tell)
            answer(table=lambda: policies.set_parts(sets), json=lambda: policy_json.sets_document(name, sets))
        elif pod is not None:
            from ..analysis.policy_applies import applies

            applied = applies(network, pod)
            answer(table=lambda: policies.pod_lines(applied), json=lambda: policy_json.pod_document(name, applied), plain=True)
        elif lint:
            from ..analysis.policy_lint import findings
            from ..report.lints import lines

            found = findings(network, tell)
            answer(table=lambda: lines(found), json=lambda: policy_json.lint_document(name, found), plain=True)
            ctx.exit(1 if found else 0)
        elif hits:
            from ..analysis.policy_hits import hits as count

            counted = count(network, traffic, tell)
            answer(table=lambda: policies.hits_parts(counted), json=lambda: policy_json.hits_document(name, counted))
        elif staged:
            from ..analysis.policy_staged import staged as would

            report = would(network, traffic, tell)
            answer(table=lambda: policies.staged_parts(report), json=lambda: policy_json.staged_document(name, report))
        else:
            from ..analysis.policy_applies import listed

            every = listed(network)
            answer(table=lambda: policies.list_parts(every), json=lambda: policy_json.list_document(name, every))


def _refuse_strays(asked: list[str], given: dict[str, object], belongs: tuple[str, ...]) -> None:
    """Options of one question that came with another."""
    from ..errors import UsageError

    stray = [name for name, value in given.items() if value is not None]
    if stray and not set(asked) & set(belongs):
        raise UsageError(f"{', '.join(stray)} {'belongs' if len(stray) == 1 else 'belong'} to {' and '.join(belongs)}")


def _of_diff(network_of: Callable[..., Network], scenario: str, path: str) -> Network:
    """A scenario of its own, or SCENARIO with the documents of a file on top."""
    from ..scenario.load import is_scenario_file

    return network_of(path) if is_scenario_file(path) else network_of(scenario, [path])
