"""What the demo tells: some answers, how often they were right, and the rank list as a picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from PIL import Image
from rich.console import Console
from rich.markup import escape

from service.client import QueryAnswer
from service.demo.drawn import Drawn
from service.rank_list import RankedTile, RankRow, draw_rank_list
from service.terminal import new_table

__all__ = ["Asked", "Unify", "rank_list", "tell"]

Unify: TypeAlias = Literal["auto", "off"]

SHOWN_QUERIES: Final = 8


@dataclass(frozen=True, slots=True)
class Asked:
    """A query and what came back."""

    picture: Drawn
    answer: QueryAnswer

    @property
    def found(self) -> bool:
        """Whether the person asked for ranks first."""
        return bool(self.answer.results) and self.answer.results[0].person == self.picture.person

    @property
    def graded(self) -> str | None:
        """Name of the graded occlusion type; None where the model has no grader."""
        grade = self.answer.query.occlusion
        return None if grade.scores is None else grade.type


def tell(console: Console, asked: Mapping[Unify, Sequence[Asked]], gallery: Sequence[Drawn]) -> None:
    """Print some of the first way's answers, and how often either way was right."""
    way, first = next(iter(asked.items()))
    shown = _shown(first)
    columns = ("person", "hidden", "graded", "first", "second", "third", "ms")
    table = new_table(
        columns,
        numbers=("ms",),
        whole=("hidden", "graded"),
        title=f"unify={way}, ranked people with their scores:",
    )
    for one in shown:
        answer = one.answer
        matches = [_match(result.person, result.score, one.picture.person) for result in answer.results[:3]]
        table.add_row(
            escape(one.picture.person),
            one.picture.occlusion,
            one.graded or "-",
            *(matches + [""] * (3 - len(matches))),
            f"{answer.timings['total']:.1f}",
        )
    console.print(table)
    if len(shown) < len(first):
        console.print(f"             and {len(first) - len(shown)} queries more")
    people = len({drawn.person for drawn in gallery})
    console.print(
        f"occluded     {len(first)} queries against {people} people in {len(gallery)} pictures; each query "
        "from a camera that the gallery does not have of that person"
    )
    for way, answers in asked.items():
        right = sum(one.found for one in answers)
        console.print(
            f"unify={way:<5}  rank-1 [bold]{100 * right / len(answers):.1f} %[/], {right} of {len(answers)}"
        )
    spent = ", ".join(
        f"{stage} {sum(one.answer.timings[stage] for one in first) / len(first):.1f}"
        for stage in first[0].answer.timings
    )
    console.print(f"timings      {spent} (ms, mean of unify={next(iter(asked))})")


def rank_list(asked: Sequence[Asked], ids: dict[str, Drawn], subtitle: str) -> Image.Image:
    """Some of the queries with what came nearest to each; ``ids`` says which picture an id is."""
    rows = [
        RankRow(
            one.picture.path,
            one.picture.person,
            one.graded,
            [
                RankedTile(
                    ids[result.image.id].path,
                    result.person,
                    result.score,
                    result.compared,
                    result.person == one.picture.person,
                )
                for result in one.answer.results
            ],
        )
        for one in _shown(asked)
    ]
    return draw_rank_list(rows, "Who is it? The people that come nearest to each query", subtitle)


def _shown(asked: Sequence[Asked]) -> list[Asked]:
    """A few of the queries: of every hidden type one, then of every type another, and so on."""
    seen: Counter[str] = Counter()
    turns: list[tuple[int, int]] = []
    for position, one in enumerate(asked):
        turns.append((seen[one.picture.occlusion], position))
        seen[one.picture.occlusion] += 1
    chosen = sorted(position for _, position in sorted(turns)[:SHOWN_QUERIES])
    return [asked[position] for position in chosen]


def _match(person: str, score: float, wanted: str) -> str:
    colour = "green" if person == wanted else "red"
    return f"[{colour}]{escape(person)}[/] {score:.2f}"
