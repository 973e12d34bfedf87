"""What every job file does: run one verb of the command line on the cluster that runs the job."""

import os
import sys
from pathlib import Path


def run(verb: str) -> None:
    """Run ``detray VERB`` with this process's arguments and exit with its code.

    Under ``ray job submit`` the cluster is the one that started this process. The job's working
    directory need not be installed: Ray ships it, and it holds the package.
    """
    root = str(Path(__file__).resolve().parent.parent)
    sys.path.insert(0, root)
    os.environ.setdefault("RAY_ADDRESS", "auto")
    from detray.cli import main

    sys.argv.insert(1, verb)
    sys.exit(main())
