"""Small clusters for the tests of model and control plane: scenario text in, Topology or Intent out, by the real loader."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from calisim.control.intent import Intent, Route
from calisim.control.resolve import resolve
from calisim.model.topology import Topology, build
from calisim.quantities import format_address, parse_address
from calisim.report.iproute import line, ordered
from calisim.scenario.load import load
from calisim.vocabulary import AdjacencyKind

HEAD = """\
apiVersion: calisim/v1
kind: Scenario
metadata: {name: small}
spec:
"""
TWO_SUBNETS = """\
  vpcs:
    prod:
      cidrs: [172.20.0.0/16]
      internetGateway: true
      subnets:
        a: {zone: us-east-1a, cidr: 172.20.32.0/19}
        b: {zone: us-east-1b, cidr: 172.20.64.0/19}
"""
FOUR_NODES = TWO_SUBNETS + """\
  nodes:
    - {name: a, count: 2, subnet: a, sourceDestCheck: false}
    - {name: b, count: 2, subnet: b, sourceDestCheck: false}
"""


def pool(cidr: str = "192.168.0.0/16", name: str = "main", **spec: object) -> str:
    """An IPPool document; keywords are keys of its spec."""
    fields = "".join(f"  {key}: {str(value).lower() if isinstance(value, bool) else value}\n" for key, value in spec.items())
    return f"---\napiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {{name: {name}}}\nspec:\n  cidr: {cidr}\n{fields}"


def document(kind: str, name: str = "default", api: str = "projectcalico.org/v3", **spec: object) -> str:
    """Any other document with a flat spec."""
    fields = "".join(f"  {key}: {str(value).lower() if isinstance(value, bool) else value}\n" for key, value in spec.items())
    return f"---\napiVersion: {api}\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n{fields}"


def topology(spec: str, documents: str = "") -> Topology:
    """The topology of a scenario whose spec is this text (indented by two)."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "small.yaml"
        path.write_text(HEAD + spec + documents)
        return build(load(path))


def intent(spec: str, documents: str = "") -> Intent:
    return resolve(topology(spec, documents))


def routes(made: Intent, router: int) -> list[str]:
    """A node's table as text, without what DHCP and the kernel bring."""
    return [line(route) for route in ordered(made, router) if route.protocol not in ("dhcp", "kernel")]


def lookup(made: Intent, router: int, address: str | int) -> Route | None:
    """Longest prefix match, by looking at every route."""
    number = parse_address(address) if isinstance(address, str) else address
    matching = [route for route in made.routes_of(router) if number in route.prefix]
    return max(matching, key=lambda route: route.prefix.length, default=None)


def address(made: Intent, name: str) -> str:
    """The address of an endpoint by name, as text."""
    return format_address(made.endpoint(made.endpoint_ids[name]).address)


def is_drop(route: Route | None) -> bool:
    return route is None or route.adjacency.kind is AdjacencyKind.DROP
