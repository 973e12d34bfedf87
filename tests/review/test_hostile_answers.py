"""Files that come back are hostile: whatever is in them, there are decisions or one sentence."""

import contextlib
import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from exports import BY_NAME, folder, opened
from hypothesis import given, settings
from hypothesis import strategies as st

from detray.errors import UsageError
from detray.review.read import read_all
from detray.store import Store

JUNK = st.sampled_from(
    [None, True, -1, 10**400, 1e308, "", "x" * 5000, "\x00\u202e", [], {}, [[]], {"a": [1]}, [None] * 4, "accept"]
)


@pytest.fixture(scope="module", params=BY_NAME)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Path]:
    place = tmp_path_factory.mktemp(request.param)
    store = folder(place)
    return store, Path(opened(store, request.param, place / "in").save(place / "saved"))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where values stand in JSON."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, one in items for found in places(one, (*path, key)))]


@given(data=st.data())
@settings(max_examples=60)
def test_values_that_are_no_such_values(saved: tuple[Store, Path], data: st.DataObject) -> None:
    store, file = saved
    text = file.read_bytes()
    if text[:1] in b"{[":
        content = json.loads(text)
        for _ in range(data.draw(st.integers(1, 3))):
            *before, last = data.draw(st.sampled_from(places(content)[1:]))
            inner = content
            for key in before:
                inner = inner[key]
            inner[last] = deepcopy(data.draw(JUNK))  # what is put into it would stay there for the next example
            if not places(content)[1:]:
                break
        text = json.dumps(content).encode()
    else:
        at = data.draw(st.integers(0, len(text) - 1))
        text = text[:at] + data.draw(st.binary(max_size=9)) + text[at + data.draw(st.integers(0, 9)) :]
    changed = file.with_name("changed")
    changed.write_bytes(text)
    with contextlib.suppress(UsageError):
        found = read_all([str(changed)], store)
        assert all(one.about.split == "val" for one in found.made)
        assert len(found.notes) < 30
