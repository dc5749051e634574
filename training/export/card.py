"""The model card that stands beside a bundle: the metadata, for people."""

from __future__ import annotations

from pathlib import Path

from models.bundle import Bundle
from models.calibration import Calibration

__all__ = ["model_card", "write_card"]


def model_card(bundle: Bundle) -> str:
    """Markdown that says what a bundle is, how it was made and what was measured."""
    facts = bundle.metadata
    training, gate = facts.training, facts.gate
    extras = [
        name for name, there in (("grades", facts.has_grader), ("attention", facts.has_attention)) if there
    ]
    minutes = "unknown" if training.duration_s is None else f"{training.duration_s / 60:.0f} minutes"
    lines = [
        f"# {facts.name}",
        "",
        f"Person re-identification by `{facts.system}` on `{facts.backbone}`: pictures of "
        f"{facts.height}×{facts.width} pixels (height × width) to embeddings of {facts.dimension} numbers"
        + (f", with {' and '.join(extras)}" if extras else "")
        + f". {len(bundle.content) / 1e6:.1f} MB, {facts.precision}, ONNX opset {facts.opset}.",
        "",
        f"- Fingerprint: `{bundle.fingerprint}`",
        f"- Licence of the weights: {facts.licence}",
        f"- Terms of use: {facts.terms}",
        "",
        "## How it was made",
        "",
        *(f"- Trained on {entry}" for entry in training.data),
        f"- Command: `{training.command}` (code {training.revision})",
        f"- Machine: {training.machine}; {minutes}",
    ]
    if training.notes:
        lines.append(f"- {training.notes}")
    lines += ["", "## Figures", "", "In percent, measured on this very graph.", ""]
    lines += [
        "| protocol | queries | gallery | unify | rank-1 | rank-5 | rank-10 | mAP |",
        "|---|--:|--:|---|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {f.protocol} | {f.queries} | {f.gallery} | {f.unify} | {f.rank1:.1f} | {f.rank5:.1f} | "
        f"{f.rank10:.1f} | {f.map:.1f} |"
        for f in facts.figures
    ]
    lines += [
        "",
        "The protocols are those of `training/evaluation/protocols.py`. Validation people come from "
        "Market-1501's and CUHK03's training halves: figures on `*-val` are not comparable with published "
        "ones.",
    ]
    if facts.calibration is not None:
        lines += ["", "## Calibration", "", *_calibration(facts.calibration)]
    if gate is not None:
        lines += [
            "",
            "## Gate",
            "",
            f"ONNX Runtime against PyTorch on {gate.pictures}: largest difference of unit embeddings "
            f"{gate.max_abs_difference:.1e}, smallest cosine {gate.min_cosine:.6f}, same top-10 list for "
            f"{gate.same_top10:.1%} of the queries, mAP {gate.map_difference:.2f} points apart.",
        ]
    lines += ["", "## Recipe", "", "```toml", training.recipe.strip(), "```", ""]
    return "\n".join(lines)


def _calibration(calibration: Calibration) -> list[str]:
    """What the scores mean, and how well that held on people left out."""
    lines = [
        f"Scores are made probabilities on {calibration.pictures} pictures of {calibration.people} people "
        f"({', '.join(calibration.data)}), for each pair of occlusion types. Expected calibration error at "
        "even odds, and what false-match rates of 1 % came to, on people held out:",
        "",
        "| unify | error: score itself | one line for all | calibrated | pairs at 1 %: strangers | right "
        "| queries at 1 %: strangers | right |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for mode, found in calibration.modes.items():
        if (held := found.held_out) is not None:
            shares = (held.false_matches, held.true_matches, held.strangers, held.found)
            cells = " | ".join(f"{100 * share.get('0.01', 0.0):.1f} %" for share in shares)
            lines.append(
                f"| {mode} | {held.ece_raw:.3f} | {held.ece_single:.3f} | {held.ece:.3f} | {cells} |"
            )
    return lines


def write_card(bundle: Bundle) -> Path:
    """Write the card beside the bundle, under its name with ``.md``."""
    path = bundle.path.with_suffix(".md")
    path.write_text(model_card(bundle), encoding="utf-8")
    return path
