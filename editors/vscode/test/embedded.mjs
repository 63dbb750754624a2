// A text becomes its tokens' scopes by Shiki, which has SQL: whether it is really coloured inside backticks.
import fs from "node:fs";
import path from "node:path";
import { createHighlighter } from "shiki";

const root = path.join(path.dirname(new URL(import.meta.url).pathname), "..");
const grammar = JSON.parse(fs.readFileSync(path.join(root, "syntaxes/mig.tmLanguage.json"), "utf8"));
const highlighter = await createHighlighter({ themes: ["github-light"], langs: ["sql", { ...grammar, name: "mig" }] });
const { tokens } = highlighter.codeToTokens(fs.readFileSync(0, "utf8"), {
  lang: "mig",
  theme: "github-light",
  includeExplanation: true,
  tokenizeTimeLimit: 0, // a slow machine would break a line off in the middle
});
const flat = tokens.flat().flatMap((token) => token.explanation);
console.log(JSON.stringify(flat.map((each) => [each.content, each.scopes.map((scope) => scope.scopeName)])));
