"""Data: procedural shapes, tar shards with an index, and the resumable reader."""
