"""``detray tune`` with the TF2 Object Detection API itself as the program of the trainer ``command``.

Run ``python benchmarks/object_detection_api.py PYTHON FOLDER``. PYTHON is the interpreter of an environment in which
the package ``object_detection`` trains and exports (it does not go with this project's own packages). FOLDER holds
pipeline.config, train.record, val.record and label_map.pbtxt, which the first names as ``DATA/train.record`` and so
on. Two trials, the baseline and one of another focal gamma, of ``--steps`` steps each, with the very script that
docs/tuning.md shows; what became of each is printed. ``--steps 10`` took 14 minutes on two busy cores.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from detray.settings import to_yaml
from detray.store import Store

PAGE = Path(__file__).parents[1] / "docs" / "tuning.md"
TOOLS = ("model_main_tf2", "exporter_main_v2")
LAUNCHER = '''"""The tool {name} of the installed package, where TensorFlow has no estimators any more."""
import os, runpy, sys, types
os.environ["TF_USE_LEGACY_KERAS"] = "1"
import tensorflow.compat.v1 as tf
if not hasattr(tf, "estimator"):
    Any = type("Any", (), {{"__init__": lambda self, *args, **named: None}})
    names = ("TPUEstimatorSpec", "TPUEstimator", "InputPipelineConfig", "RunConfig", "TPUConfig")
    tf.estimator = types.SimpleNamespace(
        tpu=types.SimpleNamespace(**dict.fromkeys(names, Any)), EstimatorSpec=Any, Estimator=Any, RunConfig=Any,
        ModeKeys=types.SimpleNamespace(TRAIN="train", EVAL="eval", PREDICT="infer"),
        export=types.SimpleNamespace(ServingInputReceiver=Any, TensorServingInputReceiver=Any, PredictOutput=Any),
    )
runpy.run_module("object_detection.{name}", run_name="__main__", alter_sys=True)
'''


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("python", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--gamma", type=float, default=1.0, help="of the second trial")
    parser.add_argument("--focus", default="Platelets")
    parser.add_argument("--work", type=Path, help="folder for what is trained; default: a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        run(options, (options.work or Path(made)).resolve())


def run(options: argparse.Namespace, work: Path) -> None:
    """Tune, and tell what the table trials says."""
    tools = work / "models" / "research" / "object_detection"
    tools.mkdir(parents=True, exist_ok=True)
    for name in TOOLS:
        (tools / f"{name}.py").write_text(LAUNCHER.format(name=name))
    script = PAGE.read_text().partition("```python\n")[2].partition("```")[0]
    (work / "od_trial.py").write_text(script.replace("checkpoint_every_n=1000", f"checkpoint_every_n={options.steps}"))
    stated = (options.folder / "pipeline.config").read_text().replace("DATA/", f"{options.folder.resolve()}/")
    (work / "pipeline.config").write_text(re.sub(r"num_steps: \d+", f"num_steps: {options.steps}", stated))
    command = {"run": [str(options.python.absolute()), "od_trial.py", "{config}", "{output}"], "reports": "models"}
    command |= {"folder": str(work), "config": str(work / "pipeline.config")}
    tune = {"trainer": "command", "command": command, "focus": [options.focus], "trials": 2, "search": "grid"}
    tune |= {"space": {"focal_gamma": [options.gamma]}, "scheduler": "none", "proof_seeds": 0, "proof_split": "val"}
    config = {"dataset": {"root": "/", "pipeline": str(work / "pipeline.config")}, "tune": tune, "train": {"epochs": 2}}
    (work / "config.yaml").write_text(to_yaml(config))
    start = perf_counter()
    argv = [sys.executable, "-m", "detray", "tune", "--serial", "--config", str(work / "config.yaml")]
    done = subprocess.run([*argv, "--output", str(work / "out")], check=False)
    print(f"exit code {done.returncode} after {perf_counter() - start:.0f} s")
    if done.returncode:
        return
    store = Store(str(work / "out"))
    for row in store.read("trials").to_pylist():
        print(
            row["trial_id"], row["status"], f"changes {row['changes']}", f"{row['epochs']} reports", row["error"] or ""
        )
    for row in store.read("trial_class_metrics").to_pylist():
        print(row["trial_id"], row["epoch"], row["category_name"], row["ap50"], row["class_loss"], row["box_loss"])


if __name__ == "__main__":
    main()
