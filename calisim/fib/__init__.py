"""Floor 4 – Intent → FibImage: the control plane's decisions as flat arrays of integers."""
