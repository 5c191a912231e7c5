"""Floor 6 – Run → answers. One question per file; every number comes from packets that really went through an engine."""
