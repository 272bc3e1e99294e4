"""A web server on this machine, in the place of a download mirror."""

import http.server
import threading


class Mirror:
    """Serves `files`; can break off (`cut`), refuse to resume (`ranges`), or serve a wrong file."""

    def __init__(self):
        self.files, self.log = {}, []  # log: (path, first byte asked for)
        self.ranges, self.cut = True, None  # cut: most bytes sent in one answer
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                mirror.answer(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, request):
        asked = request.headers.get("Range", "")
        start = int(asked.removeprefix("bytes=").rstrip("-") or 0)
        self.log.append((request.path[1:], start))
        content = self.files.get(request.path[1:])
        if content is None:
            return request.send_error(404)
        start = start if self.ranges else 0
        if start >= len(content):
            return request.send_error(416)
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", len(content) - start)
        request.end_headers()
        request.wfile.write(content[start:][: self.cut])

    def close(self):
        self.server.shutdown()
        self.server.server_close()
