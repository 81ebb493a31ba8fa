// Runs a WASI program in a JavaScript engine that has `node:wasi`, so that it can be a column of poly_bench and py_bench:
//
//     node wasi-host.mjs [--dir HOST::GUEST]... [--env NAME=VALUE]... MODULE [ARGUMENT]...
//
// The module is compiled whole before the program starts, as far as the engine does that; its exit code becomes ours.
import { readFileSync } from 'node:fs';
import { WASI } from 'node:wasi';

const words = process.argv.slice(2);
const preopens = {};
const env = {};
while (words[0] === '--dir' || words[0] === '--env') {
  const [option, value = ''] = words.splice(0, 2);
  const between = option === '--dir' ? '::' : '=';
  const at = value.indexOf(between);
  if (at < 0) {
    console.error(`${option} takes two names with ${between} between them, not \`${value}\``);
    process.exit(2);
  }
  const [first, second] = [value.slice(0, at), value.slice(at + between.length)];
  if (option === '--dir') preopens[second] = first;
  else env[first] = second;
}
if (words.length === 0) {
  console.error('no module: wasi-host.mjs [--dir HOST::GUEST]... [--env NAME=VALUE]... MODULE [ARGUMENT]...');
  process.exit(2);
}
const wasi = new WASI({ version: 'preview1', args: words, env, preopens, returnOnExit: true });
const module = new WebAssembly.Module(readFileSync(words[0]));
const calls = { ...(wasi.getImportObject?.().wasi_snapshot_preview1 ?? wasi.wasiImport) };
// What the engine's WASI has not is refused when it is called, not when the program is loaded.
const NOT_SUPPORTED = 52;
for (const { name } of WebAssembly.Module.imports(module)) calls[name] ??= () => NOT_SUPPORTED;
process.exitCode = wasi.start(new WebAssembly.Instance(module, { wasi_snapshot_preview1: calls }));
