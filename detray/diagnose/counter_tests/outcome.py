"""What a counter-test says, and where a diagnosis stands after it."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from detray.diagnose.criterion import Criterion
from detray.diagnose.mend import LEAST_GAIN, MIN_GAIN
from detray.diagnose.rank import FIRST, LIGHT_SHARE

CONFIRMED, UNDECIDED, NOT_CONFIRMED = "confirmed", "undecided", "not_confirmed"
TESTED = 3
"""Causes of a class that are tested: the first."""
PROMISE_KEPT = Criterion(0.5, "share of a small promised gain that a counter-test must deliver")


class CounterTested(msgspec.Struct, frozen=True):
    """What came of the counter-test of a diagnosis, or why none was run.

    Attributes:
        done: what was tried.
        before, after: AP without and with it; None: the class has no box.
        untested: why it was not; empty: it was.
        denies: AP that stays speaks against the cause; else it leaves it open.
        refutes: AP that rises speaks against the cause, in place of for it.
    """

    done: str = ""
    before: float | None = None
    after: float | None = None
    untested: str = ""
    denies: bool = True
    refutes: bool = False

    def verdict(self, d_ap: float | None) -> str | None:
        """Whether it confirms a cause that promises ``d_ap``; None where none was run."""
        if self.untested:
            return None
        gain = (self.after or 0.0) - (self.before or 0.0)
        if gain >= needed(d_ap):
            return NOT_CONFIRMED if self.refutes else CONFIRMED
        return NOT_CONFIRMED if self.denies else UNDECIDED

    def told(self, d_ap: float | None) -> str:
        """The same as words behind the sentence of the diagnosis."""
        verdict = self.verdict(d_ap)
        if verdict is None:
            return f"Not tested: {self.untested}."
        word = verdict.replace("_", " ").capitalize()
        return f"{word}: AP {self.before or 0.0:.2f} to {self.after or 0.0:.2f} ({self.done})."


Tested = dict[tuple[int, str], CounterTested]
"""By class and cause."""


def needed(d_ap: float | None) -> float:
    """AP that a counter-test must gain to confirm a cause that promises ``d_ap`` (None: unknown)."""
    if d_ap is None:
        return MIN_GAIN
    return max(LEAST_GAIN, min(MIN_GAIN, PROMISE_KEPT * d_ap), LIGHT_SHARE * d_ap)


def reranked(rows: Sequence[dict[str, Any]], tested: Mapping[tuple[int, str], CounterTested]) -> list[dict[str, Any]]:
    """Rows of ``diagnoses`` with what their counter-tests say, those of each class by rank.

    A confirmed cause stands before those that are not tested, one that is not confirmed behind them; else the order
    stays.

    Args:
        rows: of some classes.
        tested: by class and cause.
    """
    settled = []
    for row in rows:
        found = tested.get((row["category_id"], row["cause"]))
        if found is not None:
            row = row | {
                "counter_test": found.verdict(row["d_ap"]),
                "counter_test_ap": None if found.untested else found.after,
                "sentence": f"{row['sentence']} {found.told(row['d_ap'])}",
            }
        settled.append(row)
    places = {CONFIRMED: 0, NOT_CONFIRMED: 2}

    def key(row: dict[str, Any]) -> tuple[object, ...]:
        place = places.get(row.get("counter_test") or UNDECIDED, 1)
        return row["category_id"], row["cause"] not in FIRST, place, row["rank"]

    ranks: dict[int, int] = {}
    ordered = []
    for row in sorted(settled, key=key):
        rank = ranks[row["category_id"]] = ranks.get(row["category_id"], 0) + 1
        ordered.append(row | {"rank": rank})
    return ordered
