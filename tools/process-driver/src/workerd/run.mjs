// A worker that runs the function, a WASI program, once for each request and answers `exit CODE`. The request's body is its
// standard input; where the function waits for more of that it is suspended inside its `main`, and `inside` is answered first.
// Of WASI it has arguments, environment, standard streams, the clock and random bytes, and no files. What it writes is dropped, unless it is to be
// handed back: then the answer goes on with how many bytes that are, and these.
import module from './function.wasm';

// Arguments, the program's name first, and variables as NAME=VALUE: what stands here when it runs is the driver's.
const GIVEN = { args: [], env: [] };

const OK = 0;
const BAD_DESCRIPTOR = 8;
const NOT_SUPPORTED = 52;
const NO_SEEKING = 70;
const STANDARD_STREAMS = 3;

class Exit {
  constructor(code) {
    this.code = code;
  }
}

const imported = WebAssembly.Module.imports(module);
const reads = imported.some((i) => i.name === 'fd_read');

const ended = (texts) => texts.map((text) => new TextEncoder().encode(`${text}\0`));
const args = ended(GIVEN.args);
const env = ended(GIVEN.env);

function system(memory, input, inside, written) {
  const view = () => new DataView(memory().buffer);
  const put = (at, value) => {
    view().setUint32(at, value, true);
    return OK;
  };
  const sizes = (texts) => (count, size) =>
    put(count, texts.length) || put(size, texts.reduce((sum, text) => sum + text.length, 0));
  const texts = (all) => (pointers, buffer) => {
    for (const text of all) {
      put(pointers, buffer);
      new Uint8Array(memory().buffer).set(text, buffer);
      pointers += 4;
      buffer += text.length;
    }
    return OK;
  };
  const stream = (fd) => (fd < STANDARD_STREAMS ? OK : BAD_DESCRIPTOR);
  let left = new Uint8Array(0);
  let asked = 0;
  return {
    proc_exit: (code) => {
      throw new Exit(code);
    },
    args_sizes_get: sizes(args),
    environ_sizes_get: sizes(env),
    args_get: texts(args),
    environ_get: texts(env),
    fd_close: stream,
    fd_seek: () => NO_SEEKING,
    fd_prestat_get: () => BAD_DESCRIPTOR,
    fd_fdstat_get: (fd, at) => {
      new Uint8Array(memory().buffer, at, 24).fill(0);
      view().setUint8(at, 2); // a character device
      view().setBigUint64(at + 8, 0xffffffffn, true);
      return stream(fd);
    },
    fd_write: (fd, list, pieces, count) => {
      let length = 0;
      for (let i = 0; i < pieces; i++) {
        const piece = view().getUint32(list + 8 * i + 4, true);
        length += piece;
        if (written && fd === 1) {
          const at = view().getUint32(list + 8 * i, true);
          written.push(new Uint8Array(memory().buffer, at, piece).slice());
        }
      }
      return put(count, length) || stream(fd);
    },
    // Reads into the first of `pieces` buffers at `list`.
    fd_read: async (fd, list, pieces, count) => {
      if (fd !== 0 || pieces === 0) return BAD_DESCRIPTOR;
      if (left.length === 0) {
        // The first byte is there from the beginning.
        if (asked++ === 1) await inside();
        left = (await input?.read())?.value ?? left;
      }
      const length = Math.min(left.length, view().getUint32(list + 4, true));
      new Uint8Array(memory().buffer).set(left.subarray(0, length), view().getUint32(list, true));
      left = left.subarray(length);
      return put(count, length);
    },
    clock_time_get: (clock, precision, at) => {
      view().setBigUint64(at, BigInt(Date.now()) * 1_000_000n, true);
      return OK;
    },
    random_get: (at, length) => {
      crypto.getRandomValues(new Uint8Array(memory().buffer, at, length));
      return OK;
    },
  };
}

async function run(input, inside, written) {
  let instance;
  const known = system(() => instance.exports.memory, input, inside, written);
  if (reads) known.fd_read = new WebAssembly.Suspending(known.fd_read);
  const imports = { wasi_snapshot_preview1: {} };
  for (const { name } of imported) {
    imports.wasi_snapshot_preview1[name] = known[name] ?? (() => NOT_SUPPORTED);
  }
  try {
    instance = new WebAssembly.Instance(module, imports);
    const start = instance.exports._start;
    await (reads ? WebAssembly.promising(start)() : start());
  } catch (error) {
    if (!(error instanceof Exit)) throw error;
    return error.code;
  }
  return 0;
}

async function answer() {
  const written = [];
  const code = await run(null, null, written);
  const length = written.reduce((sum, piece) => sum + piece.length, 0);
  const head = new TextEncoder().encode(`exit ${code}\n${length}\n`);
  const body = new Uint8Array(head.length + length);
  let at = 0;
  for (const piece of [head, ...written]) {
    body.set(piece, at);
    at += piece.length;
  }
  return new Response(body);
}

export default {
  async fetch(request) {
    if (!request.body) {
      try {
        if (request.url.endsWith('?answer')) return await answer();
        return new Response(`exit ${await run(null, null)}\n`);
      } catch (error) {
        return new Response(String(error), { status: 500 });
      }
    }
    const { readable, writable } = new IdentityTransformStream();
    const writer = writable.getWriter();
    const say = (line) => writer.write(new TextEncoder().encode(line));
    run(request.body.getReader(), () => say('inside\n'))
      .then((code) => say(`exit ${code}\n`))
      .finally(() => writer.close());
    return new Response(readable);
  },
};
