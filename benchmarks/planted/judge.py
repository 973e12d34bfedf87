"""What is said of a trial's classes against what is true, and the tables of it."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from types import MappingProxyType
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
    faults: tuple[Fault, ...]
    """Those of the trial that harm the class."""
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
        """Whether the first cause names a fault that harms the class."""
        return self.first is not None and any(names(fault, self.first) for fault in self.faults)

    @property
    def has_all(self) -> bool:
        """Whether each fault that harms the class is among its first three causes."""
        return all(any(names(fault, row) for row in self.causes[:3]) for fault in self.faults)

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


def harmed(
    trial: Trial, seed: int, clean: Result, given: Result, alone: Mapping[str, Collection[str]] = MappingProxyType({})
) -> list[Judged]:
    """The classes that the faults touch and that lost AP to them; ``alone``: what each fault, by name, harms alone."""
    found = []
    for category, ap in given.ap.items():
        touching = trial.touching(category)
        if touching and clean.ap.get(category, 0.0) - ap >= HARM:
            harming = [fault for fault in touching if category in alone.get(fault.name, (category,))] or touching
            causes = given.causes.get(category, [])
            found.append(Judged(trial, tuple(harming), seed, category, clean.ap[category], ap, causes))
    return found


def accusations(given: Result, own: Iterable[str]) -> list[tuple[str, str]]:
    """Classes that are well and not harmed, and the cause that is said of them."""
    return [
        (category, rows[0]["cause"])
        for category, rows in given.causes.items()
        if category not in own and given.ap50.get(category, 0.0) >= HEALTHY
    ]


def summary(judged: Sequence[Judged]) -> str:
    """Markdown: a row for each trial, its classes and seeds together; AP is the mean of promises that were followed."""
    lines = [
        "| fault | data | harmed | right | first causes | AP promised | AP regained | kept |",
        "|---|---|---|---|---|---|---|---|",
    ]
    trials: dict[str, list[Judged]] = {}
    for row in judged:
        trials.setdefault(row.trial.name, []).append(row)
    for name, rows in trials.items():
        followed = [row for row in rows if row.is_kept is not None]
        firsts = Counter("none" if row.first is None else row.first["cause"] for row in rows)
        said = ", ".join(cause if n == len(rows) else f"{cause} {n}" for cause, n in firsts.most_common())
        means = [_mean([getattr(row, which) for row in followed]) for which in ("promised", "delivered")]
        kept = _of(bool(row.is_kept) for row in followed) if followed else "-"
        cells = [name, rows[0].trial.data, len(rows), sum(row.is_right for row in rows), said, *map(_ap, means), kept]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


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
    both = [row for row in pairs if len(row.faults) > 1]
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


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _ap(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
