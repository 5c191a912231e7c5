"""Floor 1 – text → Scenario: what the user wrote, typed, every value knowing its file, line and column."""
