"""What a model sees follows from its resizer, its levels and its anchors as in the API."""

import numpy as np
import pytest

from detray.pipeline.geometry import Resize, anchors_of, finest_stride, resize_of
from detray.pipeline.model import CenterNet, FasterRcnn, Ssd
from detray.pipeline.read import parse_pipeline
from detray.pipeline.schedule import Base, base_of, cosine_share, schedule_of


def _architecture(text: str) -> Ssd | FasterRcnn | CenterNet:
    found = parse_pipeline(f"model {{ {text} }}", "p").architecture
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("resizer", "size", "expected"),
    [
        ("fixed_shape_resizer { height: 320 width: 640 }", (640, 480), (1.0, 2 / 3)),
        ("keep_aspect_ratio_resizer { min_dimension: 600 max_dimension: 1024 }", (640, 480), (1.25, 1.25)),
        ("keep_aspect_ratio_resizer { min_dimension: 600 max_dimension: 1024 }", (2048, 480), (0.5, 0.5)),
        ("keep_aspect_ratio_resizer { min_dimension: 512 max_dimension: 512 }", (480, 640), (0.8, 0.8)),
        ("conditional_shape_resizer { condition: GREATER size_threshold: 320 }", (640, 480), (0.5, 0.5)),
        ("conditional_shape_resizer { condition: GREATER size_threshold: 320 }", (64, 48), (1.0, 1.0)),
        ("conditional_shape_resizer { condition: SMALLER size_threshold: 960 }", (640, 480), (2.0, 2.0)),
        ("identity_resizer { }", (640, 480), (1.0, 1.0)),
        ("pad_to_multiple_resizer { multiple: 32 }", (640, 480), (1.0, 1.0)),
    ],
)
def test_resizers(resizer: str, size: tuple[int, int], expected: tuple[float, float]) -> None:
    resize = resize_of(_architecture(f"ssd {{ image_resizer {{ {resizer} }} }}").image_resizer)
    assert resize is not None
    factors = resize.factors(np.array([float(size[0])]), np.array([float(size[1])]))
    np.testing.assert_allclose([one[0] for one in factors], expected)


def test_resizers_that_say_nothing() -> None:
    for text in ("", "fixed_shape_resizer { height: 0 width: 0 }"):
        assert resize_of(_architecture(f"ssd {{ image_resizer {{ {text} }} }}").image_resizer) is None
    assert str(Resize("stretch", 640, 320).scaled(1.5)) == "960 x 480"


def test_anchors_of_a_pyramid() -> None:
    text = "ssd { anchor_generator { multiscale_anchor_generator { aspect_ratios: [1.0, 2.0] scales_per_octave: 3 } } }"
    found = anchors_of(_architecture(text), Resize("none"))
    assert len(found) == 5 * 3 * 2
    np.testing.assert_allclose(found[0], [32, 32])
    np.testing.assert_allclose(found[1], [32 * 2**0.5, 32 / 2**0.5])
    np.testing.assert_allclose(found[-2], [512 * 2 ** (2 / 3)] * 2)


def test_anchors_of_ssd_are_shares_of_the_shorter_side() -> None:
    text = "ssd { anchor_generator { ssd_anchor_generator { num_layers: 2 min_scale: 0.2 max_scale: 0.8"
    found = anchors_of(_architecture(text + " aspect_ratios: [1.0, 4.0] } } }"), Resize("stretch", 600, 300))
    expected = [
        *([30, 30], [60 * 2**0.5, 60 / 2**0.5], [60 / 2**0.5, 60 * 2**0.5]),
        *([240, 240], [480, 120], [300 * 0.8**0.5] * 2),
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def _with_anchors(generator: str, section: str = "ssd { anchor_generator") -> Ssd | FasterRcnn | CenterNet:
    return _architecture(f"{section} {{ {generator} }} }}")


def test_anchors_of_grids() -> None:
    grid = "grid_anchor_generator { scales: 0.5 aspect_ratios: [1.0, 4.0] }"
    stated = _with_anchors(grid, "faster_rcnn { first_stage_anchor_generator")
    np.testing.assert_allclose(anchors_of(stated, Resize("none")), [[128, 128], [256, 64]])
    flexible = "flexible_grid_anchor_generator { anchor_grid { base_sizes: [8, 16] aspect_ratios: [1, 4, 7] } }"
    np.testing.assert_allclose(anchors_of(_with_anchors(flexible), Resize("none")), [[8, 8], [32, 8]])
    assert anchors_of(_architecture("center_net { }"), Resize("none")).shape == (0, 2)


@pytest.mark.parametrize(
    "generator",
    [
        "multiscale_anchor_generator { max_level: 2000000000 min_level: -5 aspect_ratios: [0, -1, nan, inf, 1] }",
        "multiscale_anchor_generator { scales_per_octave: 0 aspect_ratios: 1 anchor_scale: inf }",
        "ssd_anchor_generator { num_layers: 2000000000 aspect_ratios: 1 max_scale: nan }",
        f"grid_anchor_generator {{ scales: [{'1, ' * 9999} 1] aspect_ratios: [{'1, ' * 9999} 1] }}",
    ],
)
def test_hostile_numbers_make_few_anchors_that_are_finite(generator: str) -> None:
    found = anchors_of(_with_anchors(generator), Resize("stretch", 300, 300))
    assert len(found) <= 64**2
    assert np.isfinite(found).all()


@pytest.mark.parametrize(
    ("text", "stride"),
    [
        ("ssd { }", 16),
        ("ssd { feature_extractor { fpn { min_level: 2 } } }", 4),
        ("ssd { feature_extractor { bifpn { } } }", 8),
        ("ssd { anchor_generator { ssd_anchor_generator { height_stride: [8, 16] } } }", 8),
        ("ssd { anchor_generator { multiscale_anchor_generator { min_level: 4 } } }", 16),
        ("faster_rcnn { }", 16),
        ("faster_rcnn { feature_extractor { first_stage_features_stride: 8 } }", 8),
        ("faster_rcnn { feature_extractor { fpn { min_level: 2 } } }", 4),
        ("center_net { }", 4),
    ],
)
def test_strides(text: str, stride: int) -> None:
    assert finest_stride(_architecture(text)) == stride


def test_the_base_of_a_backbone_and_its_rate_at_another_batch() -> None:
    kind = "ssd { feature_extractor { type: 'ssd_efficientnet-b2_bifpn_keras' } }"
    assert base_of(_architecture(kind)) == Base("ssd_efficientdet_d0_512x512_coco17_tpu-8", 128, 0.08)
    assert base_of(_architecture("center_net { feature_extractor { type: 'mine' } }")) is None
    text = "train_config { optimizer { adam_optimizer { learning_rate { manual_step_learning_rate { } } } } }"
    schedule = schedule_of(parse_pipeline(text, "p").config.train_config.optimizer)
    assert schedule is not None
    assert (schedule.rate, schedule.adaptive) == (0.002, True)
    assert schedule.fitting(Base("", 128, 1e-3), 32) == pytest.approx(5e-4)
    assert schedule_of(parse_pipeline("train_config { }", "p").config.train_config.optimizer) is None


def test_a_cosine() -> None:
    assert cosine_share(1100, 2100, 100) == pytest.approx(0.5)
    assert cosine_share(100, 2100, 100) == 1.0
    assert cosine_share(2100, 2100, 100) == 0.0
    assert cosine_share(5, 10, 20) == 1.0
