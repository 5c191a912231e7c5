"""The stages of the compiled engine: one ``.pxd`` each, inlined into ``calisim/_fastpath.pyx``.

``types`` (tables, state, a walk) · ``chance`` (draw) · ``verdict`` (how a journey ends) · ``emit`` (events, link counters) ·
``track`` (the connection table) · ``lookup`` · ``source_check`` · ``conntrack`` · ``tcp`` · ``balance`` (services) ·
``police`` (policy of pods) · ``hosts`` (of nodes' interfaces) · ``translate`` · ``groups`` (security groups, NACLs) ·
``encapsulate`` (and decapsulate) · ``fabric`` · ``deliver`` · ``admit`` (Start) · ``glance`` (fetch ahead) ·
``walk`` (one leg) · ``exception`` (ICMP errors, what is cut or held) · ``deparse`` (an EVENT's bytes). A stage
returns *true: go on*; on false it has written the verdict. What each means stands in :mod:`calisim.datapath`.
"""
