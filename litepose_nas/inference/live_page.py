"""A page that shows a camera as MJPEG: each browser gets the newest frame as fast as it takes them."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from litepose_nas.errors import UserError

HOST, PORT = "127.0.0.1", 8080
WAIT = 5.0  # seconds for a frame until a connection is looked after again
_PAGE = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'">
<title>Camera</title><link rel="icon" href="data:,">
<style>body { margin: 0; background: #12181f; color: #e6edf3; font: 16px/1.5 system-ui, sans-serif; text-align: center }
img { max-width: 100vw; max-height: 92vh; margin: 1vh auto; display: block }</style></head>
<body><img src="stream" alt="what the camera shows, with the people found in it"></body></html>
"""


class LivePage:
    """Serves the page until it is closed; `show` gives it the next frame as a JPEG."""

    def __init__(self, host: str = HOST, port: int = PORT):
        self._frame, self._number, self._over = b"", 0, False
        self._changed = threading.Condition()
        try:
            self._server = ThreadingHTTPServer((host, port), _handler(self))
        except OSError as error:
            raise UserError(
                f"{host}:{port}: no page can be served there ({error.strerror}); choose another with --port"
            ) from error
        self._server.daemon_threads = True
        self.address = f"http://{host}:{self._server.server_address[1]}/"
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    def show(self, jpeg: bytes) -> None:
        with self._changed:
            self._frame, self._number = jpeg, self._number + 1
            self._changed.notify_all()

    def next(self, after: int) -> tuple[int, bytes] | None:
        """The newest frame and its number, if it is above `after`; None when there are no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._over or self._number > after, WAIT)
            return None if self._over else (self._number, self._frame)

    def close(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> LivePage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _handler(page: LivePage) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/":
                self._send("text/html; charset=utf-8", _PAGE)
            elif self.path == "/stream":
                self._stream()
            else:
                self.send_error(404)

        def _send(self, kind: str, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _stream(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            number = 0
            try:
                while (found := page.next(number)) is not None:
                    if found[0] > number:
                        number, jpeg = found
                        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                        self.wfile.write(head.encode() + jpeg + b"\r\n")
            except OSError:  # the browser has gone
                pass

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
