import warnings
from concurrent.futures import ThreadPoolExecutor

import msgspec
import numpy as np
import pytest

from detray.detectors.augmentation import augment
from detray.detectors.augmentation.augment import Augmentation, Scene
from detray.detectors.augmentation.copy_paste import Cutting, cut, paste
from detray.detectors.augmentation.mosaic import mosaic
from detray.detectors.augmentation.settings import AugmentationSettings, loses_boxes, written_out
from detray.errors import DetrayError, UsageError
from detray.settings import convert

MAPPINGS = {
    name: convert({name: {"p": 1.0} | strength}, AugmentationSettings, "test")
    for name, strength in {
        "flip": {"p": 0.5, "direction": "both"},
        "rotate": {"degrees": 20},
        "shift": {"amount": 0.3},
        "scale": {"least": 0.5, "most": 2},
        "shear": {"degrees": 10},
        "zoom": {"most": 2},
        "crop": {},
        "brightness": {"amount": 0.2},
        "contrast": {"amount": 0.2},
        "saturation": {"amount": 0.9},
        "hue": {"amount": 0.1},
        "blur": {"sigma": 1},
        "noise": {"amount": 0.02},
    }.items()
}
POLICIES = {"default": "default", "strong": "strong"} | MAPPINGS


def _scene():
    """A white block on black, and its box."""
    image = np.zeros((64, 96, 3), np.uint8)
    image[20:40, 30:70] = 255
    return Scene(image, np.array([[30, 20, 70, 40]], np.float32), np.array([5], np.int32))


@pytest.fixture(scope="module", params=POLICIES)
def policy(request):
    return Augmentation(POLICIES[request.param])


@pytest.mark.parametrize("name", [name for name, chosen in POLICIES.items() if not loses_boxes(chosen)])
def test_boxes_that_cannot_be_lost_need_no_look_after_each_change(name, monkeypatch):
    scene = Scene(
        _scene().pixels, np.array([[30, 20, 70, 40], [0, 0, 96, 9.3]], np.float32), np.array([5, 6], np.int32)
    )
    spared = [Augmentation(POLICIES[name])(*scene, (0, seed)) for seed in range(20)]
    monkeypatch.setattr(augment, "loses_boxes", lambda chosen: True)
    looked = [Augmentation(POLICIES[name])(*scene, (0, seed)) for seed in range(20)]
    for ours, theirs in zip(spared, looked, strict=True):
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_box_goes_with_the_pixels(policy, request):
    name = request.node.callspec.params["policy"]
    for seed in range(30):
        image, boxes, labels = policy(*_scene(), seed=(0, seed))
        assert image.shape == (64, 96, 3)
        if not len(labels):
            continue
        bright = np.argwhere(image.min(axis=2) > 0.85 * image.max())  # the filled border is darker
        (top, left), (bottom, right) = bright.min(axis=0), bright.max(axis=0) + 1
        # a turned box is that of the ellipse in it, a little inside the turned corners
        np.testing.assert_allclose(boxes[0], [left, top, right, bottom], atol=8 if name == "rotate" else 2)
        assert labels.tolist() == [5]


def test_equal_seeds_give_equal_pictures_on_any_thread(policy):
    with ThreadPoolExecutor(2) as pool:
        first, again = (list(pool.map(lambda n: policy(*_scene(), (1, 2, n))[0].tobytes(), range(8))) for _ in "ab")
    assert first == again
    assert first == [policy(*_scene(), seed=(1, 2, n))[0].tobytes() for n in range(8)]


@pytest.mark.parametrize("name", POLICIES)
def test_pictures_differ(name):
    coloured = _scene()
    coloured.pixels[20:40, 30:70] = (180, 60, 30)
    pictures = {Augmentation(POLICIES[name])(*coloured, (1, 2, n))[0].tobytes() for n in range(20)}
    assert len(pictures) > (3 if name == "flip" else 8)


def test_the_input_is_left_as_it_was(policy):
    image, boxes, labels = _scene()
    policy(image, boxes, labels, (0, 1))
    for now, before in zip((image, boxes, labels), _scene(), strict=True):
        np.testing.assert_array_equal(now, before)


def test_a_picture_without_boxes(policy):
    _, boxes, labels = policy(_scene()[0], np.zeros((0, 4), np.float32), np.zeros(0, np.int32), (0,))
    assert boxes.shape == (0, 4)
    assert labels.shape == (0,)


@pytest.mark.parametrize("name", POLICIES)
def test_boxes_leave_the_picture_where_it_is_said_that_they_may(name):
    corner = np.array([[88, 0, 96, 8]], np.float32)
    label = np.zeros(1, np.int32)
    change = Augmentation(POLICIES[name])
    kept = sum(len(change(_scene()[0], corner, label, (seed,))[1]) for seed in range(40))
    assert kept == 40 or loses_boxes(POLICIES[name])
    if name in ("strong", "shift", "rotate"):
        assert kept < 40


def test_a_change_has_the_probability_that_is_set():
    for p, low, high in ((0.0, 0, 0), (0.3, 30, 90), (1.0, 200, 200)):
        change = Augmentation(convert({"flip": {"p": p}}, AugmentationSettings, "test"))
        moved = sum(change(*_scene(), (n,))[1][0, 0] != 30 for n in range(200))
        assert low <= moved <= high


def test_changes_are_drawn_for_themselves():
    change = Augmentation(convert({"flip": {"direction": "both"}}, AugmentationSettings, "test"))
    places = {tuple(change(*_scene(), (n,))[1][0, :2]) for n in range(40)}
    assert len(places) == 4  # of two flips all four outcomes


def test_a_mixture_is_written_out_with_its_own_changes():
    assert written_out("none") == AugmentationSettings()
    assert not loses_boxes("default")
    assert loses_boxes("strong")
    for name in ("default", "strong"):
        assert loses_boxes(written_out(name)) == loses_boxes(name)
    own = AugmentationSettings()
    assert written_out(own) is own
    assert not loses_boxes(own)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"flop": {}}, "did you mean 'flip'"),
        ({"flip": {"q": 1}}, "train.augmentation.flip.q"),
        ({"rotate": {"degrees": 200}}, "<= 180"),
        ({"crop": {"cut": 1}}, "< 1"),
    ],
)
def test_what_is_out_of_range_is_refused(values, words):
    with pytest.raises(UsageError, match=words.replace(".", r"\.")):
        convert(values, AugmentationSettings, "test", "train.augmentation")


def test_an_unknown_argument_is_an_error(monkeypatch):
    monkeypatch.setattr(augment, "transforms", lambda library, *given: [library.HorizontalFlip(probability=0.5)])
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        with pytest.raises(DetrayError, match="probability"):
            Augmentation("default")


def test_another_release_is_refused(monkeypatch):
    import albumentations

    monkeypatch.setattr(albumentations, "__version__", "2.0.9")
    with pytest.raises(DetrayError, match=r"pip install albumentations==2\.0\.8"):
        Augmentation("default")


def _blocks(colour, label):
    """A block of a colour in the middle of black."""
    image = np.zeros((64, 96, 3), np.uint8)
    image[24:40, 36:60] = colour
    return Scene(image, np.array([[36, 24, 60, 40]], np.float32), np.array([label], np.int32))


@pytest.mark.parametrize("cell", [0.5, 0.7, 1.0])
def test_a_mosaic_holds_four_pictures_and_their_boxes(cell):
    scenes = [
        _blocks(colour, label) for label, colour in enumerate([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255,) * 3])
    ]
    seen = []
    for seed in range(10):
        image, boxes, labels = mosaic(scenes, cell, np.random.default_rng(seed))
        assert image.shape == (64, 96, 3)
        seen.append(len(labels))
        for box, label in zip(boxes, labels, strict=True):
            left, top, right, bottom = np.rint(box).astype(int)
            inside = image[top + 1 : bottom - 1, left + 1 : right - 1]
            assert (
                not inside.size
                or (np.abs(inside.astype(int) - scenes[label].pixels[32, 48].astype(int)) < 60).mean() > 0.8
            )
    assert min(seen) == 4 or cell > 0.5
    assert max(seen) == 4 or cell == 1  # whose window shows a quarter of each
    assert max(seen) > 1
    again = mosaic(scenes, cell, np.random.default_rng(9))
    np.testing.assert_array_equal(again.pixels, image)


def test_an_object_is_set_in_along_its_outline():
    donor = _blocks((255, 0, 0), 7)
    outline = np.zeros((32, 48), bool)
    outline[:, :24] = True  # twice the resolution, its left half
    cutting = cut(donor.pixels, donor.boxes[0], 7, outline)
    assert cutting.mask.shape == (16, 24)
    assert cutting.mask[:, :12].all()
    assert not cutting.mask[:, 12:].any()
    before = _scene()
    found = paste(before, [cutting], np.random.default_rng(0))
    np.testing.assert_array_equal(before.pixels, _scene().pixels)
    assert found.labels.tolist() == [5, 7]
    left, top, right, bottom = found.boxes[1].astype(int)
    assert (found.pixels[top:bottom, left : left + 12] == (255, 0, 0)).all()
    np.testing.assert_array_equal(
        found.pixels[top:bottom, left + 12 : right], before.pixels[top:bottom, left + 12 : right]
    )


def test_what_is_covered_is_no_box_any_more():
    cutting = Cutting(np.zeros((64, 96, 3), np.uint8), np.ones((64, 96), bool), 1)  # as large as the picture
    found = paste(_scene(), [cutting], np.random.default_rng(0))
    assert found.labels.tolist() == [1]
    crowd = paste(_scene()._replace(labels=np.array([-1], np.int32)), [cutting], np.random.default_rng(0))
    assert crowd.labels.tolist() == [-1, 1]


def test_what_has_no_pixel_is_not_cut():
    assert cut(_scene().pixels, np.array([5, 5, 5, 5], np.float32), 0, None) is None
    assert cut(_scene().pixels, np.array([5, 5, 9, 9], np.float32), 0, np.zeros((3, 3), bool)) is None


def test_settings_survive_the_way_to_a_file():
    for settings in MAPPINGS.values():
        assert msgspec.json.decode(msgspec.json.encode(settings), type=AugmentationSettings) == settings
