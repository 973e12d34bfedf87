"""What stays together."""

import numpy as np
import pytest

from detray.errors import UsageError
from detray.split.groups import alike, bursts, groups, named, same

A, B = 0x0F0F_3C3C_00FF_F00F, 0x5A5A_1234_9ABC_DEF0


def linked(links: np.ndarray) -> set[tuple[int, int]]:
    return {(min(pair), max(pair)) for pair in links.tolist() if pair[0] != pair[1]}


def test_groups_are_numbered_in_the_order_of_their_first() -> None:
    assert groups(6, [np.array([[4, 1]]), np.array([[5, 3], [3, 1]])]).tolist() == [0, 1, 2, 1, 1, 1]
    assert groups(2, []).tolist() == [0, 1]


def test_copies_and_near_copies_are_linked() -> None:
    hashes = np.array([A, A ^ 0b111, A ^ 0b1111_0000_1111, B], np.uint64).view(np.int64)
    found = alike(np.array([10, 11, 12, 13]), ["p", "q", "r", "s"], hashes, ["x", "y", "z", "x"])
    assert linked(np.concatenate(found)) == {(10, 11), (10, 13)}


def test_frames_of_a_burst_are_linked_only_if_they_look_alike() -> None:
    names = ["clip1_001.jpg", "clip1_002.jpg", "clip2_001.jpg", "clip1_003.jpg", "single.jpg"]
    hashes = np.array([A, A ^ 0xFF, A ^ 0xF, B, A ^ 0xF0], np.uint64)
    assert linked(bursts(names, hashes)) == {(0, 1)}


def test_equal_values_are_linked_and_none_is_no_value() -> None:
    assert linked(same(["a", None, "b", "a", None, "a"])) == {(0, 3), (0, 5)}


COLUMNS: dict[str, list] = {
    "source_file": ["1.xml", "1.xml", "2.xml"],
    "file_name": ["site_a/cam1_0.jpg", "site_a/cam2_0.jpg", "cam1_9.jpg"],
    "attributes": ['{"camera": "n"}', None, '{"camera": ["s"]}'],
    "width": [10, 10, 20],
}


@pytest.mark.parametrize(
    ("group", "values"),
    [
        ("none", [None, None, None]),
        ("auto", [None, None, None]),
        ("file", ["1.xml", "1.xml", "2.xml"]),
        ("folder", ["site_a", "site_a", None]),
        ("prefix:_", ["cam1", "cam2", "cam1"]),
        ("camera", ["n", None, '["s"]']),
        ("width", [10, 10, 20]),
    ],
)
def test_what_a_person_names(group: str, values: list) -> None:
    assert list(named(group, COLUMNS)[0]) == values


def test_many_files_of_several_images_are_scenes() -> None:
    files = [f"{number // 3}.xml" for number in range(90)]
    columns = {"source_file": files, "file_name": ["a"] * 90}
    assert list(named("auto", columns)[0]) == files


def test_what_no_image_has_is_refused_with_what_there_is() -> None:
    with pytest.raises(UsageError, match=r"no image has the attribute or column 'kamera'; attributes: camera; else"):
        named("kamera", COLUMNS)
