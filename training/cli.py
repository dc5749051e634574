"""The command `penumbra-train`. What each of its commands does is in `training/commands/`.

Nothing heavy is imported until a command needs it, so that the data sets, drawn pedestrians and the
evaluation of bundles work where torch is not installed. A fault of the user's (a wrong path, a recipe
that does not validate) is told in one line with exit status 1; anything else is a traceback.
"""

from __future__ import annotations

import sys

import typer

from training.commands import (
    calibrate,
    evaluate,
    export,
    features,
    figures,
    fit,
    synth,
    throughput,
    unification,
)
from training.commands.datasets import datasets_app
from training.commands.results import results_app

__all__ = ["app"]

app = typer.Typer(
    help="Make, measure and export re-identification models.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
app.command(epilog=fit.EXAMPLES)(fit.fit)
app.command(epilog=throughput.EXAMPLES)(throughput.throughput)
app.command(epilog=evaluate.EXAMPLES)(evaluate.evaluate)
app.command(epilog=features.EXAMPLES)(features.features)
app.command(epilog=figures.EXAMPLES)(figures.figures)
app.command(epilog=unification.EXAMPLES)(unification.unification)
app.command(epilog=export.EXAMPLES)(export.export)
app.command(epilog=calibrate.EXAMPLES)(calibrate.calibrate)
app.command(epilog=synth.EXAMPLES)(synth.synth)
app.add_typer(datasets_app, name="datasets")
app.add_typer(results_app, name="results")

if __name__ == "__main__":
    sys.exit(app())
