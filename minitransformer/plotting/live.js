/* The live page: a worker runs Python, and answers what is asked about any text. The page never waits for it. */

function livePage(first) {
  const waiting = new Map();
  let asked = 0, ready = false, failed = null;
  const say = (text, wrong) => {
    at("state").textContent = text;
    at("state").classList.toggle("wrong", Boolean(wrong));
  };
  const fail = reason => {
    failed = `Python could not be started, so nothing new can be computed: ${reason}`;
    say(failed, true);
    waiting.forEach(({ reject }) => reject(new Error(failed)));
    waiting.clear();
  };
  const ask = question => new Promise((resolve, reject) => {
    if (failed) { reject(new Error(failed)); return; }
    waiting.set(++asked, { resolve, reject });
    worker.postMessage({ id: asked, question });
  });
  const warm = async () => {                      // what runs for the first time is slow: before it is asked for
    const { text, asked: [word], kinds: [{ paths: [where] }] } = first;
    await Promise.all([ask({ text, word }), ask({ text, change: { where, head: 0 } })]);
    ready = true;
    if (!newest) say("Python is ready. All that is asked now is computed in this tab.");
  };
  const told = ({ data: { id, answer, progress, failure } }) => {
    if (progress) {
      say("The picture below was computed when this page was made. To compute others here, Python is loading: " + progress);
    } else if (id === undefined) {
      if (failure) fail(failure);
      else warm();
    } else if (waiting.has(id)) {
      const { resolve, reject } = waiting.get(id), found = answer && JSON.parse(answer);
      waiting.delete(id);
      if (failure || found.error) reject(new Error(failure || found.error));
      else resolve(found);
    }
  };
  let worker = null, newest = "", place = explorer(live(first, ask), first.place);
  try {
    if (location.protocol === "file:") throw new Error("a browser gives a page no worker when it is opened as a file. " +
      "Serve the folder: python -m http.server --directory FOLDER");
    worker = new Worker("worker.js");
    worker.onmessage = told;
    worker.onerror = event => fail(event.message || "worker.js was not found");
  } catch (error) {
    fail(error.message);
  }

  at("text").value = first.text;
  at("ask").onsubmit = async event => {
    event.preventDefault();
    const text = newest = at("text").value;
    if (ready) say("Computing \u2026");
    const begin = performance.now();
    try {
      const data = await ask({ text, word: null });
      if (text !== newest) return;                // another was asked for meanwhile
      place = explorer(live(data, ask), place());
      const unknown = data.unknown.length ? ` The model does not know ${data.unknown.map(quoted).join(", ")}.` : "";
      say(`Computed in this tab in ${Math.round(performance.now() - begin)} milliseconds.` + unknown);
    } catch (error) {
      if (text === newest) say(error.message, true);
    }
  };
  at("text").onkeydown = event => {               // Enter sends, as in a line of text; Shift+Enter is a new line
    if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); at("ask").requestSubmit(); }
  };
}

livePage(JSON.parse(document.getElementById("data").textContent));
