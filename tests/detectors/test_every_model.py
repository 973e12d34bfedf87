"""What every kind of detector must hold to, and that the pictures it is given are what a person sees."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import numpy as np
import pytest
from models import MODELS, PREDICT, Model
from msgspec.structs import replace
from PIL import Image

from detray.detectors.catalogue import DETECTORS, detector_kind, is_trainable, recognise, require_trainable
from detray.detectors.detector import Detections, Detector, DetectorKind, Prepared
from detray.detectors.settings import DetectorSettings, TilesSettings
from detray.detectors.viewed import as_it_is, wrapped
from detray.errors import DetrayError, UsageError
from detray.pictures import read_picture

SIZES = ((50, 80), (64, 96), (200, 300), (17, 9), (640, 31), (1, 1))
"""Height and width of pictures smaller than the input, as large, larger, and out of shape."""
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0)}


@dataclass(frozen=True)
class Made:
    """A model that is written, and loaded."""

    model: Model
    settings: DetectorSettings
    kind: DetectorKind
    detector: Detector

    @property
    def path(self) -> str:
        assert self.settings.path is not None
        return self.settings.path


@pytest.fixture(scope="module", params=MODELS, ids=lambda model: model.name)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    model = request.param
    settings = model.made(tmp_path_factory.mktemp("model"))
    kind = detector_kind(settings)
    return Made(model, settings, kind, kind.load(settings, settings.path, PREDICT, trust_model=False))


def test_it_is_recognised_by_what_it_is(made: Made) -> None:
    assert recognise(made.path) == (made.kind, made.path)


def test_what_is_no_model_is_not_recognised(tmp_path: Path) -> None:
    (tmp_path / "detections.json").write_text("[]")
    (tmp_path / "folder.tflite").mkdir()
    for name in ("", "detections.json", "folder.tflite", "absent.keras"):
        assert recognise(str(tmp_path / name)) is None


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """Noise, with something red in the middle."""
    random = np.random.default_rng(0)
    found = [random.integers(0, 90, (*size, 3), np.uint8) for size in SIZES]
    for pixels in found:
        height, width = pixels.shape[:2]
        pixels[height // 4 : height // 4 + max(1, height // 2), width // 4 : width // 4 + max(1, width // 2)] = (
            255,
            0,
            0,
        )
    return found


def _of(found: Detections, image: int) -> list[np.ndarray]:
    mine = found.image == image
    return [found.category_id[mine], found.boxes[mine], found.scores[mine], found.rank[mine]]


def test_a_picture_gets_the_same_alone_and_in_any_batch(made: Made, pictures: list[np.ndarray]) -> None:
    detector = made.detector
    prepared = [detector.prepare(picture) for picture in pictures]
    alone = [_of(detector.detect([one]), 0) for one in prepared]
    assert all(len(columns[0]) for columns in alone)
    random = np.random.default_rng(1)
    for size in (1, 2, 4, 5, 9, 17):
        order = random.integers(0, len(pictures), size)
        together = detector.detect([prepared[number] for number in order])
        for place, number in enumerate(order):
            for ours, expected in zip(_of(together, place), alone[number], strict=True):
                np.testing.assert_array_equal(ours, expected)
    assert len(detector.detect([]).scores) == 0


def test_boxes_lie_in_the_pixels_of_their_own_picture(made: Made, pictures: list[np.ndarray]) -> None:
    detector = made.detector
    found = detector.detect([detector.prepare(picture) for picture in pictures])
    assert found.boxes.dtype == np.float64
    for image, (height, width) in enumerate(SIZES):
        _, boxes, scores, rank = _of(found, image)
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, :2] + boxes[:, 2:] <= np.array([width, height]) * (1 + 1e-6)).all()
        assert boxes[:, 2].max() > width / 4  # in pixels, neither shares nor pixels of the input
        assert (np.diff(scores) <= 0).all()
        assert rank.tolist() == list(range(1, len(rank) + 1))


@pytest.mark.parametrize("size", SIZES[:4], ids=str)
def test_what_is_red_and_green_is_found_where_it_is(made: Made, size: tuple[int, int]) -> None:
    if not made.model.finds:
        pytest.skip("a model that finds nothing")
    height, width = size
    places = {"red": (0.1, 0.2, 0.4, 0.6), "green": (0.6, 0.3, 0.9, 0.9)}  # left, top, right, bottom
    pixels = np.zeros((height, width, 3), np.uint8)
    for colour, (left, top, right, bottom) in places.items():
        rows, columns = (
            slice(round(top * height), round(bottom * height)),
            slice(round(left * width), round(right * width)),
        )
        pixels[rows, columns] = COLOURS[colour]
    detector = made.detector
    found = detector.detect([detector.prepare(pixels)])
    assert sorted(found.category_id.tolist()) == sorted(made.model.finds.values())
    for colour, category_id in made.model.finds.items():
        left, top, right, bottom = places[colour]
        box = found.boxes[found.category_id == category_id][0]
        edges = np.round([left * width, top * height, right * width, bottom * height])
        slack = 1.0 + max(width, height) / 48  # of an input that is resized a pixel is several
        np.testing.assert_allclose([*box[:2], *(box[:2] + box[2:])], edges, atol=slack)


def test_any_model_may_be_given_tiles_and_mirrored_pictures(made: Made) -> None:
    if "red" not in made.model.finds:
        pytest.skip("a model that finds nothing")
    pixels = np.zeros((150, 220, 3), np.uint8)
    pixels[80:112, 130:170] = COLOURS["red"]
    predict = replace(PREDICT, tiles=TilesSettings(height=100, width=120, overlap=0.4), flip=True, max_detections=20)
    found = wrapped(made.detector, predict).detect([as_it_is(pixels)] * 2)
    assert found.image.tolist() == sorted(found.image.tolist())
    for image in (0, 1):
        category_id, boxes, scores, _ = _of(found, image)
        best = boxes[(category_id == made.model.finds["red"]) & (scores > 0.6)]
        assert len(best) == 1
        np.testing.assert_allclose([*best[0][:2], *(best[0][:2] + best[0][2:])], [130, 80, 170, 112], atol=5)


def test_classes_and_preparation_are_read_without_loading(made: Made, pictures: list[np.ndarray]) -> None:
    kind, detector = made.kind, made.detector
    assert kind.read_classes(made.settings, made.path) == dict(detector.classes) == made.model.classes
    prepare = kind.read_prepare(made.settings, made.path)
    for picture in pictures:
        before = picture.copy()
        ours, own = prepare(picture), detector.prepare(picture)
        assert (ours.width, ours.height) == (own.width, own.height) == picture.shape[1::-1]
        assert ours.pixels.dtype == np.uint8
        np.testing.assert_array_equal(ours.pixels, own.pixels)
        np.testing.assert_array_equal(picture, before)


@pytest.mark.parametrize("kind", DETECTORS, ids=lambda kind: kind.name)
def test_a_folder_without_a_model_is_refused(kind: DetectorKind, tmp_path: Path) -> None:
    settings = msgspec.convert({"kind": kind.name, "path": str(tmp_path)}, DetectorSettings)
    attempts: list[Callable[[], Any]] = [
        lambda: kind.load(settings, str(tmp_path), PREDICT, trust_model=True),
        lambda: kind.read_classes(settings, str(tmp_path)),
        lambda: kind.read_prepare(settings, str(tmp_path)),
    ]
    for attempt in attempts:
        with pytest.raises(DetrayError, match=str(tmp_path)):
            attempt()


def test_every_configurable_kind_is_in_the_catalogue() -> None:
    stated = get_args(get_args(get_type_hints(DetectorSettings, include_extras=True)["kind"])[0])
    sources = [name for name in stated if DetectorSettings(kind=name).is_precomputed]
    assert sources == ["predictions"]
    assert sorted(stated) == sorted([*sources, *(kind.name for kind in DETECTORS)])
    assert {model.settings.kind for model in MODELS} == {kind.name for kind in DETECTORS}
    for kind in DETECTORS:
        settings = msgspec.convert({"kind": kind.name}, DetectorSettings)
        assert detector_kind(settings) is kind
        assert is_trainable(settings) == kind.is_trainable


def test_what_cannot_be_trained_is_refused() -> None:
    require_trainable(DetectorSettings(), "tuning")
    with pytest.raises(UsageError, match=r"kind is predictions, which detray cannot train; tuning needs .* retinanet"):
        require_trainable(DetectorSettings(kind="predictions"), "tuning")


def test_a_kind_may_bound_its_batches(made: Made) -> None:
    kind = made.kind
    single = DetectorKind("single", ".single", kind.load, kind.read_classes, kind.read_prepare, largest_batch=1)
    assert single.batch_size(16) == 1


@pytest.mark.parametrize(
    ("mode", "name", "options"),
    [
        ("L", "grey.png", {}),
        ("1", "bits.png", {}),
        ("RGBA", "alpha.png", {}),
        ("P", "palette.png", {}),
        ("I;16", "deep.png", {}),
        ("CMYK", "inks.jpg", {}),
        ("RGB", "turned.jpg", {"orientation": 6}),
    ],
)
def test_pictures_of_all_kinds_arrive_as_rgb(
    made: Made, tmp_path: Path, mode: str, name: str, options: dict[str, int]
) -> None:
    """Dark on the left and bright on the right as displayed; as stored, the turned one has dark below."""
    luma = np.repeat(np.linspace(20, 230, 60).astype(np.uint8)[None], 40, axis=0)
    image = Image.fromarray(np.repeat(luma[:, :, None], 3, axis=2))
    exif = Image.Exif()
    if "orientation" in options:
        exif[0x0112] = options["orientation"]
        image = image.transpose(Image.Transpose.ROTATE_90)
    if mode == "I;16":
        Image.fromarray(luma.astype(np.uint16) * 257).save(tmp_path / name)
    else:
        image.convert(mode).save(tmp_path / name, exif=exif, quality=95)
    picture = read_picture(str(tmp_path / name))
    assert (picture.shape, picture.dtype) == ((40, 60, 3), np.uint8)
    assert picture[:, -10:].mean() > picture[:, :10].mean() + 100
    detector = made.detector
    prepared = detector.prepare(picture)
    assert isinstance(prepared, Prepared)
    found = detector.detect([prepared])
    assert (found.boxes[:, :2] + found.boxes[:, 2:] <= (60.001, 40.001)).all()
