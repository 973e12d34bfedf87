"""What the terminal shows."""

import contextlib
import io
import re
import time

import pytest

from detray import console
from detray.flow.outcome import Table


class Terminal(io.StringIO):
    """A terminal of 80 columns."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    return Terminal()


def test_on_a_terminal_a_table_fits_the_width_and_loses_nothing(terminal: Terminal) -> None:
    rows = [["cat", 0.12345, 1200, "word " * 60], ["d" * 30, None, 3, "[red]none[/red] :smile: \x1b[2J"]]
    console.show("AP of [b]val[/b]", ("class", "AP", "n", "why"), rows, terminal)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()).splitlines()
    assert max(map(len, lines)) <= 80
    assert sum(line.count("word") for line in lines) == 60
    assert "AP of [b]val[/b]" in lines[0]
    assert any("0.123  1,200" in line for line in lines)
    assert any("    -      3" in line for line in lines)
    assert "[red]none[/red] :smile:" in terminal.getvalue()
    assert "\x1b[2J" not in terminal.getvalue()


def test_elsewhere_a_table_is_the_plain_text(capsys: pytest.CaptureFixture[str]) -> None:
    console.show("t", ("name", "n"), [["a", 1]])
    assert capsys.readouterr().out == console.table("t", ("name", "n"), [["a", 1]]) + "\n"


def test_on_a_terminal_progress_is_redrawn_and_leaves_one_line_a_step(terminal: Terminal) -> None:
    with contextlib.closing(console.Bar(terminal)) as bar:
        bar.step("rules [red]", 3)
        bar.advance(2)
        bar.advance()
        bar.step("empty", 0)
    text = terminal.getvalue()
    assert "\x1b[2K" in text
    assert text.index("\x1b[?25l") < text.rindex("\x1b[?25h"), "the cursor comes back"
    assert re.search(r"rules \[red\]: 3/3, 0\.\d s", text)
    assert text.endswith("empty: 0/0, 0.0 s\n")


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that a test sets."""
    found = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: found[0])
    return found


def test_the_time_left_does_not_count_what_an_earlier_run_did(now: list[float]) -> None:
    stream = io.StringIO()
    with contextlib.closing(console.Bar(stream)) as bar:
        bar.step("rules", 100)
        bar.advance(90)
        for now[0] in (20.0, 40.0):
            bar.advance()
        assert stream.getvalue() == "  rules: 92/100, about 2 min 40 s left\n"


def test_what_starting_took_is_no_measure_of_the_time_left(now: list[float]) -> None:
    """The first of a hundred tasks ends after 30 s of starting, each further one takes one: half an hour was told."""
    stream = io.StringIO()
    with contextlib.closing(console.Bar(stream)) as bar:
        bar.step("read", 100)
        bar.advance(0)
        for now[0] in [30.0 + second for second in range(71)]:
            bar.advance()
        assert stream.getvalue().splitlines() == [
            "  read: 1/100, 30 s",
            "  read: 31/100, about 69 s left",
            "  read: 61/100, about 39 s left",
        ]


def test_a_task_that_goes_on_has_a_line_each_half_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "EVERY", 0.05)
    monkeypatch.setattr(console, "LEAST", 0.01)
    stream = io.StringIO()
    with contextlib.closing(console.Bar(stream)) as bar:
        bar.step("train", 1)
        deadline = time.monotonic() + 10
        while stream.getvalue().count("train: 0/1") < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    lines = stream.getvalue().splitlines()
    assert len(lines) >= 3
    assert lines[-1].startswith("  train: 0/1")
    time.sleep(0.1)
    assert stream.getvalue().splitlines() == lines, "and none when it is over"


def test_the_time_left_of_what_was_told_counts_down(now: list[float]) -> None:
    stream = io.StringIO()
    with contextlib.closing(console.Bar(stream)) as bar:
        bar.step("train", 2)
        bar.tell("epoch 2/3: loss 0.4", 125.0)
        now[0] = 45.0
        bar.advance()
        assert stream.getvalue().splitlines() == [
            "  epoch 2/3: loss 0.4, about 2 min 05 s left",
            "  train: 1/2, 45 s, about 80 s left",
        ]


def test_what_happens_in_a_step_is_a_line_where_there_is_no_terminal(terminal: Terminal) -> None:
    stream = io.StringIO()
    bar = console.Bar(stream)
    bar.step("train", 1)
    bar.tell("epoch 1/3: loss 0.5")
    bar.tell("epoch 2/3: loss 0.4", 125.0)
    bar.advance()
    bar.close()
    assert stream.getvalue().splitlines()[:2] == [
        "  epoch 1/3: loss 0.5",
        "  epoch 2/3: loss 0.4, about 2 min 05 s left",
    ]
    with contextlib.closing(console.Bar(terminal)) as bar:
        bar.step("train", 1)
        bar.tell("epoch 1/3: loss 0.5")
        time.sleep(0.3)
    assert "epoch 1/3: loss 0.5" in terminal.getvalue()


def test_a_table_is_aligned_and_null_is_a_dash() -> None:
    text = console.table("Classes", ("class", "AP", "n"), [["cat", 0.12345, 1200], ["a dog", None, 3]])
    assert text.splitlines() == [
        "Classes",
        "class     AP      n",
        "-----  -----  -----",
        "cat    0.123  1,200",
        "a dog      -      3",
    ]


def test_control_characters_cannot_steer_the_terminal() -> None:
    text = console.table("t", ("name",), [["\x1b[2Jevil\r\n"]])
    assert "\x1b" not in text
    assert "\r" not in text


def test_sentences_in_the_last_column_stay_whole_and_others_are_cut() -> None:
    text = console.table("t", ("name", "why"), [["n" * 200, "w" * 200]])
    assert "n" * 80 not in text
    assert "w" * 200 in text


def test_without_rows_it_says_so() -> None:
    assert console.table("t", ("name",), []).splitlines()[-1] == "(none)"


def test_progress_without_a_terminal_is_one_line_a_step() -> None:
    stream = io.StringIO()
    bar = console.Bar(stream)
    bar.stage("audit", "running")
    bar.step("rules", 3)
    for _ in range(3):
        bar.advance()
    bar.note("half way")
    bar.step("findings", 1)
    bar.advance()
    bar.stage("audit", "done")
    bar.stage("report", "current")
    lines = stream.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "audit:",
        "  rules: 3/3",
        "  half way",
        "  findings: 1/1",
        "report: current",
    ]


def test_what_is_known_stands_below_the_line_and_time_runs_on(
    terminal: Terminal, now: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    bar = console.Bar(terminal)
    bar.step("search", 3)
    bar.tell("search-0001, epoch 2/3", 30.0)
    bar.show(Table("trials so far", ("trial", "AP"), [["search-0001", 0.25]]))
    bar._live.refresh()
    now[0] = 20.0
    bar._live.refresh()
    bar.close()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
    assert "about 30 s left" in text
    assert "about 10 s left" in text
    assert "trials so far" in text
    assert re.search(r"search-0001 +0\.250", text)
