"""The proof: honest when there is nothing, certain when there is much."""

import numpy as np
import pytest
from numpy.typing import NDArray

from detray.tune.proof import Runs, paired_interval, prove

SEEDS, GROUPS, TRIALS = 4, 20, 6000


def simulate(
    random: np.random.Generator, gain: float, *, seeds: int = SEEDS, by_seed: float, by_image: float, both: float
) -> tuple[Runs, Runs]:
    """Baseline and candidate of `TRIALS` independent comparisons, one a class.

    A model's AP is the mean over image groups of a base, an effect of its seed, of the image (both
    shared in part by the two models) and of the pair.
    """

    def noise(*shape: int) -> NDArray[np.float64]:
        return random.standard_normal((*shape, TRIALS))

    image = 0.1 * noise(1, GROUPS)

    def model(level: float) -> Runs:
        cells = level + image + by_seed * noise(seeds, 1) + by_image * noise(1, GROUPS) + both * noise(seeds, GROUPS)
        left_out = (cells.sum(axis=1, keepdims=True) - cells) / (GROUPS - 1)
        return Runs(cells.mean(axis=1), cells.mean(axis=1), left_out)

    return model(0.5), model(0.5 + gain)


@pytest.mark.parametrize(
    ("by_seed", "by_image", "both"),
    [(0.03, 0.0, 0.0), (0.0, 0.1, 0.0), (0.03, 0.1, 0.0), (0.03, 0.1, 0.1), (0.01, 0.02, 0.1), (0.005, 0.2, 0.05)],
)
@pytest.mark.parametrize("seeds", [2, 4, 8])
def test_a_false_gain_is_as_rare_as_stated(seeds: int, by_seed: float, by_image: float, both: float) -> None:
    """Nominal: 2.5% better and 2.5% worse where nothing differs."""
    random = np.random.default_rng(seeds)
    found = paired_interval(*simulate(random, 0.0, seeds=seeds, by_seed=by_seed, by_image=by_image, both=both))
    assert (found.low > 0).mean() < 0.034
    assert (found.high < 0).mean() < 0.034
    assert ((found.low <= 0) & (found.high >= 0)).mean() > 0.93


def test_the_interval_is_not_wider_than_needed() -> None:
    random = np.random.default_rng(0)
    found = paired_interval(*simulate(random, 0.0, by_seed=0.03, by_image=0.1, both=0.0))
    assert ((found.low <= 0) & (found.high >= 0)).mean() < 0.985


def test_an_interval_over_images_alone_would_be_wrong() -> None:
    """What the seeds' term is for: without it a third of all seed changes would look like gains."""
    baseline, candidate = simulate(np.random.default_rng(0), 0.0, by_seed=0.03, by_image=0.05, both=0.0)
    difference = candidate.ap[:1] - baseline.ap[:1]
    left_out = (candidate.left_out - baseline.left_out)[0]
    error = np.sqrt((GROUPS - 1) * left_out.var(axis=0))
    assert (np.abs(difference[0]) > 1.96 * error).mean() > 0.3


def test_a_clear_gain_is_found() -> None:
    found = paired_interval(*simulate(np.random.default_rng(0), 0.1, by_seed=0.01, by_image=0.03, both=0.0))
    assert (found.low > 0).mean() > 0.95
    assert found.delta.mean() == pytest.approx(0.1, abs=0.01)


def test_several_candidates_share_the_error() -> None:
    runs = simulate(np.random.default_rng(0), 0.0, by_seed=0.03, by_image=0.1, both=0.0)
    one, three = paired_interval(*runs), paired_interval(*runs, candidates=3)
    assert (three.low < one.low).all()
    assert (three.low > 0).mean() < 0.034 / 3


def runs(*ap: list[float]) -> Runs:
    """One list of class APs a seed, without any spread over images."""
    values = np.array(ap)
    return Runs(values, values, np.repeat(values[:, None], GROUPS, axis=1))


FOCUS = np.array([True, False])


def test_a_win_gains_and_keeps_the_others() -> None:
    before = runs([0.1, 0.8], [0.11, 0.81], [0.1, 0.79])
    assert prove(before, runs([0.2, 0.8], [0.21, 0.81], [0.2, 0.79]), FOCUS, 0.02).is_win
    lost = prove(before, runs([0.2, 0.7], [0.21, 0.71], [0.2, 0.69]), FOCUS, 0.02)
    assert not lost.is_win
    assert lost.classes.verdicts() == ["better", "worse"]
    assert lost.kept.tolist() == [True, False]
    assert not prove(before, before, FOCUS, 0.02).is_win


def test_the_guard_is_a_probability() -> None:
    random = np.random.default_rng(0)
    found = paired_interval(*simulate(random, 0.0, by_seed=0.03, by_image=0.1, both=0.0))
    fell = found.chance_below(-0.02)
    assert ((fell < 0.025) == (found.low > -0.02)).all()
    assert np.median(found.chance_below(0.0)) == pytest.approx(0.5, abs=0.02)
    # where the truth is a fall by just max_drop, the guard says "kept" as seldom as stated
    true_drop = paired_interval(*simulate(random, -0.02, by_seed=0.03, by_image=0.1, both=0.0))
    assert (true_drop.chance_below(-0.02) < 0.025).mean() < 0.034
    certain = prove(runs([0.1, 0.8], [0.1, 0.8]), runs([0.1, 0.7], [0.1, 0.7]), FOCUS, 0.02)
    assert certain.fell.tolist() == [0.0, 1.0]
    assert np.isnan(prove(runs([0.1, 0.8]), runs([0.1, 0.7]), FOCUS, 0.02).fell).all()


def test_unclear_where_the_seeds_disagree() -> None:
    proof = prove(runs([0.1, 0.8], [0.1, 0.8]), runs([0.3, 0.8], [0.05, 0.8]), FOCUS, 0.02)
    assert proof.classes.verdicts() == ["unclear", "unclear"]
    assert not proof.is_win


def test_one_seed_proves_nothing() -> None:
    proof = prove(runs([0.1, 0.8]), runs([0.9, 0.9]), FOCUS, 0.02)
    assert np.isnan(proof.classes.low).all()
    assert proof.classes.delta.tolist() == pytest.approx([0.8, 0.1])
    assert not proof.is_win


def test_a_class_without_ap_neither_wins_nor_loses() -> None:
    nan = float("nan")
    before, after = runs([0.1, nan], [0.11, nan]), runs([0.2, nan], [0.21, nan])
    proof = prove(before, after, FOCUS, 0.02)
    assert proof.is_win
    assert np.isnan(proof.classes.delta[1])


def test_the_focus_is_judged_by_its_mean() -> None:
    before = runs([0.1, 0.2, 0.8], [0.1, 0.2, 0.8])
    after = runs([0.3, 0.19, 0.8], [0.31, 0.2, 0.8])
    assert prove(before, after, np.array([True, True, False]), 0.02).is_win
