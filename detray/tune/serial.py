"""A tuning in this process, one training after another: the plain counterpart of Ray Tune's."""

from collections.abc import Callable
from functools import partial

from detray.tune.course import Course
from detray.tune.trial import run_trial


def run_trials(course: Course, on_trial: Callable[[], None]) -> None:
    """Run every training of ``course`` to its end; ``on_trial`` is called after each.

    Only the end of the budget stops a trial: asynchronous halving decides by what else runs at that time, and here
    nothing else does.
    """
    while (trial := course.next()) is not None:
        course.finish(run_trial(course.search.bench, trial, partial(course.goes_on, trial)))
        on_trial()
