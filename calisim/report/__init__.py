"""Floor 7 – answers → text, JSON, JUnit XML. Shows, never computes."""
