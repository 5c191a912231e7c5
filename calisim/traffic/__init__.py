"""Floor 5 – Intent → packets: what is sent, by whom, in which order. Knows nothing of what becomes of it."""
