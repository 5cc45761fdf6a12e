"""Networks and text encoders, each one file that reads top to bottom."""
