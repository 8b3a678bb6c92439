"""A service as small as the contract allows: ready at once, ended by SIGTERM; `GET /exit` makes it end with code 3."""

import os
from http.server import BaseHTTPRequestHandler, HTTPServer

EXIT_CODE = 3


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        """Answer every question with 200 and nothing."""
        if self.path == "/exit":
            os._exit(EXIT_CODE)
        self.send_response(200)
        self.end_headers()


if __name__ == "__main__":
    HTTPServer((os.environ["KUBERNAUT_BIND"], int(os.environ["KUBERNAUT_HEALTH_PORT"])), Handler).serve_forever()
