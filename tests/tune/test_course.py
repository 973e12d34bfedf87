"""The order in which the trainings of a tuning begin."""

from pathlib import Path
from typing import Any

from detray.detectors.settings import PredictSettings, TrainSettings
from detray.flow.kept import InMemory
from detray.flow.workspace import Workspace
from detray.settings import convert
from detray.store import Store
from detray.tune.bench import Bench
from detray.tune.course import Course
from detray.tune.retinanet import RetinaNetTrainer
from detray.tune.search import Search
from detray.tune.settings import TuneSettings
from detray.tune.space import Space
from detray.tune.trial import Epoch, Trial, conclude, write_epoch

QUALITY = {2.0: 0.2, 1.0: 0.3, 3.0: 0.4}
"""AP by focal gamma; 2 is the baseline's."""


def make_course(folder: Path, **settings: Any) -> Course:
    nothing, classes = InMemory(()), {1: "common", 2: "rare"}
    trainer = RetinaNetTrainer(PredictSettings(), classes, {}, {}, {})
    workspace = Workspace(Store(str(folder)), ("trials",))
    bench = Bench("played", trainer, classes, (2,), nothing, nothing, workspace)
    space = Space(TrainSettings(epochs=2), {"focal_gamma": tuple(QUALITY)})
    values = {"trials": 3, "proof_seeds": 2, "search": "grid"} | settings
    return Course(Search(bench, space, convert(values, TuneSettings, "test")))


def end(course: Course, trial: Trial | None, status: Any = "completed", epochs: int = 2) -> None:
    assert trial is not None
    ap = [0.5, QUALITY[trial.settings.focal_gamma]]
    for epoch in range(1, epochs + 1):
        write_epoch(course.search.bench, trial, epoch, Epoch(ap, ap, ap, 0.5, 0.5, float(epoch)))
        course.goes_on(trial, epoch, seconds=float(epoch))
    course.finish(conclude(course.search.bench, trial, status))


def test_the_baseline_is_proven_while_the_last_trials_run(tmp_path: Path) -> None:
    course = make_course(tmp_path)
    searched = [course.next() for _ in range(3)]
    early = [course.next(), course.next()]
    assert [trial and trial.trial_id for trial in early] == ["proof-0000-seed-1", "proof-0000-seed-2"]
    assert course.next() is None
    for trial in searched:
        assert not course.is_searched
        end(course, trial)
    assert course.is_searched
    assert not course.is_over
    late = [course.next(), course.next()]
    assert [trial and trial.trial_id for trial in late] == ["proof-0002-seed-1", "proof-0002-seed-2"]
    assert course.next() is None
    assert course.is_over
    assert list(course.proofs) == [f"proof-000{number}-seed-{seed}" for seed in (1, 2) for number in (0, 2)]


def test_nothing_is_proven_where_no_other_trial_or_no_baseline_is_left(tmp_path: Path) -> None:
    for failing in (slice(0, 1), slice(1, 3)):
        course = make_course(tmp_path / str(failing.start))
        searched = [course.next() for _ in range(3)]
        for trial in searched[failing]:
            end(course, trial, "failed")
        assert course.next() is None
        for trial in searched:
            if trial is not None and trial.trial_id not in course.search.ends:
                end(course, trial)
        assert course.is_over
        assert not course.proofs


def test_trials_that_began_are_taken_up_though_the_budget_is_spent(tmp_path: Path) -> None:
    course = make_course(tmp_path, max_epochs=3)
    end(course, course.next())
    second = course.next()
    end(course, second, epochs=1)
    again = make_course(tmp_path, max_epochs=3)
    end(again, again.next())
    again.goes_on(again.search.trials[0], 3)
    assert again.search.budget.is_over
    assert again.next() == second
