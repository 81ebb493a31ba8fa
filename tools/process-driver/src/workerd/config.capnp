# What `workerd serve` is told: one worker on one socket, which this driver makes and hands over. It may not go out to any network.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "main", worker = .main),
    (name = "nowhere", network = (allow = [])),
  ],
  sockets = [(name = "http", address = "unix:unused", http = (), service = "main")],
);

const main :Workerd.Worker = (
  modules = [
    (name = "main.mjs", esModule = embed "main.mjs"),
    (name = "run.mjs", esModule = embed "run.mjs"),
    (name = "run.txt", text = embed "run.mjs"),
    (name = "function.wasm", wasm = embed "function.wasm"),
    (name = "function.bytes", data = embed "function.wasm"),
  ],
  bindings = [(name = "LOADER", workerLoader = ())],
  globalOutbound = "nowhere",
  compatibilityDate = "2026-01-01",
  compatibilityFlags = ["experimental"],
);
