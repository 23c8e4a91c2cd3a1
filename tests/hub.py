"""A hub of our own: the few answers of huggingface.co that a download needs, and its failures."""

import hashlib
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c" * 40


@dataclass
class Served:
    """A file as the hub has it, and how it misbehaves."""

    data: bytes
    sha: str = ""  # what the hub claims; empty: the truth
    size: int | None = None  # what the hub claims; None: the truth
    cuts: list[int] = field(default_factory=list)  # bytes after which each answer breaks off
    status: int = 200
    delay: float = 0.0  # seconds before each 64 KiB
    git: bool = False  # a small file: its ETag is git's hash
    ranges: bool = True
    header: str | None = None  # the ETag as it is sent; None: the hash in quotes
    busy: list[str] = field(default_factory=list)  # Retry-After of the next refusals with 429
    trickle: float = 0.0  # seconds before each byte

    @property
    def etag(self) -> str:
        if self.sha:
            return self.sha
        if self.git:
            return hashlib.sha1(b"blob %d\0" % len(self.data) + self.data).hexdigest()
        return hashlib.sha256(self.data).hexdigest()


class Hub:
    """Serves `files`; `requests` tells what was asked: (method, path, first byte, bytes sent)."""

    def __init__(self) -> None:
        self.files: dict[str, Served] = {}
        self.requests: list[list] = []
        self.tokens: list[str | None] = []  # of each request
        self.redirect = ""  # address that every GET is sent to, followed by the file's name
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_HEAD(self) -> None:
                hub.answer(self, body=False)

            def do_GET(self) -> None:
                hub.answer(self, body=True)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # a client that was killed
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def gets(self, name: str) -> list[list]:
        """First byte and bytes sent of each GET of a file."""
        return [r[2:] for r in self.requests if r[0] == "GET" and r[1].endswith(f"/{name}")]

    def answer(self, to: BaseHTTPRequestHandler, *, body: bool) -> None:
        self.tokens.append(to.headers.get("Authorization"))
        if self.redirect:
            to.send_response(302)
            to.send_header("Location", self.redirect + to.path.rpartition("/")[2])
            to.send_header("Content-Length", "0")
            return to.end_headers()
        repo, _, rest = to.path.partition("/resolve/")
        served = self.files.get(f"{repo.strip('/')}/{rest.partition('/')[2]}")
        if served is None or served.status != 200:
            return self.refuse(to, served.status if served else 404)
        if served.busy:
            return self.refuse(to, 429, served.busy.pop(0))
        wanted = to.headers.get("Range") if served.ranges else None
        start = int(wanted.removeprefix("bytes=").partition("-")[0]) if wanted and body else 0
        record = [to.command, to.path, start, 0]
        self.requests.append(record)
        claimed = len(served.data) if served.size is None else served.size
        to.send_response(206 if start else 200)
        header = f'"{served.etag}"' if served.header is None else served.header
        if header:
            to.send_header("ETag", header)
        to.send_header("X-Repo-Commit", COMMIT)
        to.send_header("Accept-Ranges", "bytes")
        to.send_header("Content-Length", str((len(served.data) if body else claimed) - start))
        if start:
            to.send_header("Content-Range", f"bytes {start}-{claimed - 1}/{claimed}")
        to.end_headers()
        return self.send(to, served, start, record) if body else None

    def send(self, to: BaseHTTPRequestHandler, served: Served, start: int, record: list) -> None:
        stop = start + served.cuts.pop(0) if served.cuts else len(served.data)
        size = 1 if served.trickle else 1 << 16
        for at in range(start, min(stop, len(served.data)), size):
            time.sleep(served.trickle or served.delay)
            piece = served.data[at : min(at + size, stop)]
            try:
                to.wfile.write(piece)
            except OSError:
                break
            record[3] += len(piece)
        if start + record[3] < len(served.data):
            to.close_connection = True  # before all of the promised bytes

    def refuse(self, to: BaseHTTPRequestHandler, status: int, retry_after: str = "") -> None:
        self.requests.append([to.command, to.path, 0, 0])
        to.send_response(status)
        codes = {404: "EntryNotFound", 401: "RepoNotFound", 403: "GatedRepo"}
        to.send_header("X-Error-Code", codes.get(status, ""))
        to.send_header("X-Repo-Commit", COMMIT)
        if retry_after:
            to.send_header("Retry-After", retry_after)
        to.send_header("Content-Length", "0")
        to.end_headers()
