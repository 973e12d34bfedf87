"""Inference as a flow: every image once, whatever the cut, and wherever its picture is decoded."""

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from drawn import CLASSES, DETECTOR, draw
from tiny import eagerly

from detray.detectors import flow as inference
from detray.detectors.retinanet.model import RetinaNet
from detray.detectors.retinanet.network import build_network
from detray.detectors.settings import PredictSettings, TilesSettings
from detray.detectors.trial import meaning_of
from detray.detectors.unreadable import Unreadable, require_readable
from detray.errors import DetrayError
from detray.flow.data import MemoryData, cut
from detray.flow.executor import InProcess, Job
from detray.flow.flow import Flow
from detray.flow.keeper import FileKeeper, MemoryKeeper
from detray.flow.outcome import Outcome
from detray.flow.receipt import Receipt
from detray.flow.sample import Sample
from detray.flow.step import Resources
from detray.meaning.settle import Meaning, Stated
from detray.store import Stage, Store

PREDICT = PredictSettings(score_threshold=0.001, batch_size=4)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> inference.Work:
    """An untrained detector, and eleven pictures of which one is none."""
    folder = tmp_path_factory.mktemp("data")
    shard = draw(folder, 11)
    Path(shard.images["path"][4].as_py()).write_bytes(b"no picture")
    network = build_network(DETECTOR, len(CLASSES))
    model = folder / "model"
    model.mkdir()
    for name, data in RetinaNet(network, CLASSES, DETECTOR, PREDICT, (), 0).files().items():
        (model / name).write_bytes(data)
    labels = {"train": {number: (number, name) for number, name in CLASSES.items()}}
    data = MemoryData([shard])
    return inference.Work(data, "t", "untrained", str(model), DETECTOR, PREDICT, labels, False)


def predict(work: inference.Work, gpus: float = 0, shards: int = 1) -> dict[str, pa.Table]:
    data = MemoryData(cut(work.data.parts[0], shards))  # type: ignore[attr-defined]
    keeper = MemoryKeeper()
    with eagerly():
        flow = Flow(data, keeper, InProcess(1))
        outcome = inference.infer(flow, replace(work, data=data), ["train"], gpus, {})
    assert outcome.counts == {"in": 11, "kept": 10, "quarantined": 1}
    assert not outcome.notes
    return keeper.tables("predictions", "quarantine")


def test_every_image_is_predicted_or_quarantined_whatever_the_cut(work: inference.Work) -> None:
    whole = predict(work)
    ids = whole["predictions"]["image_id"].to_pylist()
    assert set(ids) == set(range(1, 12)) - {5}
    assert ids == sorted(ids)
    assert whole["quarantine"]["source_file"].to_pylist()[0].endswith("train-005.png")
    assert predict(work, shards=3) == whole


def test_pictures_that_are_decoded_elsewhere_give_the_same(work: inference.Work) -> None:
    # in memory a GPU is only a number: what it changes is which step runs
    assert predict(work, gpus=1) == predict(work)


@pytest.mark.parametrize(
    ("images", "chunks", "batch", "most", "size"),
    [
        (200, 4, 16, 256, 64),  # and not 50, which are four batches too
        (900, 4, 16, 256, 240),
        (10**6, 4, 16, 256, 256),
        (20, 32, 16, 256, 16),
        (10**6, 4, 48, 256, 240),
        (10**6, 4, 128, 64, 64),
        (7, 4, 1, 256, 2),
        (0, 4, 16, 256, 1),
    ],
)
def test_chunks_are_whole_batches(images: int, chunks: int, batch: int, most: int, size: int) -> None:
    assert inference.chunk_size(images, chunks, batch, most) == size


def test_tasks_hold_the_cpus_that_are_asked_for(work: inference.Work) -> None:
    held: list[Resources] = []

    class Holding(InProcess):
        def run(
            self, job: Job, keys: Sequence[str], resources: Resources, note: Callable[[str], None]
        ) -> Iterator[Receipt]:
            held.append(resources)
            return super().run(job, keys, resources, note)

    flow = Flow(work.data, MemoryKeeper(), Holding(1), cpus=2)
    with eagerly():
        meaning_of(flow, work, "train", {}, Stated(), 0, None)
        inference.infer(flow, work, ["train"], 0, {})
    assert set(held) == {Resources(2, 0)}


def test_what_class_ids_mean_is_told(work: inference.Work) -> None:
    flow = Flow(work.data, MemoryKeeper(), InProcess(1))
    with eagerly():
        outcome = inference.infer(flow, work, ["train"], 0, {"train": Meaning({0: 3}, notes=("so",))})
    assert outcome.notes == ["split train: so"]
    assert outcome.facts["class_ids"] == {"train": {"ids": {"0": 3}, "names": {}, "lacking": []}}


def test_too_many_unreadable_pictures_are_an_error_and_read_again(
    work: inference.Work, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "CHUNK_IMAGES", 4)
    paths = work.data.parts[0].images["path"].to_pylist()  # type: ignore[attr-defined]
    lost = [Path(path) for path in paths[5:8]]
    stage = Stage(Store(str(tmp_path)), "predict")

    def infer() -> Flow:
        flow = Flow(work.data, FileKeeper(stage, stage.begin("same")), InProcess(1))
        with eagerly():
            inference.infer(flow, work, ["train"], 0, {})
        return flow

    for path in lost:
        path.rename(path.with_suffix(".away"))
    with pytest.raises(DetrayError, match=r"4 of 11 pictures .* 3 of them missing, .*train-005\.png.*max_unreadable"):
        infer()
    for path in lost:
        path.with_suffix(".away").rename(path)
    assert len(stage.begin("same")) == 2  # of three chunks one has pictures that could not be read
    parts, _ = infer().parts()
    assert sum(part.rows for part in parts["quarantine"]) == 1
    assert pa.concat_tables(predict(work).values(), promote_options="default").num_rows == sum(
        part.rows for table in parts.values() for part in table
    )


@pytest.mark.parametrize(
    ("unreadable", "images", "most", "is_allowed"),
    [
        *((1, 80, 0.01, True), (2, 80, 0.01, False), (15, 1500, 0.01, True), (16, 1500, 0.01, False)),
        *((0, 0, 0.01, True), (1, 1, 0.01, False), (5, 5, 1, True), (0, 9, 0, True), (1, 9, 0, False)),
    ],
)
def test_how_many_pictures_may_be_unreadable(unreadable: int, images: int, most: float, is_allowed: bool) -> None:
    found = Unreadable({"missing": unreadable} if unreadable else {}, "a.png: no such file")
    with nullcontext() if is_allowed else pytest.raises(DetrayError):
        require_readable(found, images, most)


@pytest.fixture
def ray_with_a_gpu() -> Iterator[None]:
    """GPUs are logical here: Ray places what asks for one, and TensorFlow runs on the CPU."""
    import ray

    with tempfile.TemporaryDirectory(prefix="d-") as folder:  # short: Unix socket paths hold 107 bytes
        ray.init(
            address="local",
            num_cpus=3,
            num_gpus=1,
            object_store_memory=200 << 20,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _temp_dir=folder,
        )
        yield
        ray.shutdown()


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("ray_with_a_gpu")
def test_on_ray_pictures_flow_from_cpu_tasks_to_the_actors_of_gpus(work: inference.Work, tmp_path: Path) -> None:
    from detray.cluster.ray_executor import RayExecutor

    expected = predict(work)["predictions"]
    stage = Stage(Store(str(tmp_path)), "predict")
    flow = Flow(work.data, FileKeeper(stage, stage.begin("")), RayExecutor(own=True))
    inference.infer(flow, work, ["train"], 1, {})
    parts, files = flow.parts()
    stage.commit(parts, files, {}, "", ("predictions", "quarantine"))
    found = stage.store.read("predictions")
    numbers = ["x", "y", "width", "height", "score"]
    assert found.drop_columns(numbers).equals(expected.drop_columns(numbers))
    for name in numbers:  # traced, and not eagerly as above
        assert found[name].to_pylist() == pytest.approx(expected[name].to_pylist(), rel=1e-4, abs=1e-3)


@pytest.mark.ray
@pytest.mark.slow
@pytest.mark.usefixtures("ray_with_a_gpu")
def test_on_ray_ids_are_tried_out_and_views_are_detected_in(work: inference.Work, tmp_path: Path) -> None:
    from detray.cluster.ray_executor import RayExecutor

    tiled = replace(work, predict=msgspec.structs.replace(PREDICT, tiles=TilesSettings(height=64, width=64), flip=True))
    expected = predict(tiled)["predictions"]
    stage = Stage(Store(str(tmp_path)), "predict")
    flow = Flow(work.data, FileKeeper(stage, stage.begin("")), RayExecutor(own=True))
    meaning = meaning_of(flow, tiled, "train", {}, Stated(), 1, None)
    assert "does not name its classes" in meaning.notes[0]
    inference.infer(flow, tiled, ["train"], 1, {"train": meaning})
    assert sum(part.rows for part in flow.parts()[0]["predictions"]) == expected.num_rows


def test_a_sample_of_another_split_is_predicted_beside_and_not_counted(work: inference.Work) -> None:
    shard = work.data.parts[0]  # type: ignore[attr-defined]
    column = shard.images.column_names.index("split")
    own = shard.images.set_column(column, shard.images.schema.field(column), pa.array(["val"] * shard.images.num_rows))
    val = replace(shard, split="val", images=own)
    labels = work.labels | {"val": work.labels["train"]}

    def predicted(sample: Sample) -> tuple[list[int], pa.Table, Outcome]:
        data, keeper = MemoryData([*cut(shard, 3), val]), MemoryKeeper()
        with eagerly():
            given = replace(work, data=data, labels=labels, sample=sample)
            outcome = inference.infer(Flow(data, keeper, InProcess(1)), given, ["val"], 0, {})
        rows = keeper.tables("predictions", "quarantine")
        of_train = rows["predictions"].filter(pc.equal(rows["predictions"]["split"], "train"))
        return pc.unique(of_train["image_id"]).sort().to_pylist(), rows["predictions"], outcome

    ids = shard.images["image_id"].to_numpy()
    chosen = Sample("train", 0.5)
    found, rows, outcome = predicted(chosen)
    assert 0 < len(found) < 10
    assert found == sorted(set(ids[chosen.holds(ids)].tolist()) - {ids[4]})
    assert len(pc.unique(rows.filter(pc.equal(rows["split"], "val"))["image_id"])) == 10
    assert outcome.counts == {"in": 11, "kept": 10, "quarantined": 1}  # of what was asked for
    stated = outcome.facts["sample"]
    assert (stated["split"], stated["share"], stated["images"]) == ("train", 0.5, int(chosen.holds(ids).sum()))
    assert Sample.of({"facts": outcome.facts}) == chosen
    assert "not evaluated (predict.train_sample: 0 leaves them out)" in outcome.notes[-1]


def test_a_sample_has_as_many_images_as_what_is_evaluated(work: inference.Work) -> None:
    shard = work.data.parts[0]  # type: ignore[attr-defined]
    data = MemoryData([shard, replace(shard, split="val")])
    assert inference.sample_of(data, ["val"], "train", 1.0) == Sample("train", 1.0)
    assert inference.sample_of(data, ["val"], "train", 0.0) is None
    assert inference.sample_of(data, ["val", "train"], "train", 1.0) is None
    assert inference.sample_of(data, ["val"], "test", 1.0) is None
    ids = np.arange(100_000)
    assert abs(Sample("train", 0.01).holds(ids).sum() - 1000) < 150
