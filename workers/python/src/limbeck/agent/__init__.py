"""The worker agent: leases over HTTP, one child process per attempt, everything spooled to disk.

Imports no torch, so that a supervisor starts in under a second.
"""
