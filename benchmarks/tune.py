"""What a tuning costs and what it is worth: five measurements, each a sub-command, ``wins`` where none is named.

``python benchmarks/tune.py wins`` (some minutes on one core): how often equal configurations are told apart; with
``--real 40`` also by trainings of the small network (hours).
``python benchmarks/tune.py overhead`` (ten minutes, nearly idle): N trainings on k slots against N one by one.
``python benchmarks/tune.py asha``, ``spaces`` and ``cells BCCD`` train the small network (an hour, a day, an hour):
asynchronous halving against none; the space that follows from the diagnosis against a fixed one and plain random over
all levers, with ten planted weaknesses; and BCCD with Platelets thinned to 20 boxes.
"""

import argparse
import sys
import tempfile
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="folder for what is trained; default: a temporary one")
    commands = parser.add_subparsers(dest="command")
    wins = commands.add_parser("wins")
    wins.add_argument("--proofs", type=int, default=200)
    wins.add_argument("--real", type=int, default=0, help="proofs with real trainings")
    wins.add_argument("--networks", type=int, default=24, help="of these")
    wins.add_argument("--processes", type=int, default=2, help="that train them")
    overhead = commands.add_parser("overhead")
    overhead.add_argument("--trials", type=int, default=8)
    overhead.add_argument("--seeds", type=int, default=2, help="of the proof")
    overhead.add_argument("--slots", type=int, default=2)
    overhead.add_argument("--seconds", type=float, default=4.0, help="an epoch, of five")
    overhead.add_argument("--repeats", type=int, default=3)
    asha = commands.add_parser("asha")
    asha.add_argument("--trials", type=int, default=16)
    asha.add_argument("--seeds", type=int, default=4, help="of the proof, whose interval is printed")
    spaces = commands.add_parser("spaces")
    spaces.add_argument("--trials", type=int, default=16)
    spaces.add_argument("--only", nargs="*", default=[], help="weaknesses")
    cells = commands.add_parser("cells")
    cells.add_argument("folder", type=Path, help="BCCD")
    cells.add_argument("--trials", type=int, default=8)
    cells.add_argument("--epochs", type=int, default=20)
    cells.add_argument("--size", type=int, nargs=2, default=[192, 256], help="height and width of the input, px")
    cells.add_argument("--seeds", type=int, default=4)
    cells.add_argument(
        "--command", dest="by_command", action="store_true", help="a program trains (tuned/points.py), and not detray"
    )
    for one, epochs in ((wins, 8), (asha, 16), (spaces, 16)):
        one.add_argument("--pictures", type=int, default=300, help="to train on, and half as many to judge on")
        one.add_argument("--epochs", type=int, default=epochs)
    options = parser.parse_args(sys.argv[1:] or ["wins"])
    with tempfile.TemporaryDirectory() as made:
        run(options, (options.work or Path(made)).resolve())


def run(options: argparse.Namespace, work: Path) -> None:
    def tell(line: str) -> None:
        print(line, flush=True)

    if options.command == "wins":
        from tuned import wins

        wins.report(options.proofs, tell)
        if options.real:
            from tuned import trained_wins

            made = trained_wins.Made(work, options.pictures, options.processes)
            trained_wins.report(options.real, options.networks, options.epochs, made, tell)
    elif options.command == "overhead":
        from tuned import overhead

        overhead.report(options.trials, options.seeds, options.slots, options.seconds, options.repeats, work, tell)
    elif options.command == "asha":
        from tuned import asha

        asha.report(options.trials, options.pictures, options.epochs, options.seeds, work, tell)
    elif options.command == "spaces":
        from tuned import spaces

        spaces.report(options.trials, options.only, options.pictures, options.epochs, work, tell)
    else:
        from tuned import cells

        own = (options.trials, options.epochs, options.seeds, options.size, options.by_command)
        cells.report(options.folder.resolve(), *own, work, tell)


if __name__ == "__main__":
    sys.exit(main())
