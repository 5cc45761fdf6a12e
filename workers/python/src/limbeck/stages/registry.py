"""Stage kind -> entry function, imported only when asked for (torch takes a second to load)."""

from collections.abc import Callable
from importlib import import_module

from limbeck.contracts.context import StageContext, StageFailure
from limbeck.contracts.generated import StageResult

StageFunction = Callable[[StageContext], StageResult]

ENTRIES: dict[str, str] = {
    "render_dataset": "limbeck.stages.render_dataset:run",
    "pretrain_autoencoder": "limbeck.stages.pretrain_autoencoder:run",
    "extract_features": "limbeck.stages.extract_features:run",
    "distill_decoder": "limbeck.stages.distill_decoder:run",
    "pretrain": "limbeck.stages.pretrain:run",
    "distill": "limbeck.stages.distill:run",
    "distill_steps": "limbeck.stages.distill_steps:run",
    "evaluate": "limbeck.stages.evaluate:run",
    "export_coreml": "limbeck.stages.export_coreml:run",
    "annotate": "limbeck.stages.annotate:run",
    "score": "limbeck.stages.score:run",
}


def stage_function(kind: str) -> StageFunction:
    """The function that runs a stage of this kind.

    Raises:
        StageFailure: bad_config, when workers do not execute this kind (`gates` is the control plane's).
    """
    entry = ENTRIES.get(kind)
    if entry is None:
        raise StageFailure("bad_config", f"no worker stage is called '{kind}'; known: {', '.join(ENTRIES)}")
    module, _, function = entry.partition(":")
    return getattr(import_module(module), function)
