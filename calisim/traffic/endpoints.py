"""Who sends, who receives: the texts of a traffic set or of a command → endpoints.

``NAMESPACE/POD``, ``node/NAME``, ``host/NAME``, ``node/*``, ``host/*``, an IP address, a name that only one endpoint has, or a
Calico selector over the pods. ``svc/NAMESPACE/NAME`` receives only: its ClusterIP, or the pods of a headless one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..control.intent import Intent
from ..errors import UsageError
from ..quantities import format_address, parse_address, plural
from ..selector import SelectorError, parse
from ..vocabulary import EndpointKind
from .batch import TCP, UDP

Labels = Mapping[int, Mapping[str, str]]
KINDS = {"node/*": EndpointKind.NODE, "host/*": EndpointKind.HOST}
MOST_NAMES = 5_000                       # among which a similar one is looked for


def resolve_endpoints(text: str, intent: Intent, labels: Labels) -> list[int]:
    """Endpoint ids in ascending order. Raises UsageError where the text names nobody; a selector may choose nobody."""
    text = text.strip()
    found = _named(text, intent)
    if found is None:
        found = _selected(text, intent, labels)
    return found


def resolve_destinations(text: str, intent: Intent, labels: Labels) -> tuple[np.ndarray, np.ndarray]:
    """(endpoint ids, addresses) to send to. An address that nobody has may be sent to as well (id 0)."""
    if (services := resolve_service(text, intent)) is not None:
        owners = [intent.address_owners.get(address, 0) for address in services]
        return np.array(owners, dtype=np.int64), np.array(services, dtype=np.int64)
    if (address := _address(text.strip())) is not None:
        owner = intent.address_owners.get(address, 0)
        return np.array([owner], dtype=np.int64), np.array([address], dtype=np.int64)
    ids = resolve_endpoints(text, intent, labels)
    return np.array(ids, dtype=np.int64), np.array([intent.endpoint(number).address for number in ids], dtype=np.int64)


def resolve_service(text: str, intent: Intent) -> tuple[int, ...] | None:
    """The addresses that the name of a service stands for; None: the text is none (svc/…). UsageError: nobody has that name."""
    text = text.strip()
    if not text.startswith("svc/"):
        return None
    found = intent.service_names.get(text)
    if found is None:
        close = difflib.get_close_matches(text, list(intent.service_names), 3)
        cure = f"did you mean {' or '.join(close)}?" if close else "add its Service document (an ExternalName has no address)"
        raise UsageError(f"there is no service {text!r}; {cure}")
    return found.addresses


def service_port(text: str, intent: Intent, protocol: int) -> int | None:
    """The port of a service for packets that say none. UsageError where that cannot be told; None: no service is named."""
    found = intent.service_names.get(text.strip())
    if found is None or protocol not in (TCP, UDP):
        return None
    fitting = [(name, port) for name, kind, port in found.ports if kind == protocol]
    if len(fitting) == 1:
        return fitting[0][1]
    listed = ", ".join(f"{name} {port}".strip() for name, port in fitting)
    raise UsageError(f"{text.strip()} has {f'several ports ({listed}); say which' if fitting else 'no port of this protocol'}")


def _named(text: str, intent: Intent) -> list[int] | None:
    """The endpoints that a name or an address means; None: the text is neither."""
    if text in intent.endpoint_ids:
        return [intent.endpoint_ids[text]]
    if text in KINDS:
        return [endpoint.id for endpoint in intent.endpoints if endpoint.kind is KINDS[text]]
    if text.startswith("svc/"):
        raise UsageError(f"{text!r} is a service, which only receives; name the pods behind it")
    if (address := _address(text)) is not None:
        owner = intent.address_owners.get(address)
        if owner is None:
            raise UsageError(f"no endpoint has the address {format_address(address)}; calisim ipam shows who has which")
        return [owner]
    if "/" in text or " " in text:
        return None
    bare = [number for name, number in intent.endpoint_ids.items() if name.endswith(f"/{text}")]
    if len(bare) > 1:
        names = ", ".join(intent.endpoint(number).name for number in bare[:4]) + (" …" if bare[4:] else "")
        raise UsageError(f"{text!r} names {plural(len(bare), 'endpoint')} ({names}); write one of them in full")
    return bare or None


def _selected(text: str, intent: Intent, labels: Labels) -> list[int]:
    try:
        matches = _once_per_mapping(parse(text).matches)
    except SelectorError as error:
        raise UsageError(_nobody(text, list(intent.endpoint_ids), error)) from None
    return [number for number in sorted(labels) if matches(labels[number])]


def _once_per_mapping(matches: Callable[[Mapping[str, str]], bool]) -> Callable[[Mapping[str, str]], bool]:
    """Pods of one group share their labels; 150,000 of them need a handful of answers."""
    answers: dict[int, bool] = {}

    def answer(labels: Mapping[str, str]) -> bool:
        if id(labels) not in answers:
            answers[id(labels)] = matches(labels)
        return answers[id(labels)]

    return answer


def _address(text: str) -> int | None:
    try:
        return parse_address(text)
    except ValueError:
        return None


def _nobody(text: str, names: Sequence[str], error: SelectorError) -> str:
    """What to say of a text that is no endpoint: a name like it, else where the selector goes wrong."""
    if re.fullmatch(r"[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*(/\d+)?", text):
        return f"{text} is an IPv6 address; calisim models IPv4 only"
    if not re.fullmatch(r"[\w./*-]*", text):
        return f"{text!r} is neither an endpoint nor a selector: {error}"
    close = difflib.get_close_matches(text, names[:MOST_NAMES], 3)
    if not close and "/" not in text:
        by_end = {name.rpartition("/")[2]: name for name in reversed(names[:MOST_NAMES])}
        close = [by_end[end] for end in difflib.get_close_matches(text, list(by_end), 3)]
    cure = f"did you mean {' or '.join(close)}?" if close else "write NAMESPACE/POD, node/NAME, host/NAME or a selector"
    return f"there is no endpoint {text!r}; {cure}"
