// An order's total, as a component: what componentize-js makes of it answers requests for wasi:http.
function total(text) {
  try {
    const { items } = JSON.parse(text);
    const cents = items.reduce((sum, item) => sum + item.quantity * item.cents, 0);
    return [200, JSON.stringify({ items: items.length, cents }) + "\n"];
  } catch {
    return [400, '{"error":"no order"}\n'];
  }
}

addEventListener("fetch", (event) => event.respondWith(answer(event.request)));

async function answer(request) {
  const [status, text] = total(await request.text());
  return new Response(text, { status, headers: { "Content-Type": "application/json" } });
}
