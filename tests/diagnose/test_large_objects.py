"""Objects that are too large for the anchors are told from those that are too small."""

from dataclasses import replace

import numpy as np
import pytest
import scenes

from detray.boxes import Reach
from detray.diagnose.causes.symptoms.localization import Localization
from detray.diagnose.causes.training_data.large_objects import LargeObjects
from detray.diagnose.causes.training_data.small_objects import SmallObjects
from detray.diagnose.evidence.inputs import Inputs
from detray.diagnose.mapping.repairs import MappingFaults
from detray.diagnose.observation.image_set import read_image_set
from detray.diagnose.observation.observe import observe
from detray.diagnose.steps.classes import cases_of


@pytest.mark.parametrize(("anchor", "is_beyond"), [(8.0, True), (2000.0, False)])
def test_where_none_is_met_the_largest_anchor_tells(anchor: float, is_beyond: bool) -> None:
    rng = np.random.default_rng(0)
    world = scenes.detect(rng, scenes.uniform(rng, 60, 3), scenes.Quality())
    world.size[:] = (640, 480)
    world.keep_dt(world.dt_class != 1)
    tables = scenes.tables_of(world)
    images = read_image_set(tables["images"], tables["annotations"], tables["predictions"])
    seen = observe(images, np.array([1]))
    inputs = Inputs(reach=Reach(640, 480, ((anchor, anchor),)))
    [case] = cases_of(seen, seen, MappingFaults(), world.names, [1], inputs)
    verdict = LargeObjects().judge(case)
    assert (verdict is not None) == is_beyond
    if verdict is not None:
        assert "the largest anchor, of 8 px, does not reach" in verdict.sentence
        assert verdict.numbers["beyond_anchors"] > 0


def test_loose_boxes_ask_for_other_anchors_only_where_some_are_not_reached() -> None:
    rng = np.random.default_rng(0)
    world = scenes.detect(rng, scenes.uniform(rng, 60, 3), scenes.Quality())
    world.size[:] = (640, 480)
    scenes.localization(rng, world, 1)
    tables = scenes.tables_of(world)
    images = read_image_set(tables["images"], tables["annotations"], tables["predictions"])
    seen = observe(images, np.array([1]))
    every = tuple((float(width), float(height)) for width in 1.4 ** np.arange(20) for height in 1.4 ** np.arange(20))
    asked = {}
    for name, anchors in (("all", every), ("few", ((8.0, 8.0),))):
        inputs = Inputs(reach=Reach(640, 480, anchors))
        [case] = cases_of(seen, seen, MappingFaults(), world.names, [1], inputs)
        verdict = Localization().judge(case)
        assert verdict is not None
        assert verdict.config is not None
        assert ("anchors" in verdict.remedy) == (name == "few")
        asked[name] = set(verdict.config["tune"]["space"])
    assert asked == {"all": {"box_loss_weight"}, "few": {"box_loss_weight", "detector.anchors"}}


def test_the_large_ones_and_the_small_ones_are_not_confused() -> None:
    for plant, holding, other in (
        (scenes.large_objects, LargeObjects(), SmallObjects()),
        (scenes.small_objects, SmallObjects(), LargeObjects()),
    ):
        rng = np.random.default_rng(1)
        world = scenes.detect(rng, scenes.uniform(rng, 80, 2), replace(scenes.Quality(), recall=0.97))
        plant(rng, world, 1)
        tables = scenes.tables_of(world)
        images = read_image_set(tables["images"], tables["annotations"], tables["predictions"])
        seen = observe(images, np.array([1]))
        [case] = cases_of(seen, seen, MappingFaults(), world.names, [1], Inputs())
        assert holding.judge(case) is not None
        assert other.judge(case) is None
