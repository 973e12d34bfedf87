"""Objects by URI: requests that fail are tried again, in few requests, and copies of them are kept up to a bound."""

import os
import pickle
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import outputs
import pyarrow as pa
import pyarrow.fs as pafs
import pytest
import s3

from detray import cache, mirror, remote
from detray.errors import DetrayError, UsageError
from detray.flow import keeper
from detray.flow.receipt import Receipt
from detray.store import Stage, Store
from detray.store.integrity import stored


@pytest.fixture(scope="module")
def server() -> Iterator[s3.Server]:
    with s3.running() as found, pytest.MonkeyPatch.context() as patch:
        for name, value in found.environment.items():
            patch.setenv(name, value)
        yield found


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.FOLDER, str(tmp_path / "cache"))
    return tmp_path / "cache"


class Flaky:
    """A request that fails some times before it answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.asked = 0

    def __call__(self) -> int:
        self.asked += 1
        if self.errors:
            raise self.errors.pop(0)
        return 7


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    found: list[float] = []
    monkeypatch.setattr(remote.time, "sleep", found.append)
    return found


def test_a_request_is_tried_again_after_growing_waits(waits: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote.random, "uniform", lambda low, high: high)
    request = Flaky(*(OSError("AWS Error INTERNAL_FAILURE during GetObject operation") for _ in range(4)))
    assert remote.attempt(request) == 7
    assert waits == [0.1, 0.2, 0.4, 0.8]


def test_it_ends_at_last_and_says_how_often_it_was_tried(waits: list[float]) -> None:
    request = Flaky(*(OSError("AWS Error SLOW_DOWN\nmore") for _ in range(99)))
    with pytest.raises(OSError, match=rf"^AWS Error SLOW_DOWN \(tried {remote.ATTEMPTS} times\)$"):
        remote.attempt(request)
    assert request.asked == remote.ATTEMPTS


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(2, "gone"),
        PermissionError(13, "no"),
        OSError("When reading: AWS Error ACCESS_DENIED during HeadObject operation: No response body."),
        OSError("AWS Error UNKNOWN (HTTP status 403) during HeadObject operation"),
    ],
)
def test_what_no_repetition_mends_is_said_at_once(error: OSError, waits: list[float]) -> None:
    with pytest.raises(type(error)):
        remote.attempt(Flaky(error))
    assert not waits


@pytest.mark.parametrize(
    ("uri", "name", "joined"),
    [
        ("s3://b", "x.jpg", "s3://b/x.jpg"),
        ("s3://b/", "x.jpg", "s3://b/x.jpg"),
        ("s3://b/a/", "c/x y#1.jpg", "s3://b/a/c/x y#1.jpg"),
        ("s3://b/a?scheme=http", "x.jpg", "s3://b/a/x.jpg?scheme=http"),
    ],
)
def test_names_are_joined_before_the_parameters(uri: str, name: str, joined: str) -> None:
    assert remote.join(uri, name) == joined


def test_small_objects_take_one_request_to_write_and_two_to_read_and_no_folder_is_made(server: s3.Server) -> None:
    store = Store(f"s3://{s3.BUCKET}/few")
    store.write_bytes(b"1", "first")  # finds the region
    server.counts()
    store.write_bytes(b"x" * 50, "deep", "er", "name with #.txt")
    assert server.counts() == {"PUT": 1}
    assert store.read_bytes("deep", "er", "name with #.txt") == b"x" * 50
    assert server.counts() == {"HEAD": 1, "GET": 1}


def test_stages_that_are_not_there_take_one_request_for_all(server: s3.Server) -> None:
    root = f"s3://{s3.BUCKET}/stages"
    outputs.write_stage(Store(root), "ingest", {})
    store = Store(root)
    server.counts()
    assert [stage for stage in ("audit", "ingest", "predict", "tune") if store.manifest(stage)] == ["ingest"]
    assert server.counts() == {"LIST": 1, "HEAD": 1, "GET": 1}
    copy = pickle.loads(pickle.dumps(store))  # noqa: S301 - our own, as Ray moves it to a task
    assert (copy.manifest("audit"), bool(copy.manifest("ingest"))) == (None, True)
    assert server.counts() == {}
    outputs.write_stage(Store(root), "audit", {})
    assert store.manifest("audit") is None  # who writes there holds the lock
    store.forget()
    assert store.manifest("audit") is not None


def test_what_a_process_has_made_complete_it_does_not_ask_for(server: s3.Server) -> None:
    store = Store(f"s3://{s3.BUCKET}/own")
    assert store.manifest("ingest") is None
    outputs.write_stage(store, "ingest", {}, facts={"of": "the first"})
    server.counts()
    assert (store.manifest("ingest") or {})["facts"] == {"of": "the first"}
    assert server.counts() == {}
    Stage(store, "ingest").discard()
    assert store.manifest("ingest") is None


def test_one_request_in_three_may_fail(server: s3.Server) -> None:
    """Also where the object is smaller than the error, which pyarrow alone does not try again."""
    store = Store(f"s3://{s3.BUCKET}/flaky")
    rows = pa.table({"a": [1, 2, 3]})
    server.behave(fail=0.33)
    try:
        for number in range(16):
            store.write_bytes(b"x" * 50, f"{number}")
            assert store.read_bytes(f"{number}") == b"x" * 50
        stage = Stage(store, "audit")
        stage.begin("one")
        stage.write_scratch("step/rows/1", [rows])
        assert stage.read_scratch("step/rows/1").equals(rows)
        stage.write_receipts({"step-1": b'"whole"', "step-2": b'"whole"'})
        stage.forget("step-2")
        assert Stage(store, "audit").begin("one") == {"step-1": b'"whole"'}
        assert server.counts()["503"] > 8
    finally:
        server.behave()


def test_an_error_names_the_object(waits: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: object) -> None:
        raise OSError("AWS Error INTERNAL_FAILURE during GetObject operation")

    monkeypatch.setattr(remote.Patient, "_read", fail)
    monkeypatch.setattr(remote.Upload, "_send", fail)
    store = Store("memory://errors/of")
    with pytest.raises(DetrayError, match=rf"errors/of/first: AWS .*tried {remote.ATTEMPTS} times"):
        store.read_bytes("first")
    with pytest.raises(DetrayError, match=rf"errors/of/second: AWS .*tried {remote.ATTEMPTS} times"):
        store.write_bytes(b"2", "second")


def test_sending_is_tried_no_oftener_than_any_other_request(
    waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = Flaky(*[OSError("AWS Error SLOW_DOWN")] * 100)
    monkeypatch.setattr(pafs.FSSpecHandler, "open_output_stream", lambda *given: sent())
    with pytest.raises(DetrayError, match="SLOW_DOWN"):
        Store("memory://errors/of").write_bytes(b"3", "third")
    assert sent.asked == remote.ATTEMPTS


def test_another_endpoint_is_another_client(server: s3.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    Store(f"s3://{s3.BUCKET}/place").write_bytes(b"first", "file")
    with s3.running() as other:
        monkeypatch.setenv("AWS_ENDPOINT_URL", other.endpoint)
        Store(f"s3://{s3.BUCKET}/place").write_bytes(b"second", "file")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
    assert Store(f"s3://{s3.BUCKET}/place").read_bytes("file") == b"first"


def test_nothing_appears_of_a_file_whose_writing_fails() -> None:
    fs, path = remote.opened("memory://half/file")

    def fail(upload: remote.Upload) -> None:
        upload.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), remote.Upload(fs, path) as upload:
        fail(upload)
    assert fs.get_file_info(path).type == pafs.FileType.NotFound


def test_a_copy_is_read_where_there_is_one_and_checked_when_it_is_fetched(tmp_path: Path) -> None:
    store = Store(f"memory://{tmp_path}")
    whole = store.write(lambda stream: stream.write(b"first"), "file")
    place = store.local("file", whole)
    assert place is not None
    assert Path(place).read_bytes() == b"first"
    Path(place).unlink()
    assert Path(store.local("file", whole) or "").read_bytes() == b"first"
    Path(place).unlink()
    store.write_bytes(b"other", "file")
    with pytest.raises(DetrayError, match="file: not as written"):
        store.local("file", whole)
    assert store.local("file", stored(5, b"other")) is not None


def test_what_was_used_longest_ago_goes(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "bound", lambda: 1000)
    for number in range(12):
        place = cache.keep(f"key {number}", b"x" * 100)
        assert place is not None
        os.utime(place, (number, number))
    found = [number for number in range(12) if cache.find(f"key {number}")]
    assert found[-1] == 11
    assert 0 not in found
    assert sum(path.stat().st_size for path in own_cache.rglob("*") if path.is_file()) <= 1000
    assert cache.keep("too large", b"x" * 500) is None


def test_copies_are_kept_in_a_folder_of_their_own_and_nothing_else_is_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "cache" / "data" / "more" / "picture.jpg"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"x" * 5000)
    monkeypatch.setattr(cache, "bound", lambda: 1000)
    for number in range(12):
        cache.keep(f"key {number}", b"x" * 100)
    assert 0 < sum(cache.find(f"key {number}") is not None for number in range(12)) < 12
    assert own.exists()


def test_work_goes_on_where_no_copy_can_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(cache.FOLDER, str(tmp_path / "file"))
    assert cache.keep("key", b"1") is None
    assert cache.find("key") is None
    cache.link("key", "other")
    monkeypatch.setenv(cache.FOLDER, str(tmp_path))
    monkeypatch.setenv(cache.GIB, "lots")
    with pytest.raises(UsageError, match="DETRAY_CACHE_GIB is 'lots', and a number of GiB is expected"):
        cache.keep("key", b"1")


def test_a_copy_that_is_gone_or_damaged_counts_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = pa.table({"a": [1, 2, 3]})
    stage = Stage(Store(f"memory://{tmp_path}"), "audit")
    whole = stage.write_scratch("rows", [rows])
    place = Path(stage.store.local("audit/_partial/scratch/rows.arrow", whole) or "")
    place.write_bytes(b"")  # as after a loss of power
    assert stage.read_scratch("rows", whole=whole).equals(rows)
    assert Path(stage.store.local("audit/_partial/scratch/rows.arrow", whole) or "").stat().st_size == whole.bytes
    monkeypatch.setattr(cache, "find", lambda key: tmp_path / "evicted")
    assert stage.read_scratch("rows", whole=whole).equals(rows)


def test_a_copy_is_not_taken_for_another_content_that_ends_alike(tmp_path: Path) -> None:
    """As where one box is corrected in a large file."""
    store = Store(f"memory://{tmp_path}")
    before, after = (start + bytes(300_000) for start in (b"before", b"after!"))
    first = store.write(lambda stream: stream.write(before), "file")
    place = store.local("file", first)
    whole = store.write(lambda stream: stream.write(after), "partial")
    store.write_bytes(after, "file")
    store.copied("partial", "file", whole)
    assert Path(store.local("file", whole) or "").read_bytes() == after
    assert Path(place or "").read_bytes() == before
    assert store.stored("file") == whole


def test_the_last_receipts_of_a_burst_are_stored_though_no_task_ends_for_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper, "BETWEEN", 0.2)
    stage = Stage(Store(f"memory://{tmp_path}"), "audit")
    own = keeper.FileKeeper(stage)
    receipts = [Receipt("step", f"{number}", {}, {}, {}, {}, msgspec.Raw(b"{}")) for number in range(3)]
    for receipt in receipts:
        own.finished(receipt)
    assert stage.receipts() == {}
    deadline = time.monotonic() + 10
    while not stage.receipts() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert list(stage.receipts()) == [receipt.shard for receipt in receipts]
    own.finished(receipts[0])
    own.flush()
    files = stage.store.names("audit", "_partial", "receipts")
    time.sleep(0.4)
    assert stage.store.names("audit", "_partial", "receipts") == files


def test_what_is_deleted_by_a_request_that_fails_is_deleted(waits: list[float], tmp_path: Path) -> None:
    store = Store(f"memory://{tmp_path}")
    store.write_bytes(b"1", "folder", "file")

    class Lossy(type(store.fs.handler.inner.handler)):  # type: ignore[misc]
        def delete_dir(self, path: str) -> None:
            super().delete_dir(path)
            raise OSError("AWS Error INTERNAL_FAILURE during DeleteObjects operation")

    inner = store.fs.handler.inner.handler
    lossy = pafs.PyFileSystem(remote.Patient(pafs.PyFileSystem(Lossy(inner.fs)), True))
    vars(store)["_opened"] = (lossy, store._opened[1])
    store.delete("folder")
    assert waits
    assert store.names("folder") == []


def test_a_key_in_a_uri_is_refused_and_not_repeated() -> None:
    for use in (lambda uri: Store(uri).names("audit"), mirror.here):
        with pytest.raises(UsageError, match=r"^s3://\.\.\.@bucket/out: .*AWS_ACCESS_KEY_ID") as told:
            use("s3://AKIA:hidden@bucket/out")
        assert "hidden" not in str(told.value)
