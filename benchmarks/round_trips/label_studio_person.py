"""A person in Label Studio, whose own server this starts on the loopback address: see fiftyone_person.py for the plan.

The export goes in by the import API, each task's prediction becomes an annotation, as its page does it, with what the
plan says done to the regions, and the project comes out by the export API.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from importlib.metadata import version
from pathlib import Path
from typing import Any

from label_studio_sdk.label_interface import LabelInterface

TOKEN = "0123456789abcdef0123456789abcdef01234567"  # noqa: S105 - of a server that lives for this run
SIDES = ("x", "y", "width", "height")
SECONDS = 600


def main(folder: Path, plan: Path, saved: Path) -> None:
    config, tasks = (folder / "config.xml").read_text(), json.loads((folder / "tasks.json").read_text())
    interface = LabelInterface(config)
    interface.validate()
    for task in tasks:  # by Label Studio's own words on what a task and a prediction are
        is_task = interface.validate_task({"data": task["data"]})
        if not is_task or not all(map(interface.validate_prediction, task["predictions"])):
            raise ValueError(f"not a task of this project: {task}")
    with tempfile.TemporaryDirectory() as place, Server(Path(place)) as server:
        project = server.call("POST", "/api/projects", {"title": "review", "label_config": config})["id"]
        server.call("POST", f"/api/projects/{project}/import", tasks)
        submit(server, project, json.loads(plan.read_text()))
        saved.write_bytes(server.read(f"/api/projects/{project}/export?exportType=JSON&download_all_tasks=true"))
        print(f"Label Studio {version('label-studio')}")


class Server:
    """Label Studio on this machine, while it is needed."""

    def __init__(self, place: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        stated = {
            "LABEL_STUDIO_BASE_DATA_DIR": str(place),
            "LABEL_STUDIO_USERNAME": "person@example.com",
            "LABEL_STUDIO_PASSWORD": "of-this-run-alone",
            "LABEL_STUDIO_USER_TOKEN": TOKEN,
            "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
            "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
            "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": "/",
            "COLLECT_ANALYTICS": "false",
            "LATEST_VERSION_CHECK": "false",
            "SENTRY_DSN": "",
            "FRONTEND_SENTRY_DSN": "",
        }
        program = Path(sys.executable).parent / "label-studio"
        self.process = subprocess.Popen(
            [program, "start", "--no-browser", "--port", str(self.port), "--internal-host", "127.0.0.1"],
            env=os.environ | stated, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def __enter__(self) -> "Server":
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            try:
                self.call("GET", "/api/projects")
                return self
            except OSError:  # it makes its database first
                time.sleep(1)
        self.__exit__()
        raise TimeoutError(f"Label Studio does not answer within {SECONDS} s")

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        self.process.wait(30)

    def call(self, method: str, path: str, data: Any = None) -> Any:
        return json.loads(self.read(path, method, None if data is None else json.dumps(data).encode()))

    def read(self, path: str, method: str = "GET", data: bytes | None = None) -> bytes:
        headers = {"Authorization": f"Token {TOKEN}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 - of the server above
            return answer.read()


def submit(server: Server, project: int, steps: list[list[Any]]) -> None:
    listed = server.call("GET", f"/api/tasks?project={project}&page_size=100000&fields=all")["tasks"]
    for row in listed:
        task = server.call("GET", f"/api/tasks/{row['id']}")
        regions = [{k: v for k, v in one.items() if k != "score"} for one in task["predictions"][0]["result"]]
        result = list(regions)
        for op, where, value in steps:
            if op == "add" and where == Path(task["data"]["image"].partition("?d=")[2]).name:
                size = (regions[0]["original_width"], regions[0]["original_height"])
                shares = [100 * side / size[place % 2] for place, side in enumerate(value[1])]
                drawn = dict(zip(SIDES, shares, strict=True)) | {"rotation": 0, "rectanglelabels": [value[0]]}
                new = {name: item for name, item in regions[0].items() if name != "meta"}
                result.append(new | {"id": "drawn", "value": drawn})
            for region in regions if op != "add" else ():
                if region["id"].rpartition("-")[2] == str(where):
                    result = done(result, region, op, value)
        server.call("POST", f"/api/tasks/{row['id']}/annotations", {"result": result, "lead_time": 1})


def done(result: list[dict[str, Any]], region: dict[str, Any], op: str, value: Any) -> list[dict[str, Any]]:
    """What is left of a result after a step at one of its regions."""
    if op == "delete":
        return [one for one in result if one["id"] != region["id"]]
    if op == "say":
        chosen = {name: one for name, one in region["value"].items() if name != "rectanglelabels"}
        return [*result, region | {"type": "choices", "from_name": "decision", "value": chosen | {"choices": [value]}}]
    if op == "relabel":
        region["value"]["rectanglelabels"] = [value]
    else:
        size = (region["original_width"], region["original_height"])
        shares = [100 * side / size[place % 2] for place, side in enumerate(value)]
        region["value"] |= dict(zip(SIDES, shares, strict=True))
    return result


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
