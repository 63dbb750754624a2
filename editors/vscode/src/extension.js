// Starts `migdsl lsp` for .mig files, shows a migration's plan beside it, and rehearses it in a terminal.
const vscode = require("vscode");
const { LanguageClient, TransportKind } = require("vscode-languageclient/node");

const SCHEME = "migdsl-plan";
// Lenses call our own commands: the server's answer with text, which nobody would see.
const OURS = { "migdsl.plan": "migdsl.showPlan", "migdsl.rehearse": "migdsl.runRehearsal" };
let client;

class Plans {
  constructor() {
    this.changed = new vscode.EventEmitter();
    this.onDidChange = this.changed.event;
  }

  provideTextDocumentContent(uri) {
    if (!client) return "The language server isn't running: it starts once the folder is trusted.";
    return client.sendRequest("workspace/executeCommand", { command: "migdsl.plan", arguments: [uri.query] });
  }
}

function server() {
  const said = vscode.workspace.getConfiguration("migdsl").get("command");
  const [command, ...args] = said && said.length ? said : ["migdsl", "lsp"];
  const folder = vscode.workspace.workspaceFolders?.[0]?.uri.fsPath;
  return { command, args, transport: TransportKind.stdio, options: folder ? { cwd: folder } : {} };
}

async function start() {
  // It is a program, found by a setting or on the PATH: in a folder that nobody trusts, colours have to do.
  if (!vscode.workspace.isTrusted) return;
  client = new LanguageClient("migdsl", "migdsl", server(), {
    documentSelector: [{ language: "mig" }],
    synchronize: { fileEvents: vscode.workspace.createFileSystemWatcher("**/*.mig") },
    middleware: {
      provideCodeLenses: async (document, token, next) => {
        const lenses = (await next(document, token)) || [];
        for (const lens of lenses) if (lens.command) lens.command.command = OURS[lens.command.command] ?? lens.command.command;
        return lenses;
      },
      executeCommand: (command, args, next) => next(command, args),
    },
  });
  try {
    await client.start();
  } catch (error) {
    const again = "Try again";
    const said = `migdsl lsp could not be started (${error?.message ?? error}). Install it with: pip install 'migdsl[lsp]'`;
    if ((await vscode.window.showWarningMessage(said, again)) === again) await start();
  }
}

async function showPlan(uri) {
  const of = uri ? String(uri) : String(vscode.window.activeTextEditor?.document.uri ?? "");
  if (!of) return;
  const name = decodeURIComponent(of.split("/").pop()).replace(/\.mig$/, "");
  const page = vscode.Uri.from({ scheme: SCHEME, path: `/${name}.plan.md`, query: of });
  plans.changed.fire(page);
  await vscode.commands.executeCommand("markdown.showPreviewToSide", page);
}

async function runRehearsal(uri) {
  const document = uri
    ? await vscode.workspace.openTextDocument(vscode.Uri.parse(String(uri)))
    : vscode.window.activeTextEditor?.document;
  if (!document || !vscode.workspace.isTrusted || !(await document.save())) return;
  const { command, args, options } = server();
  // The same program as the server's; without a shell, so that no name needs quotes.
  const words = [...args.slice(0, args.lastIndexOf("lsp")), "rehearse", document.uri.fsPath];
  const folder = vscode.workspace.getWorkspaceFolder(document.uri);
  const name = `rehearse ${document.uri.path.split("/").pop()}`;
  const play = new vscode.ProcessExecution(command, words, options);
  await vscode.tasks.executeTask(
    new vscode.Task({ type: "process", file: document.uri.fsPath }, folder ?? vscode.TaskScope.Workspace, name, "migdsl", play),
  );
}

const plans = new Plans();

exports.activate = async (context) => {
  context.subscriptions.push(
    vscode.workspace.registerTextDocumentContentProvider(SCHEME, plans),
    vscode.commands.registerCommand("migdsl.showPlan", showPlan),
    vscode.commands.registerCommand("migdsl.runRehearsal", runRehearsal),
    vscode.commands.registerCommand("migdsl.restart", async () => {
      await client?.stop();
      await start();
    }),
  );
  if (!vscode.workspace.isTrusted) context.subscriptions.push(vscode.workspace.onDidGrantWorkspaceTrust(start));
  await start();
};

exports.deactivate = () => client?.stop();
