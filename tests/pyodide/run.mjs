// Runs pytest in Pyodide, under node. `python -m tests.pyodide` calls it; its arguments are one JSON object:
// {"pyodide": folder, "root": the checkout, "wheels": [paths of pure wheels], "arguments": [of pytest]}.
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const given = JSON.parse(process.argv[2]);
const { loadPyodide } = await import(pathToFileURL(`${given.pyodide}/pyodide.mjs`));
const python = await loadPyodide({ indexURL: given.pyodide, env: { HOME: "/home/pyodide", ...given.environment } });
await python.loadPackage(["numpy", "matplotlib", "pillow"], { messageCallback: () => {} });
const extractDir = python.runPython("import site; site.getsitepackages()[0]");
for (const wheel of given.wheels) python.unpackArchive(new Uint8Array(readFileSync(wheel)), "wheel", { extractDir });
python.FS.mkdirTree("/checkout");
python.mountNodeFS("/checkout", given.root);
python.globals.set("arguments", python.toPy(given.arguments));
let status;
try {
  status = python.runPython(`
import os, sys
os.chdir("/checkout")
sys.path.insert(0, "/checkout")
sys.dont_write_bytecode = True
import pytest
int(pytest.main(list(arguments)))
`);
} catch (error) {
  console.error(error.message); // without the interpreter's own source, which node would print
  status = 1;
}
process.exit(status);
