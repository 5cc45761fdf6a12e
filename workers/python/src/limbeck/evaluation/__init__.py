"""Evaluation: exact scorers, detectors, sampling and interval estimates."""
