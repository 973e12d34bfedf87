"""The arguments of the command line: what each verb takes.

Common keys of the configuration are flags, declared beside the settings; of a verb that is known these are added.
Before that, only argparse and the standard library are imported, so that ``detray --help`` is quick.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from detray import __version__

if TYPE_CHECKING:
    from detray.keys import Key

_DETECTS = ("predict", "detector", "train")


@dataclass(frozen=True)
class Verb:
    """A verb: what it does, the sections whose keys it has as flags (its own first), and two examples."""

    text: str
    sections: tuple[str, ...]
    examples: tuple[str, str]


VERBS = {
    "ingest": Verb(
        "read annotation files into canonical Parquet tables", (), ("dataset/", "train.json --images pictures/")
    ),
    "audit": Verb(
        "validate every annotation, class and picture: findings",
        ("audit",),
        ("dataset/", "annotations.json --images pictures/ --fail-on error"),
    ),
    "split": Verb(
        "divide a data set into train, val and test that share no scene",
        ("split", "audit"),
        ("dataset/ --val .2 --test 0", "annotations.json --images pictures/ --group prefix:_"),
    ),
    "train": Verb(
        "train the small RetinaNet",
        ("train", "detector"),
        ("dataset/ --epochs 40", "--config configs/voc.yaml --set dataset.root=VOC2012"),
    ),
    "predict": Verb(
        "run the detector over pictures, or read a detections file",
        _DETECTS,
        ("dataset/ exported/saved_model --threshold .3", "--config configs/voc.yaml --splits val,test"),
    ),
    "evaluate": Verb(
        "exact COCO metrics per class",
        ("evaluate", *_DETECTS),
        ("gt.json dets.json --against other.json", "gt.json dets.json --protocol pascal --bootstrap 0"),
    ),
    "diagnose": Verb(
        "say why each weak class is weak, and what to do",
        ("diagnose", "evaluate", *_DETECTS),
        ("gt.json dets.json --train train.json --label-map map.pbtxt", "gt.json dets.json --classes cat --confirm"),
    ),
    "tune": Verb(
        "search training settings; a gain is proven on fresh seeds",
        ("tune", "diagnose", "evaluate", *_DETECTS),
        ("dataset/ --classes cat --trials 8", "--output out/voc --minutes 60"),
    ),
    "folds": Verb(
        "suspect labels by detectors that have not seen the pictures (clean.folds)",
        ("clean", "detector", "train"),
        ("dataset/ --folds 4", "--output out/voc --folds 4 --epochs 10"),
    ),
    "clean": Verb(
        "write a corrected data set",
        ("clean", "audit", "diagnose", "evaluate", *_DETECTS),
        ("dataset/ --actions drop,clip", "gt.json dets.json --min-score .95"),
    ),
    "report": Verb("write the HTML page", ("report", "audit"), ("--output out/voc", "gt.json dets.json")),
    "run": Verb(
        "all stages that the configuration asks for",
        ("audit", "detector", "train", "predict", "evaluate", "diagnose", "tune", "clean", "report"),
        ("dataset/ --epochs 10 --trials 4", "--config configs/voc.yaml --set dataset.root=VOC2012"),
    ),
}

EXAMPLES = """examples:
  detray audit dataset/
  detray audit annotations.json --images pictures/
  detray evaluate gt.json dets.json --against other.json
  detray diagnose gt.json dets.json --train train.json --label-map map.pbtxt
  detray diagnose gt.json exported/saved_model --images pictures/
  detray run --config configs/voc.yaml --set dataset.root=VOC2012
  detray demo

exit codes: 0 done, 1 findings at or above --fail-on, 2 usage, configuration or a path that is not
there, 3 anything that failed later
"""


def parser_for(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """The parser, with all flags of the verb that ``arguments`` name."""
    parser = argparse.ArgumentParser(
        prog="detray",
        description="Why is this class at zero? Audit, evaluate, diagnose and tune object detectors.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"detray {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    asked = next((one for one in arguments if not one.startswith("-")), None)
    for verb, about in VERBS.items():
        one = verbs.add_parser(
            verb,
            help=about.text,
            description=f"{about.text[0].upper()}{about.text[1:]}.",
            epilog=_epilog(verb, about),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        _add_files(one, verb)
        _add_common(one)
        if verb == asked:
            _add_flags(one, verb)
    demo = verbs.add_parser(
        "demo",
        help="draw a data set, plant faults, run everything on it",
        description="Draw a data set of real pictures, plant known faults in a copy, run everything on both, and say"
        " which faults were found and what the tuning gained. Everything lands under out/demo.",
    )
    _add_common(demo)
    _add_init(verbs.add_parser("init", help="write a configuration for a data set", description=_INIT))
    _add_compare(
        verbs.add_parser(
            "compare", help="output folders side by side: before and after", description=_COMPARE,
            epilog=_COMPARE_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )  # fmt: skip
    _add_review(
        verbs.add_parser(
            "review", help="what is suspected, for FiftyOne, Label Studio, CVAT or COCO", description=_REVIEW,
            epilog=_REVIEW_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )  # fmt: skip
    _add_sql(
        verbs.add_parser(
            "sql", help="query the tables of all runs below a folder (DuckDB)", description=_SQL,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )  # fmt: skip
    status = verbs.add_parser(
        "status", help="how far the run in an output folder is, and what is complete", description=_STATUS
    )
    status.add_argument("output", metavar="OUTPUT", help="folder or URI of the results")
    status.add_argument("--json", action="store_true", help="as JSON")
    status.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    schema = verbs.add_parser(
        "schema", help="print every table: columns, types, units, meaning", description="Print the tables' columns."
    )
    schema.add_argument("table", nargs="?", help="one table only")
    schema.add_argument("--json", action="store_true", help="as JSON")
    schema.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    return parser


_STATUS = "The stages of an output folder, and who runs there, at which task of which step; from any machine."
_COMPARE = (
    "Compare output folders: classes, causes, findings, settings and annotations, as tables and one page.\n"
    "Every difference is a later folder less the first one."
)
_COMPARE_EXAMPLES = """examples:
  detray compare out/before out/after
  detray compare out/today --baseline out/main --fail-if-worse .01

exit codes: as of the other verbs, and 1 where a class is worse than --fail-if-worse allows"""


def _add_compare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folders", nargs="+", metavar="OUT", help="output folders, the earliest first")
    parser.add_argument("--baseline", metavar="OUT", help="the folder before all others")
    parser.add_argument(
        "--fail-if-worse",
        metavar="AP",
        type=float,
        help="exit 1 where the AP of a class, or their mean, fell by more, and its interval leaves no doubt of it",
    )
    parser.add_argument("--output", metavar="DIR", help="folder of the results (default: out/compare)")
    parser.add_argument("--json", action="store_true", help="the summary as JSON on standard output")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")


_REVIEW = (
    "Write what is suspected in an output folder for the tool that people look at boxes with. What they save there\n"
    "goes back with detray clean --decisions FILE: docs/review.md."
)
_REVIEW_EXAMPLES = """examples:
  detray review out/voc --to fiftyone
  detray review out/voc --to label-studio --pictures http://localhost:8081/ --most 500
  detray clean --output out/voc --decisions project-1.json"""


def _add_review(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("output", metavar="OUTPUT", help="folder or URI of the results")
    parser.add_argument("--to", metavar="TOOL", required=True, help="fiftyone, label-studio, cvat or coco")
    parser.add_argument("--into", metavar="DIR", help="folder of the export (default: OUTPUT/review/TOOL)")
    parser.add_argument(
        "--pictures",
        metavar="PREFIX",
        help="what stands before a picture's name, as its image folder has it, where the tool finds it: a folder with"
        " its slash, an address (default: where it lies)",
    )
    parser.add_argument(
        "--most", metavar="N", type=int, default=5000, help="suspects and findings at most (default: 5000)"
    )
    parser.add_argument(
        "--min-score", metavar="N", type=float, default=0.1, help="suspects of a lower score are left out (default: .1)"
    )
    parser.add_argument("--misses", action="store_true", help="ask about boxes that the detector misses too")
    parser.add_argument("--all", action="store_true", help="write the pictures that nothing is asked about too")
    parser.add_argument("--json", action="store_true", help="the summary as JSON on standard output")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")


_SQL = """Query the tables of all runs below a folder, where DuckDB is installed (the extra sql). Each table is a
view with a column output, the folder of its run; matches_named, findings_pictured and classes_diagnosed are joins of
them.

examples:
  detray sql "SELECT category_name, ap, cause FROM classes_diagnosed ORDER BY ap" --output out/voc
  detray sql "SELECT rule, count(*) AS n FROM findings_pictured GROUP BY rule" """


def _add_sql(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("query", metavar="QUERY", help="SQL of DuckDB")
    parser.add_argument("--output", metavar="DIR", default="out", help="folder of a run, or of many (default: out)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)


_INIT = (
    "Write a configuration for a data set: what was recognised, and each key with what it means. It runs as it is:"
    " detray run --config FILE."
)


def _add_init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="the folder of a data set, or annotation files")
    _add_data(parser)
    parser.add_argument("--output", metavar="FILE", help="what is written (default: configs/NAME.yaml)")
    parser.add_argument("--force", action="store_true", help="write it even if it is there")
    parser.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)


def _epilog(verb: str, about: Verb) -> str:
    examples = "\n".join(f"  detray {verb} {text}" for text in about.examples)
    sections = ", ".join(("dataset", *about.sections))
    keys = (
        f"configuration: the sections {sections}. Every key, with its meaning and default: docs/configuration.md;"
        " detray init FOLDER writes a file that holds them. A flag writes the key that it names, over --config and"
        " below --set."
    )
    return f"examples:\n{examples}\n\n{textwrap.fill(keys, 80)}"


class _Flag(argparse.Action):
    """Keeps flags as they are stated: pairs of flag and text."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        namespace.flags = [*(getattr(namespace, "flags", None) or []), (self.option_strings[0], values)]


def flags_of(verb: str) -> dict[str, list[Key]]:
    """The flags of a verb with the keys that each writes, those of its own section first."""
    from detray.keys import keys
    from detray.verbs.config import Config

    found: dict[str, list[Key]] = {}
    sections = VERBS[verb].sections if verb in VERBS else ()
    flagged = [key for key in keys(Config) if key.flag and key.path.partition(".")[0] in sections]
    for key in sorted(flagged, key=lambda key: sections.index(key.path.partition(".")[0])):
        found.setdefault(str(key.flag), []).append(key)
    return found


def _add_flags(parser: argparse.ArgumentParser, verb: str) -> None:
    group = parser.add_argument_group("keys of the configuration, lists with commas")
    for flag, written in flags_of(verb).items():
        first = written[0]
        paths = ", ".join(key.path for key in written)
        values = first.default if not first.is_list_of_text else ",".join(map(str, first.default))  # type: ignore[call-overload]
        default = "none" if values in (None, "") else values
        text = f"{first.meaning} [{paths}, default {default}]"
        group.add_argument(flag, action=_Flag, metavar=_metavar(first), dest="flags", help=text.replace("%", "%%"))


def _metavar(key: Key) -> str:
    if key.is_list_of_text:
        return "A,B"
    return "N" if key.values.startswith(("integer", "number")) else "VALUE"


def _add_files(parser: argparse.ArgumentParser, verb: str) -> None:
    plain = parser.add_argument_group("plain files (--config may then hold the rest)")
    if verb in ("evaluate", "diagnose", "predict", "clean", "report", "run"):
        parser.add_argument(
            "files", nargs="*", metavar="FILE", help="ground truth, then detections (COCO results JSON) or a model"
        )
    else:
        parser.add_argument("files", nargs="*", metavar="FILE", help="annotation files, or the folder of a data set")
    _add_data(plain)
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


def _add_data(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--images", metavar="DIR", help="folder of the pictures; beside files none is opened without it"
    )
    parser.add_argument("--train", metavar="FILE", help="training annotations: the split train")
    parser.add_argument("--format", metavar="NAME", help="the annotations' format, where it is not recognised")
    parser.add_argument("--label-map", metavar="FILE", help="label map of the model: .pbtxt, .yaml, .txt or .json")
    parser.add_argument(
        "--pipeline",
        metavar="FILE",
        help="pipeline.config of the TF2 Object Detection API to check; without FILES the data are what it reads",
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
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the results of another data set in the output folder"
    )
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
