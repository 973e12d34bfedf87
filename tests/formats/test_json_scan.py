"""The scan finds the same structure as a JSON parser, however the text is cut into windows."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detray.formats.json import scan as json_scan
from detray.formats.json.file import JsonFile, open_json

SCALARS = st.none() | st.booleans() | st.integers() | st.text(alphabet='ab"\\[]{},é\n') | st.floats(allow_nan=False)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text('a"\\{', max_size=3), inner, max_size=3),
)


class _Text(JsonFile):
    """A file that is a string."""

    def read(self, start: int, end: int) -> bytes:
        return self.path.encode()[start:end]


def text_file(text: str) -> JsonFile:
    return _Text(text, "utf-8", 0, len(text.encode()))


@settings(max_examples=300, deadline=None)
@given(st.lists(JSON, max_size=5), st.sampled_from([1, 2, 3, 7, 64]), st.booleans())
def test_end_and_elements_agree_with_the_parser(value: list, window: int, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_scan, "WINDOW", window)
        assert json_scan.find_end(text_file(text + "  ]"), 0) == len(text.encode())
        assert json_scan.find_end(text_file(text[:-1]), 0) is None
    inside = text.encode()[1:-1]
    spans = json_scan.elements(inside)
    assert spans is not None
    found = [json.loads(inside[start:end]) for start, end in spans] if value else []
    assert found == value


@pytest.mark.parametrize("text", [b'{"a": 1', b'"open', b"]", b"{}}", b"[[]"])
def test_unbalanced_text_has_no_elements(text: bytes) -> None:
    assert json_scan.elements(text) is None


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_any_encoding_reads_as_utf8(tmp_path, encoding: str) -> None:
    path = tmp_path / "a.json"
    path.write_bytes('{"a": "é€"}'.encode(encoding))
    file = open_json(str(path))
    assert json.loads(file.read(file.start, file.size)) == {"a": "é€"}
