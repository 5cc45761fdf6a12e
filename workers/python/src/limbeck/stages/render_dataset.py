"""Writes procedural scenes as tar shards, so that the toy data take the same way as anybody's."""

import shutil

from limbeck.contracts.context import StageContext
from limbeck.contracts.generated import RenderDatasetSpec, StageResult
from limbeck.data.shapes.dataset import write_shapes


def run(ctx: StageContext) -> StageResult:
    spec: RenderDatasetSpec = ctx.spec
    # A scene is a pure function of (seed, split, index): an attempt that was killed starts over.
    shutil.rmtree(ctx.output)
    index = write_shapes(
        ctx.output,
        seed=spec.seed,
        split=spec.split,
        count=spec.samples,
        resolution=spec.resolution,
        samples_per_shard=spec.samples_per_shard,
        wrong_captions=spec.wrong_captions,
    )
    size = sum(shard.bytes for shard in index.shards)
    ctx.progress(spec.samples, spec.samples, None, None)
    return StageResult(metrics={"samples": float(index.total), "bytes": float(size)})
