"""What a checkpoint holds is told by the names in its index."""

from pathlib import Path

import pytest

from detray.pipeline.checkpoint import read_checkpoint


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints of a detector and a classifier as the API's zoo has them, one of TensorFlow 1, one of something."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("checkpoints")

    def node(**parts: object) -> tf.train.Checkpoint:
        return tf.train.Checkpoint(**parts)

    def weight() -> tf.Variable:
        return tf.Variable(1.0)

    node(model=node(_feature_extractor=node(w=weight()), _box_predictor=node(w=weight()))).write(str(folder / "ssd-0"))
    rpn = node(_feature_extractor_for_proposal_features=node(w=weight()))
    node(model=rpn).write(str(folder / "rcnn-0"))
    node(feature_extractor=node(w=weight())).write(str(folder / "backbone-1"))
    node(w=weight()).write(str(folder / "other-1"))
    tf.raw_ops.SaveV2(
        prefix=str(folder / "old"), tensor_names=["FeatureExtractor/w"], shape_and_slices=[""], tensors=[weight()]
    )
    return folder


def test_types(saved: Path) -> None:
    assert read_checkpoint(str(saved / "ssd-0")).types == ("detection", "full")
    assert read_checkpoint(str(saved / "rcnn-0")).types == ("detection", "full")
    assert read_checkpoint(str(saved / "backbone-1")).types == ("classification",)
    assert read_checkpoint(str(saved / "other-1")).types == ()
    assert read_checkpoint(str(saved / "other-1")).is_object_based
    assert not read_checkpoint(str(saved / "old")).is_object_based


def test_names_that_are_not_its_prefix(saved: Path) -> None:
    assert "is a folder" in (read_checkpoint(str(saved)).problem or "")
    assert "name it without the ending: ssd-0" in (read_checkpoint(str(saved / "ssd-0.index")).problem or "")
    assert "one of a checkpoint's files" in (read_checkpoint(str(saved / "ssd-0.data-00000-of-00001")).problem or "")
    assert "is not there" in (read_checkpoint(str(saved / "none")).problem or "")


@pytest.mark.parametrize("data", [b"", b"\0" * 200, b"not a table" * 30])
def test_damage(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.index").write_bytes(data)
    assert "is damaged" in (read_checkpoint(str(tmp_path / "a")).problem or "")
