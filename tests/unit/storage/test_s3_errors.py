"""What an S3 server answers becomes an error that says what to do."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from distillery_storage import AccessDenied, NotFound, Prefix, StorageError, Unavailable, open_prefix

BODY = b'<?xml version="1.0"?>\n<Error><Code>%s</Code><Message>the store says so</Message></Error>'


class Refusing(BaseHTTPRequestHandler):
    """Answers every request with the status that the path names: /bucket/<status>/..."""

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        status = int(self.path.split("/")[2])
        self.send_response(status)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    do_GET = do_PUT = do_POST = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def aws(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ENDPOINT_URL": endpoint, "ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)


@pytest.mark.parametrize(
    ("status", "call", "error", "says"),
    [
        pytest.param(403, lambda p: p.read("x"), AccessDenied, "check the keys", id="read refused"),
        pytest.param(403, lambda p: p.write("x", b""), AccessDenied, "check the keys", id="write refused"),
        pytest.param(404, lambda p: p.read("x"), NotFound, "check the bucket", id="no object"),
        pytest.param(404, lambda p: p.write("x", b""), NotFound, "check the bucket", id="no bucket"),
        pytest.param(400, lambda p: p.write("x", b""), StorageError, "the store says so", id="bad request"),
    ],
)
def test_s3_answer(
    aws: None, status: int, call: Callable[[Prefix], object], error: type[StorageError], says: str
) -> None:
    with pytest.raises(StorageError, match=says) as caught:
        call(open_prefix(f"s3://bucket/{status}"))
    assert type(caught.value) is error
    assert f"s3://bucket/{status}/x" in str(caught.value)


def test_plain_http_is_refused_where_the_endpoint_is_https(
    aws: None, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.replace("http://", "ftp://"))
    with pytest.raises((StorageError, Unavailable)):
        open_prefix("s3://bucket/404").read("x")
