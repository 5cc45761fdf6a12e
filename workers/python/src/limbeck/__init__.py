"""Limbeck: distils large diffusion models into ones that run on a phone."""
