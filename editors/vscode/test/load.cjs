// The bundle is loaded as VS Code does it, with an empty `vscode`: what it exports, as JSON on standard output.
const Module = require("node:module");
const path = require("node:path");

const thing = () =>
  new Proxy(class {}, {
    get: (own, key) => (key in own || typeof key === "symbol" ? own[key] : thing()),
    apply: () => thing(),
  });
const vscode = new Proxy({}, { get: (_, key) => (key === "__esModule" ? true : thing()) });
const load = Module._load;
Module._load = (name, ...rest) => (name === "vscode" ? vscode : load(name, ...rest));
console.log(JSON.stringify(Object.keys(require(path.join(__dirname, "../dist/extension.js")))));
