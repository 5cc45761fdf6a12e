"""Learning rate by step: linear warm-up, constant, linear fall to zero over the last share."""

from limbeck.contracts.generated import OptimizerConfig


def learning_rate(config: OptimizerConfig, step: int, total: int) -> float:
    """Rate of update `step` (0-based) of `total`.

    The last update has a small positive rate rather than 0, so none is wasted. Where warm-up and
    decay overlap (very short runs) the smaller factor wins.
    """
    warm = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    decay_steps = config.decay_share * total
    fall = min(1.0, (total - step) / decay_steps) if decay_steps >= 1 else 1.0
    return config.learning_rate * min(warm, fall)
