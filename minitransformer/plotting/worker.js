"use strict";
/* Python in a worker of the page: Pyodide, NumPy, the package and one model, which then answer one question at a time.
   SETTINGS are {pyodide: the address of its folder, model: the names of the files in model/, the first to be loaded}. */

const SETTINGS = "@SETTINGS@";
const say = progress => postMessage({ progress });

async function bytes(name) {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name}: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

async function begin() {
  const pyodide = new URL(SETTINGS.pyodide, location.href).href;
  say("the interpreter and NumPy (1 of 3)");
  const files = ["package.zip", ...SETTINGS.model.map(name => `model/${name}`)].map(bytes);
  files.forEach(file => file.catch(() => {}));    // what fails is said when it is needed
  importScripts(`${pyodide}pyodide.js`);
  const python = await loadPyodide({ indexURL: pyodide, packages: ["numpy"] });
  say("the package (2 of 3)");
  python.unpackArchive(await files[0], "zip", { extractDir: "/package" });
  python.FS.mkdirTree("/model");
  for (const [i, name] of SETTINGS.model.entries()) python.FS.writeFile(`/model/${name}`, await files[i + 1]);
  python.runPython("import sys; sys.path.insert(0, '/package')");
  python.runPython("import json; from minitransformer.decoding.live import answer; from minitransformer.pretrained import load");
  say("the model (3 of 3)");
  python.globals.set("path", `/model/${SETTINGS.model[0]}`);
  python.runPython("model = load(path)");
  return python.runPython("lambda question: json.dumps(answer(model, json.loads(question)))");
}

const last = error => String(error.message || error).trim().split("\n").pop();  // of Python's traceback
const reply = begin();
reply.then(() => postMessage({}), error => postMessage({ failure: last(error) }));
onmessage = async ({ data: { id, question } }) => {
  try {
    postMessage({ id, answer: (await reply)(JSON.stringify(question)) });
  } catch (error) {
    postMessage({ id, failure: last(error) });
  }
};
