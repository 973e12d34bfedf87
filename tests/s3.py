"""An S3 on this machine for tests and benchmarks: moto's, which counts requests, can be slow, and can fail some.

``python tests/s3.py PORT [HOST]`` says where it is and serves until it is killed (port 0: one that is free).
``PUT /_s3`` takes what it is to do from then on (``{"fail": 0.1, "seconds": 0.02}``), ``GET /_s3`` says how many
requests of each kind came since and starts anew.
"""

import json
import os
import random
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BUCKET = "bucket"
CONTROL = "/_s3"
SLOW_DOWN = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>SlowDown</Code><Message>Please reduce your request rate.'
    b"</Message><RequestId>1</RequestId><HostId>detray</HostId></Error>"
)


class Counted:
    """A WSGI application around moto's."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._counts: Counter[str] = Counter()
        self._random = random.Random(0)
        self._fail = self._seconds = 0.0

    def __call__(self, environ: dict[str, Any], start: Any) -> Any:
        if environ["PATH_INFO"] == CONTROL:
            return self._control(environ, start)
        self._counts[kind(environ)] += 1
        if self._seconds:
            time.sleep(self._seconds)
        if self._random.random() < self._fail:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            self._counts["503"] += 1
            start("503 Slow Down", [("Content-Type", "application/xml"), ("Content-Length", str(len(SLOW_DOWN)))])
            return [SLOW_DOWN]
        return self._application(environ, start)

    def _control(self, environ: dict[str, Any], start: Any) -> list[bytes]:
        answer = json.dumps(self._counts).encode()
        self._counts.clear()
        if environ["REQUEST_METHOD"] == "PUT":
            asked = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
            self._fail, self._seconds = asked.get("fail", 0.0), asked.get("seconds", 0.0)
        start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
        return [answer]


def kind(environ: dict[str, Any]) -> str:
    """What a request is, as one is billed and as one thinks of it."""
    method, path, query = environ["REQUEST_METHOD"], environ["PATH_INFO"], environ.get("QUERY_STRING", "")
    if method == "GET" and path.strip("/").count("/") == 0:
        return "LIST"
    if "uploadId=" in query or "uploads" in query:
        return "MULTIPART"
    if method == "PUT" and "HTTP_X_AMZ_COPY_SOURCE" in environ:
        return "COPY"
    if method == "PUT" and path.endswith("/"):
        return "MARKER"
    return method


def serve(port: int, host: str) -> None:
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"

        def log(self, *args: Any) -> None:
            """Nothing for each request."""

    application = Counted(DomainDispatcherApplication(create_backend_app))
    server = make_server(host, port, application, threaded=True, request_handler=Quiet)
    print(f"http://{host}:{server.server_port}", flush=True)
    server.serve_forever()


class Server:
    """A server that runs, as those who use it see it."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint

    @property
    def environment(self) -> dict[str, str]:
        """By which any client finds it."""
        return {
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def counts(self) -> Counter[str]:
        """Requests by kind since this was asked last."""
        return Counter(json.loads(self._ask(CONTROL, "GET")))

    def behave(self, *, fail: float = 0.0, seconds: float = 0.0) -> None:
        """From now on answer 503 to this share of requests, and to each so much later; counts begin anew."""
        self._ask(CONTROL, "PUT", json.dumps({"fail": fail, "seconds": seconds}).encode())

    def make_bucket(self) -> None:
        self._ask(f"/{BUCKET}", "PUT")

    def _ask(self, path: str, method: str, data: bytes | None = None) -> bytes:
        request = urllib.request.Request(self.endpoint + path, data, method=method)  # noqa: S310 - http, of our own
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            content: bytes = answer.read()
        return content


@contextmanager
def running(host: str = "127.0.0.1") -> Iterator[Server]:
    """A server in a process of its own, with an empty bucket `BUCKET`."""
    process = subprocess.Popen([sys.executable, __file__, "0", host], stdout=subprocess.PIPE, text=True)
    try:
        # it takes the port and then names it: of one found free beforehand, two tests at once may think the same
        assert process.stdout
        endpoint = process.stdout.readline().strip()
        assert endpoint, "moto's server does not start"
        server = Server(endpoint)
        server.make_bucket()
        yield server
    finally:
        process.kill()
        process.communicate(timeout=30)


if __name__ == "__main__":
    os.environ.setdefault("MOTO_S3_CUSTOM_ENDPOINTS", "")
    sys.path = [place for place in sys.path if place != str(Path(__file__).parent)]
    serve(int(sys.argv[1]), *(sys.argv[2:] or ["127.0.0.1"]))
