"""Floor 7 – answers → text, JSON, JUnit XML, HTML. Shows, never computes."""
