"""The cluster files pass Ray's own validation, and hold what a cluster for detray needs."""

import re
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
CLOUDS = (ROOT / "cluster.yaml", ROOT / "configs" / "cluster" / "gcp.yaml")
LAUNCHED = (*CLOUDS, ROOT / "configs" / "cluster" / "on-premises.yaml")


def loaded(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


@pytest.mark.parametrize("path", LAUNCHED, ids=lambda path: path.stem)
def test_the_launcher_takes_it(path: Path) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(loaded(path))
    validate_config(prepared)
    assert prepared["head_node_type"] in prepared["available_node_types"]


@pytest.mark.parametrize("path", LAUNCHED, ids=lambda path: path.stem)
def test_who_has_no_token_runs_nothing(path: Path) -> None:
    config = loaded(path)
    assert config["file_mounts"] == {"/root/.ray/auth_token": "~/.ray/auth_token"}
    starts = config["head_start_ray_commands"][-1], config["worker_start_ray_commands"][-1]
    assert all("RAY_AUTH_MODE=token ray start" in command for command in starts)
    assert "--num-cpus=0" in starts[0]
    assert "--dashboard-host=127.0.0.1" in starts[0]


@pytest.mark.parametrize("path", CLOUDS, ids=lambda path: path.stem)
def test_workers_come_and_go_by_kind(path: Path) -> None:
    config = loaded(path)
    types = config["available_node_types"]
    assert types["head"]["resources"] == {"CPU": 0}
    assert types["gpu"]["resources"]["GPU"] == 1
    assert types["gpu"]["docker"]["worker_image"].endswith(":cuda")
    assert all(kind["min_workers"] == 0 for kind in types.values())
    text = str(types["gpu"]["node_config"]).lower()
    assert "spot" in text
    for kind in types.values():  # each may use the bucket by what it is, without a key
        assert {"IamInstanceProfile", "serviceAccounts"} & kind["node_config"].keys()


def test_the_manifest_for_kubernetes() -> None:
    manifest = loaded(ROOT / "configs" / "cluster" / "kuberay.yaml")
    assert (manifest["apiVersion"], manifest["kind"]) == ("ray.io/v1", "RayJob")
    cluster = manifest["spec"]["rayClusterSpec"]
    assert cluster["rayVersion"] == metadata.version("ray")
    assert cluster["enableInTreeAutoscaling"] is True
    assert cluster["authOptions"] == {"mode": "token"}
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        spec = group["template"]["spec"]
        (container,) = spec["containers"]
        assert {"name", "image", "resources", "volumeMounts"} <= container.keys()
        assert container["resources"]["requests"]["memory"] == container["resources"]["limits"]["memory"]
        assert [volume["name"] for volume in spec["volumes"]] == ["shm"]
    groups = {group["groupName"]: group for group in cluster["workerGroupSpecs"]}
    gpu = groups["gpu"]["template"]["spec"]["containers"][0]
    assert gpu["image"].endswith(":cuda")
    assert gpu["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert all(group["minReplicas"] <= group["replicas"] <= group["maxReplicas"] for group in groups.values())


def test_the_image_is_pinned_and_both_locks_agree() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^FROM python:3\.11\.\d+-slim-bookworm$", text, re.MULTILINE)
    assert "--require-hashes" in text
    cpu, cuda = (
        dict(re.findall(r"^([a-z0-9_.-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))
        for name in ("requirements.lock", "requirements.cuda.lock")
    )
    assert cpu.items() <= cuda.items()
    assert all(name.startswith("nvidia-") for name in cuda.keys() - cpu.keys())
