"""Single values of Calico's API and the rules for them: names, labels, selectors, addresses, numbers-or-names.

Calico judges IPv4 and IPv6; which of them can be modelled is not asked here.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from ... import selector as selectors
from .rules import Fault, Faults, Rule, parsed, shown, suggestion, text

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface

LABEL_NAME = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
SUBDOMAIN = rf"{LABEL_NAME}(\.{LABEL_NAME})*"
MAX_NAME = 253
MAX_LABEL = 63
MAX_SELECTOR = 1024

# --- addresses ------------------------------------------------------------------------------------------------------


def address(value: str) -> Address:
    """An address of either family; ValueError otherwise (also for an IPv6 zone)."""
    try:
        if "%" not in value:
            return ipaddress.ip_address(value)
    except ValueError:
        pass
    raise ValueError(f"{shown(value)} is not an IP address")


def interface(value: str) -> Interface:
    """An address with a prefix length, or alone (then /32 or /128); host bits are welcome."""
    host, slash, length = value.partition("/")
    try:
        if "%" not in value and (not slash or re.fullmatch("[0-9]{1,3}", length)):
            return ipaddress.ip_interface(value)
    except ValueError:
        pass
    raise ValueError(f"{shown(value)} is not an IP address or CIDR")


def network(value: str) -> Network:
    """A CIDR (or single address) without host bits."""
    found = interface(value)
    if found.ip != found.network.network_address:
        raise ValueError(f"{value} has host bits set; the prefix is {found.network}")
    return found.network


def cidr(value: str) -> Network:
    """As :func:`network`, with the prefix length written."""
    found = network(value)
    if "/" not in value:
        raise ValueError(f"{value} has no prefix length; write {found} for a single address")
    return found


def ip_and_port(value: str) -> Address:
    """``IP``, ``IPv4:port`` or ``[IPv6]:port``; gives the address."""
    found = re.fullmatch(r"\[([0-9a-fA-F:.]+)\]:(.*)|([0-9.]+):(.*)", value)
    if not found:
        return address(value)
    port = found[2] if found[1] else found[4]
    if not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise ValueError(f"{shown(value)} has no port from 1 to 65535 after the colon")
    return address(found[1] or found[3])


def of_family(version: int, rule: Rule) -> Rule:
    """The rule, and the address must be of IPv4 or IPv6."""
    def judge(value: Any) -> Faults:
        faults = list(rule(value))
        if not faults and interface(value).version != version:
            faults.append(Fault(f"{shown(value)} is not an IPv{version} address"))
        yield from faults
    return judge


IS_ADDRESS = parsed(address)
IS_ADDRESS_V4 = of_family(4, IS_ADDRESS)
IS_ADDRESS_V6 = of_family(6, IS_ADDRESS)
IS_INTERFACE = parsed(interface)
IS_INTERFACE_V4 = of_family(4, IS_INTERFACE)
IS_INTERFACE_V6 = of_family(6, IS_INTERFACE)
IS_NETWORK = parsed(network)
IS_CIDR = parsed(cidr, at_most=48)

# --- names and labels -----------------------------------------------------------------------------------------------

IS_NAME = text(SUBDOMAIN, "a name of lower-case letters, digits, - and .", at_most=MAX_NAME)
IS_DNS_LABEL = text(LABEL_NAME, "a name of lower-case letters, digits and -", at_most=MAX_LABEL)
IS_INTERFACE_NAME = text(r"\*|[a-zA-Z0-9_.-]{1,15}", "an interface name (1 to 15 of A-Z a-z 0-9 _ . -)")
IS_INTERFACE_FILTER = text("[a-zA-Z0-9:._+-]{1,15}", "an interface name or a prefix followed by +")
IS_INTERFACE_WILDCARD = text("[a-zA-Z0-9_.*-]{1,15}", "an interface name, * allowed as wildcard")
IS_PORT_NAME = text(
    r"(?=.{1,15}$)(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*", "a port name (at most 15 lower-case letters, digits, single -)")
_QUALIFIED_NAME = r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
IS_LABEL_KEY = text(
    rf"((?=[^/]{{1,{MAX_NAME}}}/){SUBDOMAIN}/)?{_QUALIFIED_NAME}", "a label name ([prefix/]name, name at most 63 characters)",
    at_most=MAX_NAME + 1 + MAX_LABEL)
IS_LABEL_VALUE = text(rf"({_QUALIFIED_NAME})?", "a label value (letters, digits, - _ .)", at_most=MAX_LABEL)


def annotation_key(value: Any) -> Faults:
    """Annotations follow the rule for labels, whatever their case."""
    yield from IS_LABEL_KEY(value.lower() if isinstance(value, str) else value)


# --- selectors ------------------------------------------------------------------------------------------------------


def selector(value: Any) -> Faults:
    """Calico's selector language."""
    yield from parsed(selectors.parse, at_most=MAX_SELECTOR)(value)


def scoped_selector(value: Any) -> Faults:
    """A selector where ``global()`` has no meaning."""
    faults = list(selector(value))
    if not faults and "global()" in value:
        faults.append(Fault("global() may stand only alone in a rule's namespaceSelector", "use all()"))
    yield from faults


_GO_ONLY = (                   # spellings of Go's regexp that Python lacks, and something of Python's that means enough
    (re.compile(r"\\Q.*?(\\E|$)", re.DOTALL), "x"),
    (re.compile(r"\\[pP](\{\^?\w+\}|\w)"), "x"),
    (re.compile(r"\\z"), r"\\Z"),
    (re.compile(r"\(\?[imsU]*(-[imsU]+)?\)"), ""),
    (re.compile(r"\(\?[imsU]*(-[imsU]+)?:"), "(?:"),
    (re.compile(r"\(\?<(?=[A-Za-z_])"), "(?P<"),
)
_ATOM = re.compile(r"\\.|\[\^?\]?(\\.|[^\]\\])*\]", re.DOTALL)
_PYTHON_ONLY = re.compile(r"\(\?(<?[=!]|>|\(|P=|#)|[*+?}]\+")


def regular_expression(value: str) -> None:
    """ValueError for what Go's regexp refuses: look-around, back references, possessive and nested repetition, bad syntax."""
    pattern = value
    for go, python in _GO_ONLY:
        pattern = go.sub(python, pattern)
    if _PYTHON_ONLY.search(_ATOM.sub("x", pattern)) or re.search(r"(?<!\\)(\\\\)*\\[1-9]", pattern):
        raise ValueError(f"{shown(value)} is not a regular expression of Go: no look-around, back references or ++")
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"{shown(value)} is not a regular expression: {error}") from error


IS_REGULAR_EXPRESSION = parsed(regular_expression, at_most=1024)
DURATION = r"(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))+"
IS_DURATION = text(f"0|{DURATION}", "a duration such as 90s or 1m30s")

# --- numbers that may be names --------------------------------------------------------------------------------------

_PROTOCOLS = ("TCP", "UDP", "ICMP", "ICMPv6", "SCTP", "UDPLite")
_WITH_PORTS = frozenset({"TCP", "UDP", "SCTP", "tcp", "udp", "sctp", 6, 17, 132})


def as_number(value: Any) -> int:
    """An autonomous system: 0..4294967295, as a number, as digits or dotted ``high.low``."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 0xFFFFFFFF:
        return value
    if isinstance(value, str) and re.fullmatch("[0-9]{1,10}", value) and int(value) <= 0xFFFFFFFF:
        return int(value)
    if isinstance(value, str) and (found := re.fullmatch(r"([0-9]{1,5})\.([0-9]{1,5})", value)):
        high, low = int(found[1]), int(found[2])
        if high <= 0xFFFF and low <= 0xFFFF:
            return high << 16 | low
    raise ValueError(f"{shown(value)} is not an AS number (0 to 4294967295, or 1.10)")


def port(value: Any) -> int | str:
    """A port number, a range ``a:b`` with a ≤ b, or the name of a port; ranges of one port are that port."""
    if isinstance(value, str):
        if found := re.fullmatch("([0-9]+)(?::([0-9]+))?", value):
            first, last = _port_number(found[1]), _port_number(found[2] or found[1])
            if first > last:
                raise ValueError(f"{value} is not a port range: {first} is greater than {last}")
            return first if first == last else f"{first}:{last}"
        if re.fullmatch("[a-zA-Z0-9_.-]{1,128}", value):
            return value
    elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 65535:
        return value
    raise ValueError(f"{shown(value)} is not a port, a range such as 1000:2000 or a port's name")


def _port_number(digits: str) -> int:
    if len(digits) > 10 or int(digits) > 65535:
        raise ValueError(f"{shown(digits)} is not a port; ports go up to 65535")
    return int(digits)


def protocol(value: Any) -> int | str:
    """A protocol number 0..255 or a name; names are taken as written and judged by :func:`protocol_rule`."""
    if isinstance(value, str):
        return int(value) if re.fullmatch("[0-9]{1,3}", value) and int(value) <= 255 else value
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255:
        return value
    raise ValueError(f"{shown(value)} is not a protocol (a name, or a number from 1 to 255)")


def has_ports(value: Any) -> bool:
    """True for TCP, UDP and SCTP, by name or number."""
    try:
        return protocol(value) in _WITH_PORTS
    except ValueError:
        return False


def protocol_rule(value: Any) -> Faults:
    try:
        found = protocol(value)
    except ValueError as error:
        yield Fault(str(error))
        return
    if found == 0 or isinstance(found, str) and found not in _PROTOCOLS:
        yield Fault(f"{shown(value)} is not a protocol: {', '.join(_PROTOCOLS)} or a number from 1 to 255",
                    suggestion(str(found), _PROTOCOLS))


def as_number_rule(value: Any) -> Faults:
    try:
        as_number(value)
    except ValueError as error:
        yield Fault(str(error))


def port_rule(value: Any) -> Faults:
    """A port of a rule: numbers begin at 1 and a name must be one that an endpoint can have."""
    try:
        found = port(value)
    except ValueError as error:
        yield Fault(str(error))
        return
    if isinstance(found, int) or ":" in found:
        if str(found).partition(":")[0] == "0":
            yield Fault(f"{shown(value)}: ports go from 1 to 65535")
    else:
        yield from IS_PORT_NAME(found)


def numeric_port_rule(value: Any) -> Faults:
    """A port number or range; no names."""
    faults = list(port_rule(value))
    if not faults and isinstance(found := port(value), str) and ":" not in found:
        faults.append(Fault(f"{shown(value)} is a name; only numbers and ranges are allowed here"))
    yield from faults
