"""The next point of a search that climbs: one step away from the best so far, in the order in which the diagnosis asks.

Drawn at random, a point changes most of the levers at once, and one that harms hides all that help. With a dozen
trials, steps taken one after another from what has helped come further.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from detray.tune.space import Choice, Space


def next_step(space: Space, best: Choice, tried: Sequence[Choice]) -> Choice | None:
    """A neighbour of ``best``, a point with another value of one setting, that is not among ``tried``; None where all
    are.

    Steps to neighbours are, in this order, those of `Space.climb` that set what ``best`` leaves alone, a further value
    of a setting that it changes, a change taken back, and any other value, first values first. A step that was tried
    from another point comes after all that were not: what it does is half known.
    """
    steps = [step for step in _steps(space, best) if best | step not in tried]
    new = (step for step in steps if not _is_known(step, tried))
    step = next(new, steps[0] if steps else None)
    return None if step is None else best | step


def _is_known(step: Choice, tried: Sequence[Choice]) -> bool:
    return any(point | step != point and point | step in tried for point in tried)


def _steps(space: Space, best: Choice) -> Iterator[Choice]:
    lists = {name: axis for name, axis in space.values.items() if isinstance(axis, tuple)}
    changed = [name for name in lists if best.get(name)]
    yield from (step for step in space.climb if step.keys().isdisjoint(changed))
    for name in changed:
        place = _further(lists[name], int(best[name]))
        if place is not None:
            yield {name: place}
    yield from (Choice({name: 0}) for name in changed)
    for place in range(1, max(map(len, lists.values()), default=0)):
        yield from (Choice({name: place}) for name, axis in lists.items() if place < len(axis))


def _further(axis: Sequence[Any], place: int) -> int | None:
    """The place of the value that is one more away from the first than that at ``place``: of numbers the nearest in
    that direction, else the next in the list."""
    if not all(isinstance(value, int | float) for value in axis):
        return place + 1 if place + 1 < len(axis) else None
    sign = 1 if axis[place] > axis[0] else -1
    beyond = [(sign * value, other) for other, value in enumerate(axis) if sign * value > sign * axis[place]]
    return min(beyond)[1] if beyond else None
