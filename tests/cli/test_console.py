"""What the terminal shows."""

import io

from detray import console


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
