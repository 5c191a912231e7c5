"""What the tests of diagrams share: names that try to get out of the text in which they stand, and journeys of every kind."""

NAMES = (
    "<script>alert(1)</script>", '"]; rm -rf "', "end", "a-->>b: x;y#quot;z", "line\nbreak\r\n%% comment",
    "\u202egnp.exe\u202c", "\\N\\l\\", "&lt;b&gt;", "`code` $x^2$ {brace} |pipe|", "</svg><image href=x onerror=y>", "x" * 10_000,
    "\x00\x1b[31mred", "ありがとう 👍", "1. list",
    "subgraph", "]]>", "--x", "Note over s0: hi",
    '@{ "type": "actor" }', "wrap: text", "nowrap:text", ":::class", "fa:fa-car", "a+b*c_d_e **f**", "links: {}")

# scenario, variant, packet
JOURNEYS = (
    ("three-az", "as-is", ("shop/web-a-1-0", "shop/db-5", 5432)), ("three-az", "overlay-vxlan", ("shop/web-a-1-0", "shop/db-5")),
    ("three-az", "calico-no-encap", ("shop/web-a-1-0", "shop/db-5")), ("three-az", "as-is", ("shop/web-a-1-0", "host/api", 443)),
    ("s02-check-still-on", "as-is", ("web-a-1-0", "web-a-2-0")))

# scenario, edits: with pods, with nodes, with subnets only, with a host in a subnet and no gateway, of Linux
MAPS = (
    ("tests/cases/scenarios/two-zones.yaml", ()), ("scenarios/three-az.yaml", ()),
    ("scenarios/three-az.yaml", ("nodes.a.count=120",)),
    ("tests/cases/scenarios/two-zones.yaml", ("hosts.api.ip=10.1.1.77", "vpcs.prod.internetGateway=false")),
    ("tests/cases/scenarios/two-zones.yaml", ("provider=linux",)))
