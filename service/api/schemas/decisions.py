"""How to decide, as calls and galleries say it, and what the answers tell of it."""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from service.api.schemas.strict import Strict
from service.matching.decision import Rule

__all__ = ["DECISION", "PROBABILITY", "Decisive", "rule_of"]

PROBABILITY: Final = (
    "That it is the same person, 0 to 1, given the score, what is hidden in both pictures, and the prior, "
    "shared out among the people looked at; null where the model is not calibrated for this `unify`."
)
DECISION: Final = (
    "`match`: strangers get so high a score in at most `match_rate` of such calls; `uncertain`: in at most "
    "`uncertain_rate`; else `unknown`. null where the model is not calibrated for this `unify`."
)

# Narrower than a calibration's, which its own measurements bound: a share that nobody can mean, and whose
# division among a gallery's people leaves nothing to reckon with, is a slip.
_Share = Annotated[float, Field(ge=1e-9, le=1 - 1e-9)]
_Rate = Annotated[float, Field(ge=1e-9, le=0.5)]


class Decisive(Strict):
    """What a call or a gallery may say of decisions; null leaves it to the gallery, then the calibration.

    While no loaded model is calibrated, a call that states any of it is refused; a gallery's waits for one.
    While a previous model that is not calibrated answers for a gallery, it decides nothing there.
    """

    match_rate: _Rate | None = Field(
        default=None,
        description="False-match rate: of calls that ask about somebody who is not there, the share that may "
        "get a `match`.",
        examples=[0.01],
    )
    uncertain_rate: _Rate | None = Field(
        default=None,
        description="The same for `uncertain` or better; what is left is `unknown`.",
        examples=[0.1],
    )
    prior: _Share | None = Field(
        default=None,
        description="Probability, before the pictures are seen, that the person asked about is there: among "
        "those enrolled (a query), or the one compared with (verify).",
        examples=[0.5],
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if (fault := rule_of(self).fault) is not None:
            raise ValueError(fault)
        return self


def rule_of(said: Decisive) -> Rule:
    """The rule that a request states."""
    return Rule(said.match_rate, said.uncertain_rate, said.prior)
