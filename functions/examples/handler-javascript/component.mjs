// An order's total, as a component for wasi:http, which answers request after request. (By the event `fetch` an instance of this
// engine answers one only.)
import { Fields, OutgoingBody, OutgoingResponse, ResponseOutparam } from "wasi:http/types@0.2.12";

function total(text) {
  try {
    const { items } = JSON.parse(text);
    const cents = items.reduce((sum, item) => sum + item.quantity * item.cents, 0);
    return [200, JSON.stringify({ items: items.length, cents }) + "\n"];
  } catch {
    return [400, '{"error":"no order"}\n'];
  }
}

// A handle goes at once, not when it is collected: a body is over when its streams are gone.
const drop = (handle) => handle[Symbol.dispose ?? Symbol.for("dispose")]();

function textOf(request) {
  const body = request.consume();
  const stream = body.stream();
  const decoder = new TextDecoder();
  let text = "";
  try {
    for (;;) text += decoder.decode(stream.blockingRead(65536n), { stream: true });
  } catch {
    // Its end is told so.
  }
  drop(stream);
  drop(body);
  return text;
}

export const incomingHandler = {
  handle(request, responseOut) {
    const [status, text] = total(textOf(request));
    const encoder = new TextEncoder();
    const kind = ["content-type", encoder.encode("application/json")];
    const response = new OutgoingResponse(Fields.fromList([kind]));
    response.setStatusCode(status);
    const body = response.body();
    ResponseOutparam.set(responseOut, { tag: "ok", val: response });
    const stream = body.write();
    stream.blockingWriteAndFlush(encoder.encode(text));
    drop(stream);
    OutgoingBody.finish(body, undefined);
  },
};
