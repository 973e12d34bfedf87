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
PROMISE_KEPT = Criterion(0.5, "share of a small AP regained, as told, that a counter-test must deliver")


class CounterTested(msgspec.Struct, frozen=True):
    """What came of the counter-test of a diagnosis, or why none was run.

    Attributes:
        done: what was tried.
        before, after: AP without and with it; None: the class has no box.
        untested: why it was not; empty: it was.
        denies: AP that stays speaks against the cause; else it leaves it open.
        refutes: AP that rises speaks against the cause, in place of for it.
        measures: what was tried is the whole remedy: AP gained is AP regained.
    """

    done: str = ""
    before: float | None = None
    after: float | None = None
    untested: str = ""
    denies: bool = True
    refutes: bool = False
    measures: bool = False

    @property
    def gain(self) -> float:
        """AP gained."""
        return (self.after or 0.0) - (self.before or 0.0)

    @property
    def regained(self) -> float | None:
        """AP regained by the remedy; None where this does not measure it."""
        is_known = self.measures and not self.untested and self.before is not None and self.after is not None
        return max(self.gain, 0.0) if is_known else None

    def verdict(self, d_ap: float | None) -> str | None:
        """Whether it confirms a cause of which ``d_ap`` is said; None where none was run."""
        if self.untested:
            return None
        if self.gain >= needed(d_ap, is_measured=self.measures):
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


def needed(d_ap: float | None, *, is_measured: bool = False) -> float:
    """AP that a counter-test must gain to confirm a cause of which ``d_ap`` is said (None: unknown).

    ``is_measured``: it is what the remedy regains, be that far less than was said.
    """
    if d_ap is None:
        return MIN_GAIN
    least = max(LEAST_GAIN, min(MIN_GAIN, PROMISE_KEPT * d_ap))
    return least if is_measured else max(least, LIGHT_SHARE * d_ap)


def reranked(
    rows: Sequence[dict[str, Any]], tested: Mapping[tuple[int, str], CounterTested], *, promotes: bool = True
) -> list[dict[str, Any]]:
    """Rows of ``diagnoses`` with what their counter-tests say, those of each class by rank.

    A confirmed cause stands before those that are not tested, one that is not confirmed behind them; else the order
    stays. AP regained is what a test measured, where it tried the whole remedy.

    Args:
        rows: of some classes.
        tested: by class and cause.
        promotes: all first causes were to be tested, else a confirmed one stays where it is.
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
            if found.regained is not None:
                row |= {"d_ap": found.regained, "d_ap_is_ceiling": False}
        settled.append(row)
    places = {CONFIRMED: 0 if promotes else 1, NOT_CONFIRMED: 2}

    def key(row: dict[str, Any]) -> tuple[object, ...]:
        place = places.get(row.get("counter_test") or UNDECIDED, 1)
        return row["category_id"], row["cause"] not in FIRST, place, row["rank"]

    ranks: dict[int, int] = {}
    ordered = []
    for row in sorted(settled, key=key):
        rank = ranks[row["category_id"]] = ranks.get(row["category_id"], 0) + 1
        ordered.append(row | {"rank": rank})
    return ordered
