"""Floor 3 – what BGP, Calico and the cloud decide. Topology in, Intent out; no arrays here."""
