"""Names that try to get out of the text in which they stand."""

NAMES = (
    "<script>alert(1)</script>", '"]; rm -rf "', "end", "a-->>b: x;y#quot;z", "line\nbreak\r\n%% comment", "\u202egnp.exe\u202c", "\\N\\l\\",
    "&lt;b&gt;", "`code` $x^2$ {brace} |pipe|", "</svg><image href=x onerror=y>", "x" * 10_000, "\x00\x1b[31mred", "ありがとう 👍", "1. list",
    "subgraph", "]]>", "--x", "Note over s0: hi")
