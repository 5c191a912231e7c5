"""The slow judge: packets through plain Python over the Intent, written from the rules and organised as reads best.

``engine`` takes a wave leg by leg, ``node`` is what a router does with a packet, ``fabric`` what the cloud does between
two of them, ``balance`` finds services' endpoints, ``checkpoint`` (pods) and ``hosts`` (nodes' interfaces) ask ``police`` for
policy's verdict, ``tunnels`` is what encapsulation does to headers, ``routes`` the longest match, ``tracking`` holds connections
and source ports, ``tcp`` their life, ``journal`` writes down what happens, ``fragments`` cuts and makes whole, ``offspring``
is what a wave gives rise to, ``walk`` the packet on its way, ``rows`` how it is read and written, ``state`` what outlives a wave.
Nothing here knows the compiled tables; nothing is shared with the compiled core but the vocabulary.
"""
