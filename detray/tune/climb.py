"""The next point of a search that climbs: one step away from the best so far, in the order in which the diagnosis asks.

Drawn at random, a point changes most of the levers at once, and one that harms hides all that help. With a dozen
trials, steps taken one after another from what has helped come further.
"""

from collections.abc import Iterator, Sequence

from detray.tune.space import Choice, Space


def next_step(space: Space, best: Choice, tried: Sequence[Choice]) -> Choice | None:
    """A neighbour of ``best``, a point in one setting of which another value stands, that is not among ``tried``; None
    where all are.

    Steps to neighbours are, in this order, those of `Space.climb`, the next value of a setting that ``best`` changes,
    any other value, first values first, and a change taken back. A step that was tried from another point comes after
    all that were not: what it does is half known.
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
    yield from (step for step in space.climb if not changed or step.keys().isdisjoint(changed))
    yield from (Choice({name: best[name] + 1}) for name in changed if best[name] + 1 < len(lists[name]))
    for place in range(1, max(map(len, lists.values()), default=0)):
        yield from (Choice({name: place}) for name, axis in lists.items() if place < len(axis))
    yield from (Choice({name: 0}) for name in changed)
