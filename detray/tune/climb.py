"""The next point of a search that climbs: one step away from the best so far, in the order in which the diagnosis asks.

Drawn at random, a point changes most of the levers at once, and one that harms hides all that help. With a dozen
trials, steps taken one after another from what has helped come further.
"""

from collections.abc import Iterator, Mapping, Sequence

from detray.tune.space import Choice, Space


def next_step(space: Space, best: Choice, tried: Sequence[Choice]) -> Choice | None:
    """A neighbour of ``best`` that is not among ``tried``; None where all are.

    Steps to neighbours are, in this order, the first steps of one more remedy, the next value of a setting that
    ``best`` changes, any other value of one setting, first values first, and one change taken back. Those go
    before that no point among ``tried`` holds: what has been tried elsewhere is half known.
    """
    steps = [step for step in _steps(space, best) if step and best | dict(step) not in tried]
    new = (step for step in steps if not any(step.items() <= point.items() for point in tried))
    first = next(new, steps[0] if steps else None)
    return None if first is None else best | dict(first)


def _steps(space: Space, best: Choice) -> Iterator[Mapping[str, int | float]]:
    lists = {name: axis for name, axis in space.values.items() if isinstance(axis, tuple)}
    changed = [name for name in lists if best.get(name)]
    for remedy in space.remedies:
        yield {name: place for name, place in remedy.items() if name not in changed}
    for name in changed:
        if best[name] + 1 < len(lists[name]):
            yield {name: best[name] + 1}
    for place in range(1, max(map(len, lists.values()), default=0)):
        yield from ({name: place} for name, axis in lists.items() if place < len(axis))
    yield from ({name: 0} for name in changed)
