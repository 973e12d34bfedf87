"""A pipeline.config is read as the API reads it, and what no rule reads is counted and kept."""

from pathlib import Path

import pytest

from detray.errors import UsageError
from detray.pipeline.read import parse_pipeline, read_pipeline

OWN = Path(__file__).parent / "ssd.config"


def test_values_are_those_of_the_text_and_else_the_apis_defaults() -> None:
    file = read_pipeline(str(OWN))
    ssd = file.config.model.ssd
    assert ssd is not None
    assert ssd.num_classes == 3
    assert ssd.anchor_generator.multiscale_anchor_generator is not None
    assert ssd.anchor_generator.multiscale_anchor_generator.aspect_ratios == (1.0, 2.0, 0.5)
    assert ssd.post_processing.batch_non_max_suppression.score_threshold == 1e-8
    schedule = file.config.train_config.optimizer.momentum_optimizer
    assert schedule is not None
    assert schedule.learning_rate.cosine_decay_learning_rate is not None
    assert schedule.learning_rate.cosine_decay_learning_rate.learning_rate_base == 0.01
    assert file.config.train_config.fine_tune_checkpoint_version == "V2"
    assert file.config.train_config.max_number_of_boxes == 100
    assert file.config.train_input_reader.shuffle_buffer_size == 2048
    assert file.config.eval_input_reader[0].tf_record_input_reader is not None
    assert file.architecture is ssd
    assert file.architecture_place == "model.ssd"


def test_lines_are_those_of_the_text() -> None:
    file = read_pipeline(str(OWN))
    lines = OWN.read_text().splitlines()
    assert "num_classes: 3" in lines[file.lines["model.ssd.num_classes"] - 1]
    assert "batch_size: 16" in lines[file.lines["train_config.batch_size"] - 1]
    assert "random_rgb_to_gray" in lines[file.lines["train_config.data_augmentation_options[1]"]]
    assert "val.record" in lines[file.lines["eval_input_reader[0].tf_record_input_reader.input_path[0]"] - 1]
    assert "train_config.max_number_of_boxes" not in file.lines
    assert file.write("model.ssd.num_classes", "4") == "write `num_classes: 4` (line 4, in model.ssd)"


def test_fields_that_no_rule_reads_are_named_with_their_lines() -> None:
    file = read_pipeline(str(OWN))
    found = {one.place: one.line for one in file.unknown}
    assert found["model.ssd.matcher"] == 25
    assert "model.ssd.matcher.argmax_matcher" not in found
    assert "train_config.data_augmentation_options[1].random_rgb_to_gray" in found
    assert len(found) == len(file.unknown) == 8


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("model { ssd { num_classes: 3 ", 1, "the text ends within a field"),
        ("model {\n ssd {\n num_classes: many } }", 3, "Couldn't parse integer: many"),
        ("\nmodel { ssd { } faster_rcnn { } }", 2, "another member of oneof 'model'"),
        ("train_config { num_steps: 1\n num_steps: 2 }", 2, "should not have multiple 'num_steps'"),
        ("train_config { batch_size: -3 }", 1, "Value out of range"),
        ("train_config { fine_tune_checkpoint_version: V9 }", 1, "no value named V9"),
        ("train_config { num_steps: 3 }}", 1, "} stands where"),
        ("model {\n ssd $ }", 2, "'$' cannot stand there"),
        ("model " + "{ a " * 2000, 1, "nested over 64 deep"),
        ("model { x: [1, {a: 3] }", 1, "closes what is not open"),
        ("model { ssd num_classes: 3 }", 1, "ssd has neither a colon nor a brace"),
    ],
)
def test_malformed_text_is_one_sentence_with_its_line(text: str, line: int, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_pipeline(text, "pipeline.config")
    assert str(caught.value).startswith(f"pipeline.config, line {line}: ")
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_pipeline(tmp_path: Path) -> None:
    place = tmp_path / "pipeline.config"
    for data, what in (
        (b"\xff\xfe", "not UTF-8"),
        (b"a: 1\n" * 300_000, "larger than 1 MiB"),
        (b"", "states no model"),
        (b"item { id: 1 name: 'cell' }", "states no model"),
    ):
        place.write_bytes(data)
        with pytest.raises(UsageError, match=what):
            read_pipeline(str(place))
    with pytest.raises(UsageError, match="cannot be read"):
        read_pipeline(str(tmp_path / "none"))


def test_a_large_file_is_read_in_time_that_grows_with_it() -> None:
    file = parse_pipeline("train_config { num_steps: 5 }\n" + "graph_rewriter { }\n" * 50_000, "p")
    assert len(file.unknown) == 50_000
    assert file.unknown[-1].line == 50_001
