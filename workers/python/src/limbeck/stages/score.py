"""Scores files that came from elsewhere: the service's way to what `limbeck eval` does on a laptop.

Inputs: files (a tree; an output of `annotate`), and optionally against (a tree of the same form).
    geneval   detections.jsonl; against: the paired difference
    frechet   statistics.npz, and against another; or first.npz and second.npz in one tree
    dpg       questions.csv, answers.csv
Output: report.json, with a verdict for each image. Metrics: the figures with their intervals.
"""

import json
from pathlib import Path
from typing import Any

from limbeck.contracts.context import StageContext, StageFailure
from limbeck.contracts.generated import ScoreSpec, StageResult
from limbeck.evaluation import files


def run(ctx: StageContext) -> StageResult:
    spec: ScoreSpec = ctx.spec
    try:
        report = _report(ctx, spec)
    except ValueError as error:
        raise StageFailure("bad_input", str(error)) from error
    (ctx.output / "report.json").write_text(json.dumps(report, indent=1, allow_nan=False))
    for warning in _warnings(report):
        ctx.warn(warning)
    return StageResult(metrics=_metrics(spec, report))


def _report(ctx: StageContext, spec: ScoreSpec) -> dict[str, Any]:
    folder = ctx.input("files")
    if spec.scorer == "geneval":
        against = ctx.input("against") / "detections.jsonl" if "against" in ctx.inputs else None
        return files.geneval(_file(folder, "detections.jsonl"), against)
    if spec.scorer == "frechet" and "against" in ctx.inputs:
        return files.frechet(_file(folder, "statistics.npz"), _file(ctx.input("against"), "statistics.npz"))
    if "against" in ctx.inputs:
        raise ValueError(f"input 'against' is of geneval and frechet; the scorer is {spec.scorer}")
    if spec.scorer == "frechet":
        return files.frechet(_file(folder, "first.npz"), _file(folder, "second.npz"))
    return files.dpg(_file(folder, "questions.csv"), _file(folder, "answers.csv"))


def _file(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        held = ", ".join(sorted(path.name for path in folder.iterdir())[:10]) or "nothing"
        raise ValueError(f"input 'files' lacks {name}; it holds: {held}")
    return folder / name


def _metrics(spec: ScoreSpec, report: dict[str, Any]) -> dict[str, float]:
    if spec.scorer == "frechet":
        found = {"frechet_distance": report["frechet_distance"], "samples": report["n"]}
        return found if report["kid"] is None else found | {"kid": report["kid"]}
    if spec.scorer == "dpg":
        modes = [(mode, report[mode]) for mode in ("strict", "compat") if mode in report]
        return {f"dpg_{mode}": one["score"] for mode, one in modes} | {
            f"dpg_{mode}_{end}": bound
            for mode, one in modes
            for end, bound in zip(("low", "high"), one["interval"], strict=True)
        }
    low, high = report["overall_interval"]
    found = {"overall": report["overall"], "overall_low": low, "overall_high": high}
    found["prompt_any_accuracy"] = report["prompt_any_accuracy"]
    found |= {f"task_{tag}": task["score"] for tag, task in report["tasks"].items()}
    if "paired" in report:
        low, high = report["paired"]["overall_interval"]
        found |= {"difference": report["paired"]["overall"], "difference_low": low, "difference_high": high}
    return found


def _warnings(report: dict[str, Any]) -> list[str]:
    refused = [f"{mode} refused: {reason}"[:1000] for mode, reason in report.get("refused", {}).items()]
    return [*(warning[:1000] for warning in report.get("warnings", ())), *refused]
