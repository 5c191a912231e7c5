"""Policy resources and endpoints → :mod:`calisim.control.policing`: who is policed by what.

``labels`` tells endpoints apart, ``index`` finds whom a selector chooses, ``sets`` names what was found, ``rules`` makes
rules ask about packets, ``order`` says who is asked first, ``programs`` puts it together, ``guards`` for
host endpoints; ``resolve`` is the door.
"""
