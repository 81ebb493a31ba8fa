// The same by node, on the port that $PORT says.
import { createServer } from "node:http";

function total(text) {
  try {
    const { items } = JSON.parse(text);
    const cents = items.reduce((sum, item) => sum + item.quantity * item.cents, 0);
    return [200, JSON.stringify({ items: items.length, cents }) + "\n"];
  } catch {
    return [400, '{"error":"no order"}\n'];
  }
}

createServer((request, response) => {
  let text = "";
  request.on("data", (piece) => (text += piece));
  request.on("end", () => {
    const [status, answer] = total(text);
    response.writeHead(status, { "Content-Type": "application/json", "Content-Length": answer.length });
    response.end(answer);
  });
}).listen(Number(process.env.PORT));
