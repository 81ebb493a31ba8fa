"""An order's total, as a component: what componentize-py makes of it answers requests for wasi:http."""

import json

from wit_world import exports
from componentize_py_types import Ok
from wit_world.imports.types import Fields, OutgoingBody, OutgoingResponse, ResponseOutparam


def total(text):
    try:
        items = json.loads(text)["items"]
        cents = sum(item["quantity"] * item["cents"] for item in items)
    except (ValueError, KeyError, TypeError):
        return 400, '{"error": "no order"}\n'
    return 200, json.dumps({"items": len(items), "cents": cents}) + "\n"


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
