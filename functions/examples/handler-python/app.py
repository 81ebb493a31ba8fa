"""An order's total, on either side: natively this is a script that serves on the port that $PORT says, and of the module
componentize-py makes a component that answers requests for wasi:http. They differ in how a request comes in, by their end."""

import json


def total(text):
    try:
        items = json.loads(text)["items"]
        cents = sum(item["quantity"] * item["cents"] for item in items)
    except (ValueError, KeyError, TypeError):
        return 400, '{"error": "no order"}\n'
    return 200, json.dumps({"items": len(items), "cents": cents}) + "\n"


if __name__ == "__main__":
    import os
    from http.server import BaseHTTPRequestHandler, HTTPServer

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

    HTTPServer(("", int(os.environ["PORT"])), Handler).serve_forever()
else:
    from componentize_py_types import Ok
    from wit_world import exports
    from wit_world.imports.types import Fields, OutgoingBody, OutgoingResponse, ResponseOutparam

    class IncomingHandler(exports.IncomingHandler):
        def handle(self, request, response_out):
            with request.consume() as body, body.stream() as stream:
                text = read_all(stream)
            status, answer = total(text)
            response = OutgoingResponse(Fields.from_list([("content-type", b"application/json")]))
            response.set_status_code(status)
            body = response.body()
            ResponseOutparam.set(response_out, Ok(response))
            with body.write() as stream:
                stream.blocking_write_and_flush(answer.encode())
            OutgoingBody.finish(body, None)

    def read_all(stream):
        pieces = []
        while True:
            try:
                pieces.append(stream.blocking_read(65536))
            except Exception:  # its end is told so
                return b"".join(pieces)
