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
    """A harmed class of a run. ``delivered`` is AP regained, None where nothing was done."""

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
    def said(self) -> float | None:
        """AP regained by the first cause, be it promised or at most."""
        return None if self.first is None else self.first["d_ap"]

    @property
    def promised(self) -> float | None:
        """AP regained by the first cause, where it is known in advance."""
        return None if self.first is None or self.first["d_ap_is_ceiling"] else self.said

    @property
    def at_most(self) -> float | None:
        """A ceiling of it, where it is not."""
        return self.said if self.first is not None and self.first["d_ap_is_ceiling"] else None

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

    @property
    def is_held(self) -> bool | None:
        """Whether no more was regained than at most; None where one of the two is unknown."""
        if self.at_most is None or self.delivered is None:
            return None
        return self.delivered <= self.at_most


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
    """Markdown: a row for each trial, its classes and seeds together; AP is the mean of what was followed."""
    lines = [
        "| fault | data | harmed | right | first causes | AP promised | AP regained | kept | AP at most | AP regained"
        " | held | untold |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    trials: dict[str, list[Judged]] = {}
    for row in judged:
        trials.setdefault(row.trial.name, []).append(row)
    for name, rows in trials.items():
        firsts = Counter("none" if row.first is None else row.first["cause"] for row in rows)
        said = ", ".join(cause if n == len(rows) else f"{cause} {n}" for cause, n in firsts.most_common())
        cells = [name, rows[0].trial.data, len(rows), sum(row.is_right for row in rows), said]
        for which, outcome in (("promised", "is_kept"), ("at_most", "is_held")):
            followed = [row for row in rows if getattr(row, outcome) is not None]
            cells += [_ap(_mean([getattr(row, column) for row in followed])) for column in (which, "delivered")]
            cells.append(_of(getattr(row, outcome) for row in followed) if followed else "-")
        cells.append(sum(row.said is None for row in rows))
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def table(judged: Sequence[Judged]) -> str:
    """Markdown: a row for each harmed class and seed."""
    lines = [
        "| fault | data | seed | class | AP clean | AP | first cause | right | AP promised | at most | AP regained |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in judged:
        first = "none" if row.first is None else row.first["cause"]
        cells = [row.trial.name, row.trial.data, row.seed, row.category, _ap(row.clean_ap), _ap(row.ap), first]
        cells += ["yes" if row.is_right else "no", _ap(row.promised), _ap(row.at_most), _ap(row.delivered)]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def promises(judged: Sequence[Judged]) -> str:
    """Markdown: a row for each first cause, how much of what is said of AP regained is promised, and was kept."""
    lines = [
        "| first cause | classes | promised | kept | largest error | at most | untold |",
        "|---|---|---|---|---|---|---|",
    ]
    causes: dict[str, list[Judged]] = {}
    for row in judged:
        if row.first is not None:
            causes.setdefault(row.first["cause"], []).append(row)
    for cause, rows in sorted(causes.items()):
        kept = [row for row in rows if row.is_kept is not None]
        errors = [abs((row.promised or 0.0) - (row.delivered or 0.0)) for row in kept]
        n = [sum(getattr(row, which) is not None for row in rows) for which in ("promised", "at_most", "said")]
        cells = [cause, len(rows), n[0], _of(bool(row.is_kept) for row in kept) if kept else "-"]
        cells += [_ap(max(errors, default=None)), n[1], len(rows) - n[2]]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join(lines)


def totals(judged: Sequence[Judged], accused: Sequence[str], n_healthy: int) -> str:
    """The sums, in sentences."""
    singles = [row for row in judged if len(row.trial.faults) == 1]
    pairs = [row for row in judged if len(row.trial.faults) > 1]
    both = [row for row in pairs if len(row.faults) > 1]
    promises, ceilings = (
        [row for row in judged if getattr(row, which) is not None] for which in ("promised", "at_most")
    )
    kept, held = (
        [value for row in judged if (value := getattr(row, which)) is not None] for which in ("is_kept", "is_held")
    )
    lines = [
        f"First cause right for {_of(row.is_right for row in singles)} harmed classes of single faults and"
        f" {_of(row.is_right for row in pairs)} of pairs; both of a pair among the first three for"
        f" {_of(row.has_all for row in both)}.",
        f"Accused: {len(accused)} of {n_healthy} classes that are well (AP50 of {HEALTHY} or more and no fault)"
        + (f": {'; '.join(accused)}." if accused else "."),
        f"Promises within {NEAR} AP of what was regained: {_of(kept)} that were followed, of {len(promises)}. Not known"
        f" in advance: {len(judged) - len(promises)} of {len(judged)} classes; for {len(ceilings)} of them it is told"
        f" what is regained at most, which held for {_of(held)} that were followed, for the rest no number.",
    ]
    return "\n".join(lines)


def _of(values: Iterable[bool]) -> str:
    found = list(values)
    return f"{sum(found)} of {len(found)}"


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None


def _ap(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
