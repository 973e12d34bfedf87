"""Which epoch a trial is: the focus counts, and what it costs the other classes."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from detray.detectors.settings import DetectorSettings, PredictSettings, TrainSettings
from detray.flow.kept import InMemory
from detray.flow.workspace import Workspace
from detray.store import Store
from detray.tune.bench import Bench
from detray.tune.retinanet import RetinaNetTrainer
from detray.tune.trial import Epoch, Trial, best_so_far, kept_among, run_trial, write_epoch

CELLS = [
    [0.435, 0.628, 0.218], [0.433, 0.659, 0.223], [0.447, 0.625, 0.184], [0.448, 0.679, 0.222], [0.465, 0.665, 0.179],
    [0.482, 0.675, 0.206], [0.480, 0.690, 0.192], [0.485, 0.710, 0.195], [0.492, 0.689, 0.219], [0.493, 0.706, 0.218],
    [0.497, 0.706, 0.204], [0.497, 0.706, 0.212], [0.496, 0.709, 0.210], [0.498, 0.717, 0.208],
]  # fmt: skip
"""AP of RBC, WBC and Platelets (20 boxes in training) in epochs 6 to 20 of a training on BCCD, all but the 19th."""


def made(tmp_path: Path, max_drop: float, **train: object) -> tuple[Bench, Trial]:
    names, nothing = {1: "RBC", 2: "WBC", 3: "Platelets"}, InMemory(())
    trainer = RetinaNetTrainer(PredictSettings(), names, {}, {}, {})
    workspace = Workspace(Store(str(tmp_path)), ("trials",))
    bench = Bench("test", trainer, names, (3,), nothing, nothing, workspace, max_drop=max_drop)
    return bench, Trial("search-0000", "search", TrainSettings(**train), DetectorSettings())  # type: ignore[arg-type]


def epochs_of(rows: Sequence[Sequence[float | None]]) -> list[Epoch]:
    return [Epoch([*row], [*row], [*row], 0.5, 0.5, float(number)) for number, row in enumerate(rows)]


def best(tmp_path: Path, rows: Sequence[Sequence[float | None]], max_drop: float = 0.02, **train: object) -> int:
    (bench, trial), epochs = made(tmp_path, max_drop, **train), epochs_of(rows)
    found = [best_so_far(bench, trial, epochs[:count]) for count in range(1, len(epochs) + 1)]
    # the weights of an epoch are there while it is the last one, and as long as it stays the best
    assert all(
        now in (before, count) for count, (before, now) in enumerate(zip([0, *found[:-1]], found, strict=True), 1)
    )
    stands = found[-1] if trial.settings.keep == "best" else 0
    assert kept_among(bench, trial, epochs) == (stands or len(epochs))
    return found[-1]


def test_an_early_peak_of_the_focus_gives_way_to_an_epoch_that_knows_the_others(tmp_path: Path) -> None:
    assert best(tmp_path, CELLS) == 9  # not 2, of which the focus is .004 better and RBC .06 worse
    assert best(tmp_path, CELLS, max_drop=1.0) == 2


def test_other_classes_are_held_to_no_more_than_the_guard(tmp_path: Path) -> None:
    assert best(tmp_path, [[0.5, 0.5, 0.1], [0.485, 0.5, 0.2], [0.5, 0.5, 0.19]]) == 2
    assert best(tmp_path, [[0.5, 0.5, 0.1], [0.4, 0.5, 0.15]]) == 1


def test_of_equal_ones_the_first(tmp_path: Path) -> None:
    assert best(tmp_path, [[0.5, 0.5, 0.1]] * 3) == 1


def test_where_no_focus_class_has_an_ap_the_last_stands(tmp_path: Path) -> None:
    assert best(tmp_path, [[0.5, 0.5, None]] * 3) == 0


def test_the_last_is_kept_where_that_is_asked(tmp_path: Path) -> None:
    assert best(tmp_path, CELLS, keep="last") == 9


@pytest.mark.parametrize(("keep", "told"), [("best", [0.218, 0.223, 0.223]), ("last", [0.218, 0.223, 0.184])])
def test_who_stops_trials_is_told_of_the_epoch_that_a_trial_is(tmp_path: Path, keep: str, told: list[float]) -> None:
    """Of a training that was cut off, of all its epochs again."""
    bench, trial = made(tmp_path, 0.02, keep=keep, epochs=len(CELLS))
    for number, epoch in enumerate(epochs_of(CELLS), 1):
        write_epoch(bench, trial, number, epoch)
    seen = []

    def report(number: int, ap: list[float | None], seconds: float) -> bool:
        seen.append(ap[2])
        return number < len(CELLS)

    assert run_trial(bench, trial, report).status == "stopped"
    assert seen[:3] == told
    assert seen[-1] == (0.219 if keep == "best" else CELLS[-1][2])
