"""Counter-tests that run the detector again: what its settings or the pictures cost is confirmed, other losses not."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from colours import INPUT, Colours
from drawn import boxes, categories, ingest
from msgspec.structs import replace
from outputs import run_stage
from PIL import Image

from detray import schema
from detray.detectors import catalogue
from detray.detectors.detector import Detections, DetectorKind
from detray.detectors.settings import DetectorSettings, PredictSettings
from detray.diagnose.counter_tests.catalogue import OF_MODEL
from detray.diagnose.counter_tests.counter_test import Claim
from detray.diagnose.counter_tests.model_test import Before, Light, Padded, Relit
from detray.diagnose.counter_tests.outcome import CONFIRMED, NOT_CONFIRMED, UNDECIDED, CounterTested
from detray.diagnose.mapping.repairs import MappingFaults
from detray.diagnose.rerun import MOST_RUNS, Rerunning
from detray.diagnose.settings import DiagnoseSettings
from detray.diagnose.steps.again import chosen_images
from detray.diagnose.steps.sources import DetectionSource
from detray.diagnose.steps.work import Work
from detray.flow.executor import InProcess
from detray.flow.flow import Flow
from detray.flow.keeper import MemoryKeeper
from detray.flow.outcome import Silent
from detray.formats.settings import DatasetSettings, SplitSettings
from detray.store import Store
from detray.tables import Shard
from detray.verbs import diagnose, predict
from detray.verbs.base import Context
from detray.verbs.config import Config

RED, GREEN, BLUE = 3, 7, (30, 30, 220)
COLOUR = {RED: (220, 30, 30), GREEN: (30, 220, 30)}
NAMES = {RED: "red", GREEN: "green"}


@dataclass
class Obedient(Colours):
    """A detector with the settings' cuts, which does not see what fills more than ``widest`` px of its input."""

    predict: PredictSettings = field(default_factory=PredictSettings)
    widest: float = 40.0

    def detect(self, pictures):
        found = super().detect(pictures)
        scale = np.array([pictures[k].width / 64 for k in found.image.tolist()])
        keep = (found.scores >= self.predict.score_threshold) & (found.boxes[:, 2] <= self.widest * scale)
        best: dict[int, int] = {}
        for row in np.flatnonzero(keep).tolist():
            image = int(found.image[row])
            best[image] = best.get(image, 0) + 1
            keep[row] = best[image] <= self.predict.max_detections
        columns = (found.image, found.category_id, found.boxes, found.scores, found.rank)
        return Detections(*(column[keep] for column in columns))


class Noted(Silent):
    """Keeps the lines for the person who waits."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(autouse=True)
def kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only kind of detector there is."""
    one = DetectorKind(
        name="saved_model",
        marker="saved_model.pb",
        load=lambda detector, path, predict, *, trust_model: Obedient(predict=predict),
        read_classes=lambda detector, path: {0: "red", 1: "green"},
        read_prepare=lambda detector, path: INPUT,
    )
    monkeypatch.setattr(catalogue, "DETECTORS", (one,))


@dataclass(frozen=True)
class Pictures:
    """How pictures are drawn: their side, the objects' sides in px, what green objects look like, and how dark."""

    side: int = 128
    least: int = 28
    most: int = 44
    green: tuple[int, int, int] = COLOUR[GREEN]
    light: float = 1.0


def _draw(folder: Path, split: str, drawn: Pictures, count: int = 8) -> Shard:
    random = np.random.default_rng(0)
    folder.mkdir(parents=True)
    images, annotations = [], []
    for image in range(1, count + 1):
        pixels = np.full((drawn.side, drawn.side, 3), 128, np.uint8)
        for place, category in enumerate(NAMES):
            wide = int(random.integers(drawn.least, drawn.most))
            x, y = (drawn.side - wide) * place, int(random.integers(0, drawn.side - wide))
            pixels[y : y + wide, x : x + wide] = COLOUR[RED] if category == RED else drawn.green
            annotations.append((image, category, x, y, wide, wide))
        path = folder / f"{image}.png"
        Image.fromarray((pixels * drawn.light).astype(np.uint8)).save(path)
        size = {"width": drawn.side, "height": drawn.side, "image_row": image}
        images.append({"split": split, "image_id": image, "file_name": path.name, "path": str(path)} | size)
    return Shard(split, schema.from_rows("images", images, run="t"), boxes(annotations, split), categories(split))


def _config(store: Store, settings: PredictSettings, diagnose: DiagnoseSettings | None = None) -> Config:
    root = Path(store.root).parent
    splits = {split: SplitSettings(images=split) for split in ("train", "val")}
    return Config(
        dataset=DatasetSettings(root=str(root), splits=splits),
        detector=DetectorSettings(kind="saved_model", path=str(root / "model")),
        predict=replace(settings, train_sample=0.0),
        diagnose=diagnose or DiagnoseSettings(confirm=True, classes=("green",)),
    )


def _predicted(folder: Path, settings: PredictSettings, val: Pictures) -> Context:
    store = Store(str(folder / "out"))
    ingest(store, [_draw(folder / "train", "train", Pictures()), _draw(folder / "val", "val", val)])
    context = Context(_config(store, settings), store, InProcess(1))
    run_stage(predict.STAGE, context)
    return context


def _again(context: Context, *claims: Claim, n: int = 64, split: str = "val") -> dict[str, CounterTested]:
    store = context.store
    settings = DiagnoseSettings(confirm=True, confirm_images=n)
    work = Work(store, "t", "m", settings, split, NAMES, (GREEN,), {})
    model = diagnose.model_at_hand(context, store, "model")
    keys, source = tuple(store.shards([split])), DetectionSource(store, split)
    flow = Flow(store, MemoryKeeper(), InProcess(1))
    rerun = Rerunning(flow, work, "s", keys, source, MappingFaults(), model, "train")
    return {cause: found for (_, cause), found in rerun.run(claims).items()}


USUAL = PredictSettings(batch_size=4)
CASES = {
    "score_threshold": (replace(USUAL, score_threshold=0.8), Pictures()),
    "max_detections": (replace(USUAL, max_detections=1), Pictures()),
    "small_objects": (USUAL, Pictures(512, 30, 36)),
    "large_objects": (USUAL, Pictures(128, 84, 100)),
    "train_eval_shift": (USUAL, Pictures(light=0.4)),
    "overfit": (USUAL, Pictures(light=0.4)),
}
"""What is set or drawn, by cause. Where green objects look blue, no setting finds them."""


@pytest.mark.parametrize("test", OF_MODEL, ids=lambda test: test.cause)
def test_what_a_setting_or_the_pictures_cost_is_confirmed(test, tmp_path: Path) -> None:
    settings, planted = CASES[test.cause]
    alike = dataclasses.replace(planted, green=BLUE)
    claim = Claim(GREEN, test.cause, 0.3, {"cap": settings.max_detections})
    rises, stays = NOT_CONFIRMED if test.refutes else CONFIRMED, NOT_CONFIRMED if test.denies else UNDECIDED
    for name, drawn, verdict in (("planted", planted, rises), ("alike", alike, stays)):
        found = _again(_predicted(tmp_path / name, settings, drawn), claim)[test.cause]
        assert found.verdict(0.3) == verdict, found
        assert found.done.endswith("on 8 pictures")


@pytest.mark.parametrize("cut", [{"score_threshold": 0.8}, {"max_detections": 1}])
def test_what_a_setting_cuts_is_measured_without_being_asked_for(cut: dict[str, float], tmp_path: Path) -> None:
    context = _predicted(tmp_path, replace(USUAL, **cut), Pictures())
    context.config = replace(context.config, diagnose=DiagnoseSettings(classes=("green",)))
    run_stage(diagnose.STAGE, context)
    rows = [row for row in context.store.read("diagnoses").to_pylist() if row["category_id"] == GREEN]
    (row,) = [row for row in rows if row["cause"] == {"score_threshold": "score_threshold"}.get(*cut, "max_detections")]
    assert (row["rank"], row["counter_test"], row["d_ap_is_ceiling"]) == (1, CONFIRMED, False)
    assert row["ap"] + row["d_ap"] == pytest.approx(row["counter_test_ap"])
    others = [row for row in rows if row["cause"] not in ("score_threshold", "max_detections")]
    assert all(row["counter_test"] is None and "Not tested" not in row["sentence"] for row in others)


def test_where_no_setting_cuts_the_detector_is_not_run_again(tmp_path: Path) -> None:
    context = _predicted(tmp_path, USUAL, Pictures(512, 30, 36))
    context.config = replace(context.config, diagnose=DiagnoseSettings(classes=("green",)))
    context.progress = noted = Noted()
    run_stage(diagnose.STAGE, context)
    assert not [line for line in noted.lines if "the detector runs" in line]
    assert context.store.read("diagnoses")["counter_test"].null_count == context.store.read("diagnoses").num_rows > 0


def test_a_setting_that_costs_nothing_is_told_last(tmp_path: Path) -> None:
    context = _predicted(tmp_path, replace(USUAL, score_threshold=0.5), Pictures(green=BLUE))
    context.config = replace(context.config, diagnose=DiagnoseSettings(classes=("green",)))
    run_stage(diagnose.STAGE, context)
    rows = [row for row in context.store.read("diagnoses").to_pylist() if row["category_id"] == GREEN]
    last = max(rows, key=lambda row: row["rank"])
    assert (last["cause"], last["counter_test"], last["d_ap"]) == ("score_threshold", NOT_CONFIRMED, 0)
    assert "predict.score_threshold leaves out what scores 0.5 or less" in last["sentence"]


def test_what_cannot_be_run_says_why(tmp_path: Path) -> None:
    context = _predicted(tmp_path, USUAL, Pictures())
    claims = [Claim(GREEN, test.cause, 0.3, {"cap": 7}) for test in OF_MODEL]
    found = {cause: tested.untested for cause, tested in _again(context, *claims).items()}
    assert "low already" in found["score_threshold"]
    assert "the model itself cuts" in found["max_detections"]
    assert "as bright" in found["train_eval_shift"]
    assert not found["large_objects"]
    context.config = replace(context.config, dataset=DatasetSettings(splits={"val": SplitSettings()}))
    assert {tested.untested for tested in _again(context, *claims).values()} == {"needs pictures"}
    small = Before(USUAL, "green", 40, 40)
    assert "too small" in str(next(t for t in OF_MODEL if t.cause == "small_objects").again(claims[0], small))


def test_the_sample_is_bounded_and_half_of_the_class() -> None:
    ids = np.arange(100)
    chosen = chosen_images(ids, np.array([3, 5, 7, 7, 250]), np.array([1, 1, 2, 2, 1]), (1, 2), 10)
    assert len(chosen) == 10
    assert {3, 5, 7} <= set(chosen.tolist()) <= set(ids.tolist())
    assert np.array_equal(chosen, chosen_images(ids[::-1], np.array([7, 5, 3]), np.array([2, 1, 1]), (1, 2), 10))
    assert len(chosen_images(ids[:4], ids[:4], ids[:4] * 0, (0,), 10)) == 4


def test_pictures_are_changed_without_moving_a_box() -> None:
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    padded = Padded(2)(picture)
    assert padded.shape == (8, 8, 3)
    assert np.array_equal(padded[:4, :4], picture)
    relit = Relit(Light(20.0, 10.0), Light(120.0, 20.0))(picture)
    assert relit[0, 0, 0] == 80
    assert np.array_equal(np.diff(relit[0, 0].astype(int)), [2, 2])


def test_as_many_runs_as_can_regain_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert MOST_RUNS >= 2
    monkeypatch.setattr("detray.diagnose.rerun.MOST_RUNS", 1)
    context = _predicted(tmp_path, replace(USUAL, score_threshold=0.8, max_detections=1), Pictures())
    found = _again(context, Claim(GREEN, "score_threshold", 0.2), Claim(GREEN, "max_detections", 0.3, {"cap": 1}), n=3)
    assert found["max_detections"].done.endswith("on 3 pictures")
    assert found["score_threshold"].untested == "1 other runs of the detector can regain more"


def test_the_stage_runs_the_detector_again(tmp_path: Path) -> None:
    context = _predicted(tmp_path, USUAL, Pictures(512, 30, 36))
    context.progress = noted = Noted()
    run_stage(diagnose.STAGE, context)
    rows = [row for row in context.store.read("diagnoses").to_pylist() if row["category_id"] == GREEN]
    assert all("onfirmed: AP" in row["sentence"] or "Not tested: " in row["sentence"] for row in rows[:3])
    told = [line for line in noted.lines if "the detector runs" in line]
    assert bool(told) == any("pictures)" in row["sentence"] for row in rows)
