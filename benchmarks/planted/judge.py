"""What is said of a trial's classes against what is true, and the tables of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from planted.faults import TRAINING_LABELS, Fault, Trial
from planted.remedy import blames_training
from planted.runs import Result

Json = dict[str, Any]

HARM = 0.05
"""AP that a class loses to the fault, from which it counts as harmed: more than a change of seed moves."""
HEALTHY = 0.8
"""AP50 from which a class is well."""
NEAR = 0.1
"""AP between promise and delivery of a promise that was kept."""


@dataclass
class Judged:
    """A harmed class of a run. AP regained is NULL where nothing was promised, or nothing was done."""

    trial: Trial
    seed: int
    category: str
    clean_ap: float
    ap: float
    causes: list[Json]
    delivered: float | None = None

    @property
    def first(self) -> Json | None:
        return self.causes[0] if self.causes else None

    @property
    def promised(self) -> float | None:
        return None if self.first is None else self.first["d_ap"]

    @property
    def is_right(self) -> bool:
        """Whether the first cause names a fault that touches the class."""
        return self.first is not None and any(names(f, self.first) for f in self.trial.touching(self.category))

    @property
    def has_all(self) -> bool:
        """Whether each fault that touches the class is among its first three causes."""
        return all(any(names(f, row) for row in self.causes[:3]) for f in self.trial.touching(self.category))

    @property
    def is_kept(self) -> bool | None:
        """Whether what was regained is as promised; None where one of the two is unknown."""
        if self.promised is None or self.delivered is None:
            return None
        return abs(self.promised - self.delivered) <= NEAR


def names(fault: Fault, row: Json) -> bool:
    """Whether a row of ``diagnoses`` names a fault, and where it is about labels those of the right split."""
    if row["cause"] not in fault.right:
        return False
    return fault.blames != TRAINING_LABELS or blames_training(row)


def harmed(trial: Trial, seed: int, clean: Result, given: Result) -> list[Judged]:
    """The classes that the faults touch and that lost AP to them."""
    return [
        Judged(trial, seed, category, clean.ap[category], ap, given.causes.get(category, []))
        for category, ap in given.ap.items()
        if trial.touching(category) and clean.ap.get(category, 0.0) - ap >= HARM
    ]


def accusations(given: Result, own: Iterable[str]) -> list[tuple[str, str]]:
    """Classes that are well and not harmed, and the cause that is said of them."""
    return [
        (category, rows[0]["cause"])
        for category, rows in given.causes.items()
        if category not in own and given.ap50.get(category, 0.0) >= HEALTHY
    ]


def table(judged: Sequence[Judged]) -> str:
    """Markdown: a row for each harmed class and seed."""
    lines = [
        "| fault | data | seed | class | AP clean | AP | first cause | right | AP promised | AP regained |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in judged:
        first = "none" if row.first is None else row.first["cause"]
        cells = [row.trial.name, row.trial.data, row.seed, row.category, _ap(row.clean_ap), _ap(row.ap), first]
        cells += ["yes" if row.is_right else "no", _ap(row.promised), _ap(row.delivered)]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def totals(judged: Sequence[Judged], accused: Sequence[str], n_healthy: int) -> str:
    """The sums, in sentences."""
    singles = [row for row in judged if len(row.trial.faults) == 1]
    pairs = [row for row in judged if len(row.trial.faults) > 1]
    both = [row for row in pairs if len(row.trial.touching(row.category)) > 1]
    promises = [row for row in judged if row.is_kept is not None]
    lines = [
        f"First cause right for {_of(row.is_right for row in singles)} harmed classes of single faults and"
        f" {_of(row.is_right for row in pairs)} of pairs; both of a pair among the first three for"
        f" {_of(row.has_all for row in both)}.",
        f"Accused: {len(accused)} of {n_healthy} classes that are well (AP50 of {HEALTHY} or more and no fault)"
        + (f": {'; '.join(accused)}." if accused else "."),
        f"Promises within {NEAR} AP of what was regained: {_of(bool(row.is_kept) for row in promises)}; nothing is"
        f" promised for {sum(row.promised is None for row in judged)} classes.",
    ]
    return "\n".join(lines)


def _of(values: Iterable[bool]) -> str:
    found = list(values)
    return f"{sum(found)} of {len(found)}"


def _ap(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
