// Files become their tokens' scopes, as VS Code's own engine gives them: a JSON line a file on standard output.
import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const textmate = require("vscode-textmate");
const oniguruma = require("vscode-oniguruma");
const root = path.join(path.dirname(new URL(import.meta.url).pathname), "..");

await oniguruma.loadWASM(fs.readFileSync(require.resolve("vscode-oniguruma/release/onig.wasm")).buffer);
const registry = new textmate.Registry({
  onigLib: Promise.resolve({
    createOnigScanner: (patterns) => new oniguruma.OnigScanner(patterns),
    createOnigString: (text) => new oniguruma.OnigString(text),
  }),
  // No SQL here: what stands in backticks must be told apart where the editor doesn't have that language.
  loadGrammar: async (scope) =>
    scope === "source.mig"
      ? textmate.parseRawGrammar(fs.readFileSync(path.join(root, "syntaxes/mig.tmLanguage.json"), "utf8"), "mig.json")
      : null,
});
const grammar = await registry.loadGrammar("source.mig");
for (const file of fs.readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  let state = textmate.INITIAL;
  const tokens = [];
  for (const line of fs.readFileSync(file, "utf8").split("\n")) {
    const done = grammar.tokenizeLine(line, state);
    state = done.ruleStack;
    for (const each of done.tokens) tokens.push([line.slice(each.startIndex, each.endIndex), each.scopes]);
  }
  console.log(JSON.stringify({ file, tokens, depth: state.depth }));
}
