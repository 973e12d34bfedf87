"""A look at the training split before the search: how many pictures there are, and how many hold which class."""

from collections import Counter
from collections.abc import Sequence

import msgspec
import pyarrow.compute as pc

from detray.detectors.training.history import TRAIN
from detray.flow.data import Data
from detray.flow.flow import Flow
from detray.flow.step import Output, Step
from detray.store import ShardKey

COLUMNS = {"images": ("image_id",), "annotations": ("image_id", "category_id")}


class Survey(msgspec.Struct, frozen=True):
    """Pictures, and by a class's id those that hold it; ``focus`` those that hold any class of the focus."""

    pictures: int
    holding: dict[int, int]
    focus: int


class Look(msgspec.Struct, frozen=True):
    """The task: a shard, and the classes of the focus."""

    key: ShardKey
    focus: tuple[int, ...]


def look(data: Data, task: Look) -> Output[Survey]:
    """Count one shard."""
    shard = data.read_shard(task.key, columns=COLUMNS)
    pairs = shard.annotations.select(["image_id", "category_id"]).group_by(["image_id", "category_id"]).aggregate([])
    of_focus = pairs.filter(pc.is_in(pairs["category_id"], pc.cast(list(task.focus), pairs["category_id"].type)))
    held = Counter[int](pairs["category_id"].to_pylist())
    return Output(Survey(shard.images.num_rows, dict(held), pc.count_distinct(of_focus["image_id"]).as_py()))


SURVEY = Step[Data, Look, Survey]("survey", look, Survey)


def survey(flow: Flow, focus: Sequence[int]) -> Survey:
    """The whole training split."""
    tasks = {f"{number:05d}": Look(key, tuple(focus)) for number, key in enumerate(flow.data.shards([TRAIN]))}
    found = flow.map(SURVEY, flow.data, tasks).facts
    holding = sum((Counter(one.holding) for one in found), Counter[int]())
    return Survey(sum(one.pictures for one in found), dict(holding), sum(one.focus for one in found))
