"""The search in this process, one trial after another: the plain counterpart of Ray Tune's."""

from collections.abc import Callable
from functools import partial

from detray.tune.search import Search
from detray.tune.trial import run_trial


def run_search(search: Search, on_trial: Callable[[], None]) -> None:
    """Run every trial of ``search`` to its end; ``on_trial`` is called after each.

    Only the end of the budget stops a trial: asynchronous halving decides by what else runs at that time, and here
    nothing else does.
    """
    while (trial := search.next()) is not None:
        search.finish(run_trial(search.bench, trial, partial(search.goes_on, trial)))
        on_trial()
