"""The command line: ``detray VERB [FILES] [--config FILE] [--set key.path=value ...]``.

Only argparse and the standard library are imported before a verb is known, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detray.arguments import VERBS, flags_of, parser_for
from detray.errors import DetrayError, UsageError
from detray.signals import Termination, interrupt_within
from detray.startup import start_quickly

if TYPE_CHECKING:
    from detray.verbs.base import Table
    from detray.verbs.config import Config
    from detray.verbs.runner import Result

MAX_ROWS_UNASKED = 12
"""Rows up to which the tables of stages on the way to the one that was asked for are shown."""


JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Ray sets it for what `ray job submit` runs."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code.

    As the process of a Ray job its last line says it, too: `ray job submit` answers 1 for any but 0.
    """
    code = _main(arguments)
    if arguments is None and JOB in os.environ:
        print(f"detray: exit code {code}", flush=True)
    return code


def _main(arguments: Sequence[str] | None) -> int:
    stated = sys.argv[1:] if arguments is None else list(arguments)
    if arguments is None and stated and stated[0] in VERBS:  # the process is this command's alone
        start_quickly()
    options = parser_for(stated).parse_args(stated)
    options.command = stated
    termination = Termination()
    try:
        if options.verb == "schema":
            return _schema(options)
        if options.verb == "init":
            return _init(options)
        if options.verb == "sql":
            return _sql(options)
        if options.verb == "compare":
            return _compare(options)
        if options.verb == "review":
            return _review(options)
        if options.verb == "status":
            return _status(options)
        if arguments is None:
            termination.listen()
        return _run(options)
    except DetrayError as error:
        if options.debug:
            traceback.print_exc()
        _say(str(error))
        return error.exit_code
    except (KeyboardInterrupt, SystemExit) as error:
        return _interrupted(error, termination)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if (interrupt := interrupt_within(error)) is not None:
            return _interrupted(interrupt, termination)
        if options.debug:
            raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else ""
        print(
            f"detray: this should not happen: {type(error).__name__}: {reason}; run it with --debug and report it",
            file=sys.stderr,
        )
        return 3


def _status(options: argparse.Namespace) -> int:
    from detray import console
    from detray.verbs.status import status

    table, lines = status(options.output)
    if options.json:
        print(json.dumps({"stages": [dict(zip(table.columns, row, strict=True)) for row in table.rows], "run": lines}))
        return 0
    console.show(table.title, table.columns, table.rows)
    print(*map(console.printable, lines), sep="\n")
    return 0


def _interrupted(error: BaseException, termination: Termination) -> int:
    is_told = termination.came or isinstance(error, SystemExit)  # Ray makes the latter of SIGTERM while it starts
    what, code = ("terminated", 143) if is_told else ("interrupted", 130)
    print(f"detray: {what}; the same command goes on where it stopped", file=sys.stderr)
    return code


def _say(text: str) -> None:
    """A message on standard error."""
    from detray.console import printable

    first, *others = text.splitlines()
    print(f"detray: {printable(first)}", *map(printable, others), sep="\n", file=sys.stderr)


def _run(options: argparse.Namespace) -> int:
    config = load_config(options)
    from detray.console import Bar, own_stream
    from detray.store import Store
    from detray.verbs import runner
    from detray.verbs.base import Context
    from detray.verbs.engine import Engine

    store = Store(config.output)
    tables: list[Table] = []
    lines: list[str] = []

    def show(further: list[Table], said: list[str]) -> None:
        tables.extend(further)
        lines.extend(said)
        if not options.json:
            bar.close()
            with contextlib.redirect_stdout(output):
                _print_closing(further, said)

    def show_stage(result: Result) -> None:
        """As soon as it has ended: an interrupt later does not take it away."""
        if not options.json:
            bar.close()
            with contextlib.redirect_stdout(output):
                _print_stage(result, is_asked=options.verb in (result.stage, "run", "demo"))
                output.flush()

    with (
        own_stream("stderr") as stream,
        own_stream("stdout") as output,  # Ray's file takes the usual one
        contextlib.closing(Bar(stream)) as bar,
        Engine(config.cluster, store, serial=options.serial, note=bar.note) as engine,
    ):
        first = engine.executor(0.0)
        context = Context(
            config,
            store,
            first,
            bar,
            trust_model=options.trust_model,
            engine=engine,
            command=shlex.join(["detray", *options.command]),
            overwrite=options.overwrite,
        )
        if options.verb == "demo":
            from detray.verbs.demo import run_demo

            results = run_demo(context, force=options.force, on_stage=bar.stage, show=show, show_stage=show_stage)
        else:
            verbs = runner.stages_of(config) if options.verb == "run" else (options.verb,)
            results = runner.run(context, verbs, force=options.force, on_stage=bar.stage, on_result=show_stage)
    worst = None if options.fail_on is None else runner.worst_severity(context)
    code = 1 if worst is not None and worst >= options.fail_on else 0
    _print_summary(options, config, results, (tables, lines), code)
    return code


def load_config(options: argparse.Namespace) -> Config:
    """The configuration of a command: its file, or what follows from plain files, then ``--set``."""
    from detray import settings
    from detray.mirror import here
    from detray.verbs import plain
    from detray.verbs.config import Config, anchored

    files = list(getattr(options, "files", []))
    values: dict[str, Any]
    if options.config:
        source = options.config
        loaded = settings.read_yaml(Path(here(source)))
        if loaded is not None and not isinstance(loaded, dict):
            raise UsageError(f"{source}: a configuration is a mapping of sections, see configs/")
        loaded = {key: value for key, value in (loaded or {}).items() if value is not None}
        values = plain.with_config(plain.values_from_files(options, _say), loaded, source) if files else loaded
    elif options.verb == "demo":
        from detray.verbs import demo

        source, values = "demo", demo.values(options.output)
    elif files or getattr(options, "pipeline", None):
        source, values = "command line", plain.values_from_files(options, _say)
    else:
        source, values = plain.values_from_output(options)
    values, said = _with_flags(values, options)
    values = settings.override(values, options.assignments)
    said |= {one.partition("=")[0]: f"--set {one}" for one in options.assignments}
    pipeline = getattr(options, "pipeline", None)
    beside = str(Path(pipeline).absolute()) if pipeline and options.config and not files else None
    if getattr(options, "expect", None):
        from detray.evaluate.expectations import read_assignments

        section = dict(values.get("evaluate") or {})
        values["evaluate"] = section | {"expect": {**section.get("expect", {}), **read_assignments(options.expect)}}
    given = {
        "output": options.output,
        "cluster.address": options.address,
        "dataset.pipeline": beside,
        "evaluate.expect_file": getattr(options, "expect_file", None),
        "diagnose.confirm": getattr(options, "confirm", False) or None,
    }
    for key, value in given.items():
        if value is not None:
            values = settings.override(values, [f"{key}={json.dumps(value)}"])
    return anchored(plain.with_own_splits(settings.convert(values, Config, source, said=said)))


def _with_flags(values: Mapping[str, Any], options: argparse.Namespace) -> tuple[dict[str, Any], dict[str, str]]:
    """``values`` with the keys of stated flags, and by key how it was stated."""
    from detray import settings

    result, said = dict(values), {}
    stated = getattr(options, "flags", None) or []
    known = flags_of(options.verb) if stated else {}
    for flag, text in stated:
        for key in known[flag]:
            said[key.path] = f"{flag} {text}"
            value = settings.flag_value(key, text, said[key.path])
            result = settings.put(result, key.path, value, said[key.path])
    return result, said


def _print_summary(
    options: argparse.Namespace,
    config: Config,
    results: list[Result],
    closing: tuple[list[Table], list[str]],
    code: int,
) -> None:
    from detray import console

    if options.json:
        answer = {
            "verb": options.verb,
            "output": config.output,
            "exit_code": code,
            "stages": [
                {
                    "stage": result.stage,
                    "status": result.status,
                    "counts": result.manifest["counts"],
                    "seconds": result.manifest["seconds"],
                    "facts": result.manifest["facts"],
                    "tables": result.manifest["summary"],
                    "notes": result.manifest["notes"],
                    "advice": result.manifest["advice"],
                    "next_step": result.manifest["next_step"],
                }
                for result in results
            ],
            "tables": [asdict(table) for table in closing[0]],
            "notes": closing[1],
        }
        print(json.dumps(answer, indent=1))
        return
    print()
    print(f"results: {config.output}")
    telling = ("audit", "diagnose", "tune") if options.verb == "run" else (options.verb,)
    steps = [result.manifest["next_step"] for result in results if result.stage in telling]
    for step in [step for step in steps if step][-1:]:
        print(f"next: {console.printable(step)}")


def _print_closing(tables: list[Table], lines: list[str]) -> None:
    from detray import console

    for table in tables:
        print()
        console.show(table.title, table.columns, table.rows)
    print()
    for line in lines:
        print(line)
    sys.stdout.flush()


def _print_stage(result: Result, *, is_asked: bool) -> None:
    """A stage's summary; of one that nobody asked for what is short, and nothing where its results stood already."""
    from detray import console

    counts = "".join(f", {value:,} {name}" for name, value in result.manifest["counts"].items())
    heading = f"== {result.stage}: {result.status}, {result.manifest['seconds']['total']:.1f} s{counts}"
    if result.status == "current" and not is_asked:
        print(heading)
        return
    print(f"\n{heading}")
    for note in result.manifest["notes"]:
        print(console.printable(note))
    for table in result.tables:
        if is_asked or len(table.rows) <= MAX_ROWS_UNASKED:
            print()
            console.show(table.title, table.columns, table.rows)
        else:
            title = console.printable(table.title.partition(" (")[0])
            print(f"\n{title}: {len(table.rows)} rows, which detray {result.stage} shows")
    if is_asked and result.manifest["advice"]:
        print()
        for line in result.manifest["advice"]:
            print(console.printable(line))


def _init(options: argparse.Namespace) -> int:
    from detray.console import printable
    from detray.verbs import plain
    from detray.verbs.init import configuration

    values = plain.values_from_files(options, _say)
    path = Path(options.output or Path("configs", f"{values['name']}.yaml"))
    if path.exists() and not options.force:
        raise UsageError(f"{path} is there already; --force writes it anew, --output FILE another one")
    command = shlex.join(["detray", "run", "--config", str(path)])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(configuration(values, command), "utf-8")
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror}); --output FILE writes another one") from None
    print(printable(f"configuration: {path}"), printable(f"next: {command}"), sep="\n")
    return 0


def _sql(options: argparse.Namespace) -> int:
    from detray import console
    from detray.verbs import sql

    names, rows = sql.run(options)
    if options.json:
        print(sql.as_json(names, rows))
    else:
        console.show("", names, rows)
    return 0


def _compare(options: argparse.Namespace) -> int:
    from detray import console
    from detray.verbs import compare

    code, output, tables, lines = compare.run(options)
    if options.json:
        print(compare.as_json(output, tables, lines, code))
        return code
    for table in tables:
        console.show(table.title, table.columns, table.rows)
        print()
    for line in lines:
        print(console.printable(line))
    return code


def _review(options: argparse.Namespace) -> int:
    from detray import console
    from detray.verbs import review

    tables, lines, facts = review.run(options)
    if options.json:
        print(review.as_json(tables, lines, facts))
        return 0
    for table in tables:
        console.show(table.title, table.columns, table.rows)
        print()
    for line in lines:
        print(console.printable(line))
    return 0


def _schema(options: argparse.Namespace) -> int:
    from detray import schema

    names = [options.table] if options.table else list(schema.TABLES)
    unknown = [name for name in names if name not in schema.TABLES]
    if unknown:
        raise UsageError(f"there is no table '{unknown[0]}'; tables: {', '.join(schema.TABLES)}")
    tables = [schema.TABLES[name] for name in names]
    if options.json:
        print(json.dumps([schema.as_json(table) for table in tables], indent=1))
    else:
        print("\n\n".join(schema.as_text(table) for table in tables))
    return 0


if __name__ == "__main__":
    sys.exit(main())
