"""What the search proposes."""

from collections import Counter
from collections.abc import Callable

import pytest

from detray.detectors.settings import TrainSettings
from detray.tune.search import Attempt, propose
from detray.tune.space import Choice, Range, Space

SPACE = Space(TrainSettings(), {"focal_gamma": (2.0, 1.0, 3.0), "freeze_units": (0, 1, 2), "focal_alpha": (0.25, 0.4)})
GUESS = {"focal_gamma": 1, "freeze_units": 0, "focal_alpha": 0}


def search(space: Space, trials: int, kind: str, seed: int = 0, score: float | None = 0.5) -> list[Choice]:
    history: list[Attempt] = []
    for _ in range(trials):
        history.append(Attempt(propose(space, history, kind, seed), score))
    return [attempt.choice for attempt in history]


@pytest.mark.parametrize("kind", ["optuna", "random", "grid"])
def test_the_baseline_comes_first_and_no_point_twice(kind: str) -> None:
    found = search(SPACE, SPACE.size(99), kind)
    assert found[0] == SPACE.origin
    assert all(found.count(choice) == 1 for choice in found)


def test_guesses_come_second() -> None:
    assert search(Space(SPACE.baseline, SPACE.values, (GUESS,)), 3, "optuna")[1] == GUESS


CLIMBING = Space(SPACE.baseline, SPACE.values, climb=({"focal_gamma": 2}, {"focal_alpha": 1}, {"freeze_units": 1}))


def climb(worth: Callable[[Choice], float], trials: int, space: Space = CLIMBING) -> list[Choice]:
    """The points of a search in which each comes to what it is worth, in short."""
    history: list[Attempt] = []
    for _ in range(trials):
        choice = propose(space, history, "optuna", 0)
        history.append(Attempt(choice, worth(choice)))
    return [{name: place for name, place in attempt.choice.items() if place} for attempt in history]


def test_what_helps_is_kept_and_what_harms_is_left() -> None:
    """Freezing helps, by the second unit even more, all else harms; what has been tried is tried again last."""
    found = climb(lambda choice: choice["freeze_units"] - choice["focal_gamma"] - choice["focal_alpha"], trials=7)
    assert found[:4] == [{}, {"focal_gamma": 2}, {"focal_alpha": 1}, {"freeze_units": 1}]
    assert found[4:6] == [{"freeze_units": 2}, {"freeze_units": 2, "focal_gamma": 1}]
    assert found[6] == {"freeze_units": 2, "focal_gamma": 2}


WIDE = dict.fromkeys(("focal_gamma", "freeze_units", "label_smoothing", "l2", "dropout", "clip_norm"), (0, 1, 2))


def test_of_a_guess_half_of_which_harms_that_half_is_taken_back() -> None:
    guessing = Space(SPACE.baseline, WIDE, ({"focal_gamma": 1, "dropout": 1},), climb=({"l2": 1},))
    found = climb(lambda choice: 2 * choice.get("focal_gamma", 0) - sum(choice.values()) * 0.9, 7, guessing)
    assert found[1] == {"focal_gamma": 1, "dropout": 1}
    assert found[6] == {"focal_gamma": 2}


def test_of_numbers_the_next_value_lies_further_on() -> None:
    rates = Space(SPACE.baseline, {"learning_rate": (3e-3, 6e-3, 1e-3, 1e-2)}, climb=({"learning_rate": 1},))
    assert climb(lambda choice: choice["learning_rate"] in (1, 3), 3, rates)[2] == {"learning_rate": 3}
    assert climb(lambda choice: -choice["learning_rate"], 3, rates)[2] == {"learning_rate": 2}


def test_a_climb_lasts_until_ten_trials_have_ended() -> None:
    space = Space(SPACE.baseline, WIDE, climb=({"l2": 1},))
    history = [Attempt(space.origin, 0.5)]
    for _ in range(11):  # run side by side
        history.append(Attempt(propose(space, history, "optuna", 0), None))
        assert sum(place > 0 for place in history[-1].choice.values()) == 1


def test_where_time_counts_too_nothing_climbs() -> None:
    found = [
        propose(CLIMBING, [Attempt(CLIMBING.origin, 0.5, 1.0)], "optuna", seed, is_timed=True) for seed in range(9)
    ]
    assert found != [CLIMBING.origin | CLIMBING.climb[0]] * 9


def test_while_nothing_has_ended_each_step_is_tried_alone() -> None:
    history = [Attempt(CLIMBING.origin, None)]
    for step in CLIMBING.climb:
        history.append(Attempt(propose(CLIMBING, history, "optuna", 0), None))
        assert history[-1].choice == CLIMBING.origin | step
    assert propose(CLIMBING, [Attempt(CLIMBING.origin, None)], "random", 0) != CLIMBING.origin | CLIMBING.climb[0]


def test_a_climb_that_is_over_draws() -> None:
    small = Space(TrainSettings(), {"focal_gamma": (2.0, 1.0), "freeze_units": (0, 1)}, climb=({"focal_gamma": 1},))
    found = climb(lambda choice: -1.0 * sum(choice.values()), trials=4, space=small)
    assert found == [{}, {"focal_gamma": 1}, {"freeze_units": 1}, {"focal_gamma": 1, "freeze_units": 1}]


def test_the_seed_decides() -> None:
    assert search(SPACE, 9, "optuna", seed=1) == search(SPACE, 9, "optuna", seed=1)
    assert search(SPACE, 9, "optuna", seed=1) != search(SPACE, 9, "optuna", seed=2)


@pytest.mark.parametrize(("kind", "trials"), [("random", 18), ("optuna", 10)])
def test_results_do_not_change_what_is_drawn_at_random(kind: str, trials: int) -> None:
    """So the trials are the same with and without Ray, in whatever order they end."""
    assert search(SPACE, trials, kind, score=0.1) == search(SPACE, trials, kind, score=None)


def test_optuna_learns_and_random_does_not() -> None:
    space = Space(TrainSettings(), {"focal_gamma": tuple(range(8)), "learning_rate": tuple(range(1, 41))})
    good = Counter[str]()
    for kind in ("optuna", "random"):
        history: list[Attempt] = []
        for _ in range(40):
            choice = propose(space, history, kind, 0)
            history.append(Attempt(choice, float(choice["focal_gamma"] == 5)))
        good[kind] = sum(attempt.choice["focal_gamma"] == 5 for attempt in history[20:])
    assert good["optuna"] >= 2 * good["random"]
    assert good["optuna"] >= 8


def test_two_objectives_are_sought_both() -> None:
    """The higher a gamma the higher AP, the deeper it is frozen the longer it takes: of the last of many proposals
    those without the latter are more than the ten in sixty of chance, and one objective alone does not care."""
    space = Space(TrainSettings(), {"learning_rate": tuple(range(1, 11)), "freeze_units": tuple(range(6))})
    fast = Counter[bool]()
    for is_timed in (True, False):
        history: list[Attempt] = []
        for _ in range(40):
            choice = propose(space, history, "optuna", 0, is_timed=is_timed)
            history.append(Attempt(choice, float(choice["learning_rate"]), float(choice["freeze_units"])))
        fast[is_timed] = sum(attempt.choice["freeze_units"] == 0 for attempt in history[15:])
    assert fast[True] > fast[False]
    assert fast[True] >= 6


@pytest.mark.parametrize("kind", ["optuna", "random"])
def test_numbers_of_ranges_and_what_waits_for_another(kind: str) -> None:
    space = Space(
        TrainSettings(),
        {
            "learning_rate": Range(1e-4, 1e-2, log=True),
            "freeze_units": Range(0, 4, step=2),
            "optimizer": ("adamw", "sgd"),
            "l2": (0.0, 0.1),
        },
        when={"l2": {"optimizer": ("sgd",)}},
    )
    first, *found = search(space, 24, kind)
    assert first == {"optimizer": 0}
    rates = [choice["learning_rate"] for choice in found]
    assert 1e-4 <= min(rates) < 1e-3 < max(rates) <= 1e-2
    assert {choice["freeze_units"] for choice in found} == {0, 2, 4}
    assert {("l2" in choice, choice["optimizer"]) for choice in found} == {(True, 1), (False, 0)}


def test_a_grid_goes_through_what_is_listed_in_order() -> None:
    space = Space(TrainSettings(), {"focal_gamma": (2.0, 1.0, 3.0)}, unlisted=frozenset({"focal_gamma"}))
    assert search(space, 3, "grid") == [{"focal_gamma": place} for place in range(3)]
