// The worker that workerd has from its start. A request for /own it answers itself; for any other it has a worker made of the
// function's code, which is new for each, and passes the request on to that.
import own from 'run.mjs';
import code from 'run.txt';
import bytes from 'function.bytes';

export default {
  fetch(request, env) {
    if (new URL(request.url).pathname === '/own') return own.fetch(request);
    const worker = env.LOADER.load({
      compatibilityDate: '2026-01-01',
      mainModule: 'run.mjs',
      modules: { 'run.mjs': { js: code }, 'function.wasm': { wasm: bytes } },
      globalOutbound: null,
    });
    return worker.getEntrypoint().fetch(request);
  },
};
