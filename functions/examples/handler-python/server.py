"""The same natively: the standard library's server on the port that $PORT says."""

import json
import os
from http.server import BaseHTTPRequestHandler, HTTPServer


def total(text):
    try:
        items = json.loads(text)["items"]
        cents = sum(item["quantity"] * item["cents"] for item in items)
    except (ValueError, KeyError, TypeError):
        return 400, '{"error": "no order"}\n'
    return 200, json.dumps({"items": len(items), "cents": cents}) + "\n"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        status, answer = total(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    HTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
