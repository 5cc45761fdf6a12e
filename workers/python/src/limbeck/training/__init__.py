"""What every trained stage shares: the loop, checkpoints, EMA, keyed randomness, optimizers, statistics."""
