"""Time convention and losses: pure functions with per-sample values."""
