"""cluster.yaml passes the validation that `ray up` does before it touches the cloud."""

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]


def test_cluster_file_passes_rays_validation() -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    prepared = prepare_config(config)
    validate_config(prepared)
    assert prepared["head_node_type"] in prepared["available_node_types"]
    assert any(node["resources"].get("GPU") for node in prepared["available_node_types"].values())


def test_cluster_file_mounts_the_package_and_sets_it_up() -> None:
    config = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    (target,) = config["file_mounts"]
    assert any(f"cd {target} && make setup" in command for command in config["setup_commands"])
    for command in (config["head_start_ray_commands"][-1], config["worker_start_ray_commands"][-1]):
        assert f"{target}/.venv/bin" in command
