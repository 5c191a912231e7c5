"""Floor 2 – what exists: VPCs, subnets, nodes, pods, hosts, gateways. Scenario in, Topology out."""
