"""The command line: ``detray VERB [FILES] [--config FILE] [--set key.path=value ...]``.

Only argparse and the standard library are imported before a verb is known, so that ``--help`` is quick.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detray import __version__
from detray.errors import DetrayError, UsageError
from detray.signals import Termination, interrupt_within
from detray.startup import start_quickly

if TYPE_CHECKING:
    from detray.verbs.base import Table
    from detray.verbs.config import Config
    from detray.verbs.runner import Result

VERBS = {
    "ingest": "read annotation files into canonical Parquet tables",
    "audit": "validate every annotation, class and picture: findings",
    "train": "train the small RetinaNet",
    "predict": "run the detector over pictures, or read a detections file",
    "evaluate": "exact COCO metrics per class",
    "diagnose": "say why each weak class is weak, and what to do",
    "tune": "search training settings; a gain is proven on fresh seeds",
    "folds": "suspect labels by detectors that have not seen the pictures (clean.folds)",
    "clean": "write a corrected data set",
    "report": "write the HTML page",
    "run": "all stages that the configuration asks for",
}

MAX_ROWS_UNASKED = 12
"""Rows up to which the tables of stages on the way to the one that was asked for are shown."""

EXAMPLES = """examples:
  detray audit annotations.json --images pictures/
  detray evaluate gt.json dets.json --against other.json
  detray diagnose gt.json dets.json --train train.json --label-map map.pbtxt
  detray diagnose gt.json exported/saved_model --images pictures/
  detray run --config configs/voc.yaml --set dataset.root=VOC2012
  detray demo

exit codes: 0 done, 1 findings at or above --fail-on, 2 usage, configuration or a path that is not
there, 3 anything that failed later
"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="detray",
        description="Why is this class at zero? Audit, evaluate, diagnose and tune object detectors.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"detray {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb, text in VERBS.items():
        one = verbs.add_parser(verb, help=text, description=f"{text[0].upper()}{text[1:]}.")
        _add_files(one, verb)
        _add_common(one)
    demo = verbs.add_parser(
        "demo",
        help="draw a data set, plant faults, run everything on it",
        description="Draw a data set of real pictures, plant known faults in a copy, run everything on both, and say"
        " which faults were found and what the tuning gained. Everything lands under out/demo.",
    )
    _add_common(demo)
    schema = verbs.add_parser(
        "schema", help="print every table: columns, types, units, meaning", description="Print the tables' columns."
    )
    schema.add_argument("table", nargs="?", help="one table only")
    schema.add_argument("--json", action="store_true", help="as JSON")
    schema.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    return parser


def _add_files(parser: argparse.ArgumentParser, verb: str) -> None:
    plain = parser.add_argument_group("plain files (--config may then hold the rest)")
    if verb in ("evaluate", "diagnose", "predict", "clean", "report", "run"):
        parser.add_argument(
            "files", nargs="*", metavar="FILE", help="ground truth, then detections (COCO results JSON) or a model"
        )
    else:
        parser.add_argument("files", nargs="*", metavar="FILE", help="annotation files, or the folder of a data set")
    plain.add_argument("--images", metavar="DIR", help="folder of the pictures; beside files none is opened without it")
    plain.add_argument("--train", metavar="FILE", help="training annotations: the split train")
    plain.add_argument("--format", metavar="NAME", help="the annotations' format, where it is not recognised")
    plain.add_argument("--label-map", metavar="FILE", help="label map of the model: .pbtxt, .yaml, .txt or .json")
    plain.add_argument(
        "--pipeline",
        metavar="FILE",
        help="pipeline.config of the TF2 Object Detection API to check; without FILES the data are what it reads",
    )
    if verb == "evaluate":
        plain.add_argument("--against", metavar="FILE", help="another model's detections to compare with")
        parser.add_argument(
            "--expect",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="a figure of another tool (AP50=0.43): which difference of rules explains it is said",
        )
        parser.add_argument(
            "--expect-file", metavar="FILE", help="such figures: TensorBoard's events, or what an evaluator printed"
        )
    if verb == "diagnose":
        plain.add_argument("--train-detections", metavar="FILE", help="the model's detections on the training split")
        plain.add_argument("--base-detections", metavar="FILE", help="detections of the model it was tuned from")
        parser.add_argument(
            "--confirm", action="store_true", help="try the remedies of the first causes, and say what AP comes of it"
        )


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", metavar="FILE", help="YAML configuration")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="assignments",
        help="override key.path=value (YAML)",
    )
    parser.add_argument("--output", metavar="DIR", help="folder or URI of the results")
    parser.add_argument(
        "--address", metavar="ADDRESS", help="Ray cluster to join (or RAY_ADDRESS); local: start one here"
    )
    parser.add_argument("--serial", action="store_true", help="one process, never Ray, same results")
    parser.add_argument("--force", action="store_true", help="run the verb even if its results are current")
    parser.add_argument("--fail-on", metavar="SEVERITY", type=_severity, help="exit 1 on such findings: 0-4 or a name")
    parser.add_argument("--trust-model", action="store_true", help="run a model whose graph reads files or the network")
    parser.add_argument("--json", action="store_true", help="the summary as JSON on standard output")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")


def _severity(text: str) -> int:
    from detray.schema import SEVERITIES

    if text.isdigit() and int(text) < len(SEVERITIES):
        return int(text)
    if text in SEVERITIES:
        return SEVERITIES.index(text)
    raise argparse.ArgumentTypeError(f"'{text}' is no severity: 0 to 4, or {', '.join(SEVERITIES)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    options = _parser().parse_args(arguments)
    termination = Termination()
    try:
        if options.verb == "schema":
            return _schema(options)
        if arguments is None:  # the process is this command's alone
            termination.listen()
            start_quickly()
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
    from detray.console import Bar, own_error
    from detray.store import Store
    from detray.verbs import runner
    from detray.verbs.base import Context
    from detray.verbs.engine import Engine

    store = Store(config.output)
    with (
        own_error() as stream,
        contextlib.closing(Bar(stream)) as bar,
        Engine(config.cluster, store, serial=options.serial) as engine,
    ):
        first = engine.executor(0.0)
        context = Context(config, store, first, bar, trust_model=options.trust_model, engine=engine)
        if options.verb == "demo":
            from detray.verbs.demo import run_demo

            results, closing, lines = run_demo(context, force=options.force, on_stage=bar.stage)
        else:
            verbs = runner.stages_of(config) if options.verb == "run" else (options.verb,)
            results, closing, lines = runner.run(context, verbs, force=options.force, on_stage=bar.stage), [], []
    worst = None if options.fail_on is None else runner.worst_severity(context)
    code = 1 if worst is not None and worst >= options.fail_on else 0
    _print_summary(options, config, results, (closing, lines), code)
    return code


def load_config(options: argparse.Namespace) -> Config:
    """The configuration of a command: its file, or what follows from plain files, then ``--set``."""
    from detray import settings
    from detray.verbs import plain
    from detray.verbs.config import Config, anchored

    files = list(getattr(options, "files", []))
    values: dict[str, Any]
    if options.config:
        source = options.config
        loaded = settings.read_yaml(Path(source))
        if loaded is not None and not isinstance(loaded, dict):
            raise UsageError(f"{source}: a configuration is a mapping of sections, see configs/")
        values = (
            plain.with_config(plain.values_from_files(options, _say), loaded or {}, source) if files else loaded or {}
        )
    elif options.verb == "demo":
        from detray.verbs import demo

        source, values = "demo", demo.values(options.output)
    elif files or getattr(options, "pipeline", None):
        source, values = "command line", plain.values_from_files(options, _say)
    else:
        source, values = plain.values_from_output(options)
    values = settings.override(values, options.assignments)
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
    return anchored(plain.with_own_splits(settings.convert(values, Config, source)))


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
    for result in results:
        _print_stage(result, is_asked=options.verb in (result.stage, "run", "demo"))
    for table in closing[0]:
        print()
        console.show(table.title, table.columns, table.rows)
    print()
    for line in closing[1]:
        print(line)
    print(f"results: {config.output}")
    steps = [result.manifest["next_step"] for result in results if options.verb in (result.stage, "run")]
    for step in [step for step in steps if step][-1:]:
        print(f"next: {console.printable(step)}")


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
