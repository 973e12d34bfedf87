"""The runs of the demonstration are valid configurations over files that it draws."""

from pathlib import Path

import pytest

from detray import schema
from detray.demo import plan
from detray.demo.draw import draw_dataset
from detray.settings import convert
from detray.verbs.config import Config


@pytest.mark.parametrize("make", [plan.main, plan.faulty, plan.shifted])
def test_configurations_are_valid_and_their_files_are_there(make, tmp_path: Path) -> None:
    draw_dataset(plan.main(tmp_path).root, train=1, val=40, test=1)
    faults, shift = plan.write_copies(tmp_path, schema.empty("predictions"))
    assert len(faults) > 20
    assert shift.name == "label map off by one"
    run = make(tmp_path)
    config = convert(run.values, Config, run.name)
    assert str(run.root) == config.dataset.root
    for split in config.dataset.splits.values():
        assert (run.root / str(split.annotations)).is_file()
        assert (run.root / str(split.images)).is_dir()
    assert config.detector.path is None or Path(config.detector.path).is_file()


def test_runs_do_not_share_an_output(tmp_path: Path) -> None:
    outputs = [run(tmp_path).values["output"] for run in (plan.main, plan.faulty, plan.shifted)]
    assert len(set(outputs)) == 3
