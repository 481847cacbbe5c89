"use strict";
/* The explorer's drawing. It knows nothing of where its numbers come from:

   source.data             what `look_inside` returns, or the part of it that a cache alone gives (no gradients)
   source.known(change)    whether the outcome of a change can be had: {where, head}, {where, head, query, key} or
                           {where, position, text, of}
   source.outcome(change)  a promise of it: {output, log_probability}
   source.all              the changes whose outcomes are there already, with them
   source.look(word)       a promise of the data with the gradients of another output word, by position
   source.read(text)       a promise of the data of another text; `look` and `read` only where Python runs

   `explorer(source, place)` draws, from the place {where, head, query, key, backward} on; called again with another
   source, for another text, it draws anew. It returns a function that tells the place.
*/

const SIDES = {
  encoder: ["a word of the sentence", "every word of the sentence"],
  decoder: ["a word that the decoder has read", "the words that it has read so far"],
  cross: ["the word that the decoder is about to write", "every word of the sentence"],
};
const at = id => document.getElementById(id);
const quoted = word => "\u201c" + word + "\u201d";
const signed = x => x === 0 ? "0" : (x < 0 ? "\u2212" : "+") + short(Math.abs(x));
const exact = x => (x < 0 ? "\u2212" : "") + (x === 0 ? "0" :
  Math.abs(x) < 0.001 ? Math.abs(x).toExponential(3) : Math.abs(x).toPrecision(4));
const logarithm = x => x.toFixed(2).replace("-", "\u2212");
const short = x => x === 0 ? "0" : Math.abs(x) < 0.001 || Math.abs(x) >= 1000 ? x.toExponential(1) : x.toFixed(3);

const PARTS = ["where", "head", "query", "key", "position", "text", "of"];
const same = (a, b) => a && b && PARTS.every(name => a[name] === b[name]);

function offline(data) {                          // the outcomes were computed beforehand
  const name = change => PARTS.map(part => change[part]).join("/");
  const found = new Map((data.outcomes || []).map(outcome => [name(outcome), outcome]));
  return { data, all: data.outcomes || [], known: change => found.has(name(change)),
    outcome: change => Promise.resolve(found.get(name(change))) };
}

function live(data, ask) {                        // all is computed when it is asked for, as by a worker
  return { data, all: [], known: () => true, outcome: change => ask({ text: data.text, change }),
    look: word => ask({ text: data.text, word }), read: text => ask({ text }) };
}

function unpack(packed) {                         // in base64: 32-bit numbers, or 16-bit integers and their factor
  if (!packed.values) {
    const bytes = Uint8Array.from(atob(packed.floats || packed.numbers), c => c.charCodeAt(0));
    const view = new DataView(bytes.buffer);
    if (packed.floats)
      packed.values = Float64Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true));
    else packed.values = Float64Array.from({ length: bytes.length / 2 }, (_, i) => {
      const number = view.getInt16(2 * i, true);
      return number === -32768 ? -Infinity : number * packed.scale;
    });
  }
  return packed;
}

function rowOf(packed, head, t) {                 // the row t of one head; null where it was left out, for it is 0
  const { shape: [, T, S], values } = unpack(packed);
  return t < T ? Array.from(values.subarray((head * T + t) * S, (head * T + t + 1) * S)) : null;
}

function make(name, text, attributes) {           // every text enters as text, never as markup
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  for (const key in attributes || {}) element.setAttribute(key, attributes[key]);
  return element;
}

function options(id, names, chosen) {
  at(id).replaceChildren(...names.map((name, i) => make("option", name, { value: i })));
  at(id).value = chosen;
}

function explorer(source, beginAt) {
  const data = source.data;
  const current = () => explorer.source === source;  // no other text was drawn since
  explorer.source = source;
  const both = Boolean(data.asked && data.asked.length);
  const patches = source.read || source.all.some(change => change.of !== undefined);
  const state = { kind: 0, layer: 0, head: 0, word: 0, key: 0, output: 0, backward: false, change: null,
    others: data,                                 // the text whose words' vectors can be put in place
    pinned: false };                              // after a click, pointing at another word changes nothing
  const written = () => data.asked[state.output];  // the position of the output word that is asked
  const kind = () => data.kinds[state.kind];
  const where = () => kind().paths && kind().paths[state.layer];
  const weights = () => kind().weights[state.layer][state.head];
  const largest = numbers => numbers.reduce((best, x, i) => x > numbers[best] ? i : best, 0);
  const place = () => kind().name + ", layer\u00a0" + state.layer + ", head\u00a0" + state.head;

  // The attentions in the order in which they run.
  const steps = [];
  const depth = Math.max(...data.kinds.map(k => k.weights.length));
  data.kinds.forEach((k, i) => { if (k.name === "encoder") k.weights.forEach((_, l) => steps.push([i, l])); });
  for (let l = 0; l < depth; l++)
    data.kinds.forEach((k, i) => { if (k.name !== "encoder" && l < k.weights.length) steps.push([i, l]); });
  const step = () => steps.findIndex(([k, l]) => k === state.kind && l === state.layer);

  function gradients(t) {                         // of one row of the weights
    return rowOf(kind().gradients[state.layer][state.output], state.head, t) || kind().keys.map(() => 0);
  }

  function steepest() {                           // the largest gradient of this head: what all are drawn against
    return unpack(kind().gradients[state.layer][state.output]).values.reduce((m, x) => Math.max(m, Math.abs(x)), 0) || 1;
  }

  function go(k, layer, head) {                   // to another attention; a head that it lacks becomes its first
    if (k !== state.kind) state.word = state.backward && data.kinds[k].name !== "encoder" ? written() : 0;
    state.kind = k;
    state.layer = layer < kind().weights.length ? layer : 0;
    state.head = head < kind().weights[state.layer].length ? head : 0;
    state.word = Math.min(state.word, kind().queries.length - 1);
    build();
  }

  function turn(backward) {
    state.backward = backward;
    if (backward) {
      [state.kind, state.layer] = steps[steps.length - 1];
      state.word = Math.min(written(), kind().queries.length - 1);
    }
    go(state.kind, state.layer, state.head);
  }

  function build() {
    options("kind", data.kinds.map(k => k.name), state.kind);
    options("layer", kind().weights.map((_, i) => i), state.layer);
    options("head", kind().weights[state.layer].map((_, i) => i), state.head);
    const [left, right] = SIDES[kind().name];
    at("left").textContent = "who looks: " + left;
    at("right").textContent = "what is looked at: " + right;
    at("output-choice").hidden = at("saliency").hidden = !state.backward;
    document.body.classList.toggle("backward", state.backward);
    const n = step();
    at("step").textContent = `${kind().name}, layer ${state.layer}: step ` +
      `${state.backward ? steps.length - n : n + 1} of ${steps.length}${state.backward ? " from the output" : ""}`;
    at("to-input").disabled = n === 0;
    at("to-output").disabled = n === steps.length - 1;
    at("queries").replaceChildren(...kind().queries.map((word, t) => {
      const button = make("button", undefined, { type: "button", role: "radio" });
      button.append(make("span", word));
      button.addEventListener("mouseenter", () => { if (t !== state.word && !state.pinned) show(t); });
      button.addEventListener("focus", () => { if (t !== state.word) show(t); });
      button.addEventListener("click", () => { state.pinned = true; button.focus(); });
      return button;
    }));
    at("keys").replaceChildren(...kind().keys.map((word, s) => {
      const button = make("button", undefined, { type: "button", role: "radio" });
      button.append(make("span", word), make("span", "", { class: "number" }));
      button.addEventListener("focus", () => choose(s));
      button.addEventListener("click", () => { state.pinned = true; button.focus(); });
      return button;
    }));
    at("all-name").textContent = state.backward ? "All gradients of this head as a table" : "All weights as a table";
    drawTable();
    if (state.backward) drawSaliency();
    if (patches) drawOthers();
    show(state.word);
  }

  function drawTable() {                          // of hundreds of words it takes a while: only where it is seen
    if (!at("all").open) return;
    const corner = make("tr");
    corner.append(make("th", "looks \u2193 at \u2192"), ...kind().keys.map(word => make("th", word, { scope: "col" })));
    document.querySelector("#all thead").replaceChildren(corner);
    document.querySelector("#all tbody").replaceChildren(...kind().queries.map((word, t) => {
      const row = make("tr"), numbers = state.backward ? gradients(t).map(signed) : weights()[t].map(w => w.toFixed(2));
      row.append(make("th", word, { scope: "row" }), ...numbers.map(number => make("td", number)));
      return row;
    }));
    document.querySelectorAll("#all tbody tr").forEach((line, i) => line.classList.toggle("chosen", i === state.word));
  }

  function drawNext() {                           // what the model thought likely at each step
    document.querySelector("#next tbody").replaceChildren(...data.choices.map((choice, y) => {
      const row = make("tr"), share = make("td", choice.probability.toFixed(3), { class: "share" });
      share.style.setProperty("--share", 100 * choice.probability + "%");
      const others = choice.others.map(([word, p]) => `${word}\u00a0${short(p)}`).join(", ");
      row.append(make("th", `${y + 1}. ${data.target[y]}`, { scope: "row" }), share, make("td", others, { class: "text" }));
      return row;
    }));
  }

  async function askFor(y) {                      // another output word
    if (!source.look) { state.output = y; turn(true); return; }
    try {
      const fresh = await source.look(y);
      if (!current() || +at("output").value !== y) return;
      Object.assign(data, fresh);
      turn(true);
    } catch (error) {
      if (current()) at("said").textContent = error.message;
    }
  }

  function show(t) {                              // another row
    state.word = t;
    const row = weights()[t], slope = state.backward ? gradients(t) : null, top = slope ? steepest() : 1;
    state.key = largest(slope ? slope.map((x, s) => Math.abs(x * row[s])) : row);
    const coming = state.backward ? kind().arriving[state.layer][state.output] : null;
    [...at("queries").children].forEach((button, i) => {
      button.setAttribute("aria-checked", i === t);
      button.tabIndex = i === t ? 0 : -1;         // one stop of the Tab key; arrows go on from there
      button.style.setProperty("--share", coming ? 100 * coming[i] / (Math.max(...coming) || 1) + "%" : "0%");
    });
    [...at("keys").children].forEach((button, s) => {
      button.style.setProperty("--share", (slope ? 100 * Math.abs(slope[s]) / top : 100 * row[s]) + "%");
      button.classList.toggle("much", row[s] === Math.max(...row));
      button.classList.toggle("negative", Boolean(slope && slope[s] < 0));
      button.lastChild.textContent = row[s].toFixed(2) + (slope ? " \u2202" + signed(slope[s]) : "");
    });
    document.querySelectorAll("#all tbody tr").forEach((line, i) => line.classList.toggle("chosen", i === t));
    at("said").textContent = slope ? saidBackward(t, slope) : saidForward(t, row);
    choose(state.key);
    lines();
  }

  function saidForward(t, row) {
    const order = row.map((_, s) => s).sort((a, b) => row[b] - row[a]).filter(s => row[s] >= 0.005).slice(0, 4);
    return quoted(kind().queries[t]) + " looks at " +
      order.map(s => quoted(kind().keys[s]) + " " + row[s].toFixed(2)).join(", ") + ` (${place()}).`;
  }

  function saidBackward(t, slope) {
    const word = quoted(data.target[written()]), choice = data.choices[written()];
    const order = slope.map((_, s) => s).filter(s => slope[s]).sort((a, b) => Math.abs(slope[b]) - Math.abs(slope[a]));
    const most = order.slice(0, 3).map(s => quoted(kind().keys[s]) + " " + signed(slope[s])).join(", ");
    return `log P(${word}), P = ${choice.probability.toFixed(3)}, changes with the weights of ` +
      `${quoted(kind().queries[t])} on ${most || "nothing"} (${place()}). The gradient that arrives at this word has the ` +
      `norm ${short(kind().arriving[state.layer][state.output][t])}.`;
  }

  function choose(s) {                            // another entry of the row
    state.key = s;
    [...at("keys").children].forEach((button, i) => {
      button.setAttribute("aria-checked", i === s);
      button.tabIndex = i === s ? 0 : -1;
    });
    at("formula").replaceChildren(...formula().map(line => make("li", line)));
    buttons();
  }

  function formula() {                            // the step, with the numbers of the chosen entry
    if (!kind().scores) return [];
    const t = state.word, s = state.key, row = weights()[t];
    const scores = rowOf(kind().scores[state.layer], state.head, t), top = Math.max(...scores);
    const names = `${quoted(kind().queries[t])} \u2192 ${quoted(kind().keys[s])}`;
    if (scores[s] === -Infinity) return [`${names}: masked, so its weight and its gradient are 0`];
    const sum = scores.reduce((total, x) => total + Math.exp(x - top), 0);
    const found = [`${names}: score, from q\u00b7k: ${exact(scores[s])}`, "weight = exp(score \u2212 largest) / sum = " +
      `exp(${exact(scores[s])} \u2212 ${exact(top)}) / ${exact(sum)} = ${exact(Math.exp(scores[s] - top) / sum)}`];
    if (state.change) found[1] += " (of the model as it is)";
    if (!state.backward) return found;
    const slope = gradients(t), mean = row.reduce((total, w, i) => total + w * slope[i], 0);
    found.push(`\u2202weight = \u2202context \u00b7 v = ${exact(slope[s])}`,
      "\u2202score = weight \u00d7 (\u2202weight \u2212 \u03a3 weight \u00d7 \u2202weight) = " +
      `${exact(row[s])} \u00d7 (${exact(slope[s])} \u2212 ${exact(mean)}) = ${exact(row[s] * (slope[s] - mean))}`);
    return found;
  }

  function drawSaliency() {                       // the gradient has arrived at the input
    const parts = [["source", data.source], ["read", data.read]].filter(([name]) => data.saliency[name]);
    const norms = parts.map(([name, words]) => data.saliency[name][state.output].slice(0, words.length));
    const top = Math.max(...norms.flat()) || 1;
    at("saliency-words").replaceChildren(...parts.map(([name, words], i) => {
      const line = make("p");
      line.append(make("span", name === "source" ? "sentence: " : "read so far: ", { class: "hint" }));
      words.forEach((word, s) => {
        if (name === "read" && s > written()) return;
        const item = make("span", word + " ", { class: "salient" });
        item.style.setProperty("--depth", 100 * norms[i][s] / top + "%");
        item.append(make("small", short(norms[i][s])));
        line.append(item, " ");
      });
      return line;
    }));
  }

  const noHead = () => ({ where: where(), head: state.head });
  const noWeight = () => ({ where: where(), head: state.head, query: state.word, key: state.key });
  const block = path => path.slice(0, path.lastIndexOf("."));
  const patch = (text, of) => ({ where: block(where()), position: state.word, text, of });
  const nameOf = change => {
    if (change.of !== undefined) {
      const encoder = data.kinds.some(one => one.name === "encoder" && one.paths.some(path => block(path) === change.where));
      const reading = of => encoder ? of.source : of.read;
      const words = state.others.text === change.text ? reading(state.others) : reading(data);
      return `${quoted(reading(data)[change.position])} behind ${change.where} as ${quoted(words[change.of])}` +
        (change.text === data.text ? "" : ` of ${quoted(change.text)}`);
    }
    const k = data.kinds.find(one => one.paths.includes(change.where)), layer = k.paths.indexOf(change.where);
    const head = `${k.name}, layer ${layer}, head ${change.head}`;
    return change.key === undefined ? `without ${head}` :
      `without ${quoted(k.queries[change.query])} \u2192 ${quoted(k.keys[change.key])} of ${head}`;
  };

  function buttons() {
    if (!where()) return;
    for (const [id, change, text] of [["off", noHead(), `Switch head ${state.head} off`],
      ["take", noWeight(), `Take ${quoted(kind().queries[state.word])} \u2192 ${quoted(kind().keys[state.key])} away`]]) {
      at(id).textContent = text;
      at(id).setAttribute("aria-pressed", Boolean(same(state.change, change)));
      at(id).disabled = !source.known(change);
    }
    at("not-known").hidden = source.known(noWeight());
    if (!patches) return;
    at("patch-name").textContent = `Put another word's vector in place of ${quoted(reading(data)[state.word])}` +
      `${kind().name === "cross" ? ", which the decoder has just read" : ""}, behind ${block(where())}:`;
    [...at("patch-words").children].forEach((button, of) => {
      button.setAttribute("aria-pressed", Boolean(same(state.change, patch(state.others.text, of))));
      button.disabled = !source.known(patch(state.others.text, of));
    });
  }

  // The words whose vectors stand in the chosen kind's layers, in this text or in another.
  const reading = of => kind().name === "encoder" ? of.source : of.read;

  function drawOthers() {
    at("patch-words").replaceChildren(...reading(state.others).map((word, of) => {
      const button = make("button", word, { type: "button" });
      button.addEventListener("click", () => apply(patch(state.others.text, of)));
      return button;
    }));
    buttons();
  }

  async function another(text) {                  // of which a word's vector is to be taken
    try {
      const others = text === data.text ? data : await source.read(text);
      if (!current()) return;
      state.others = others;
      at("told").textContent = "";
      drawOthers();
    } catch (error) {
      if (current()) at("told").textContent = error.message;
    }
  }

  async function apply(change) {                  // pressed again, it is put back
    state.change = same(state.change, change) ? null : change;
    buttons();
    if (!state.change) at("changed").hidden = true;
    if (!state.change) { at("told").textContent = "As it was."; return; }
    const name = nameOf(change);
    let outcome;
    try {
      outcome = await source.outcome(change);
    } catch (error) {
      if (!current() || !same(state.change, change)) return;
      state.change = null;
      at("changed").hidden = true;
      at("told").textContent = error.message;
      buttons();
      return;
    }
    if (!current() || !same(state.change, change)) return;  // another was asked for meanwhile
    at("changed").hidden = false;
    at("changed-name").textContent = name;
    const old = data.output.split(" ");
    at("changed-output").replaceChildren(...outcome.output.split(" ").flatMap((word, i) =>
      [old.includes(word) ? document.createTextNode(word) : make("mark", word), " "]));
    at("changed-log").textContent = "log P of the original output: " +
      `${logarithm(data.log_probability)}, now ${logarithm(outcome.log_probability)}`;
    at("told").textContent = outcome.output === data.output ? "The output stays the same." : "The output changes.";
    choose(state.key);
  }

  function visit(change) {
    const here = path => path === change.where || block(path) === change.where;
    const k = data.kinds.findIndex(one => one.paths.some(here));
    go(k, data.kinds[k].paths.findIndex(here), change.head || 0);
    if (change.of !== undefined) show(change.position);
    if (change.query !== undefined) { show(change.query); choose(change.key); }
    if (!same(state.change, change)) apply(change);
  }

  function start({ where: path, head, query, key, backward }) {  // at this place, as far as this text has it
    state.backward = both && Boolean(backward);
    at(state.backward ? "backward" : "forward").checked = true;
    const k = Math.max(data.kinds.findIndex(one => one.paths && one.paths.includes(path)), 0);
    state.kind = k;
    state.word = Math.min(query || 0, kind().queries.length - 1);
    go(k, kind().paths ? kind().paths.indexOf(path) : 0, head || 0);
    if (key !== undefined && key < kind().keys.length) choose(key);
  }

  function list() {
    const order = [...source.all].sort((a, b) => a.log_probability - b.log_probability);
    document.querySelector("#tried tbody").replaceChildren(...order.map(change => {
      const row = make("tr"), name = make("th", undefined, { scope: "row" });
      const button = make("button", nameOf(change), { type: "button" });
      button.addEventListener("click", () => visit(change));
      name.append(button);
      const output = change.output === data.output ? "the same" : change.output;
      row.append(name, make("td", logarithm(change.log_probability)), make("td", output, { class: "text" }));
      return row;
    }));
  }

  function lines() {
    const svg = document.querySelector(".board svg"), box = svg.getBoundingClientRect();
    const middle = element => { const r = element.getBoundingClientRect(); return r.top + r.height / 2 - box.top; };
    const left = [...at("queries").children].map(middle), right = [...at("keys").children].map(middle);
    const x0 = at("queries").getBoundingClientRect().right - box.left + 3;
    const x1 = at("keys").getBoundingClientRect().left - box.left - 3, bend = (x1 - x0) / 2;
    const top = state.backward ? steepest() : 1, paths = [];
    const draw = (t, own) => (state.backward ? gradients(t) : weights()[t]).forEach((number, s) => {
      const w = Math.abs(number) / top;
      if (w < (own ? 0.005 : 0.1)) return;
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("d", `M${x0} ${left[t]}C${x0 + bend} ${left[t]} ${x1 - bend} ${right[s]} ${x1} ${right[s]}`);
      path.setAttribute("fill", "none");
      path.setAttribute("stroke", !own ? "var(--rule)" : number < 0 ? "var(--minus)" : "var(--line)");
      if (number < 0) path.setAttribute("stroke-dasharray", "6 4");
      path.setAttribute("stroke-width", own ? 0.5 + 13 * w : 0.5 + 3 * w);
      path.setAttribute("stroke-opacity", own ? 0.35 + 0.65 * w : 0.5);
      paths.push(path);
    });
    kind().queries.forEach((_, t) => { if (t !== state.word) draw(t, false); });
    draw(state.word, true);
    svg.replaceChildren(...paths);
  }

  function arrows(id, now) {                      // the arrow keys go through a column
    at(id).onkeydown = event => {
      const n = at(id).children.length, i = now();
      const next = { ArrowDown: i + 1, ArrowRight: i + 1, ArrowUp: i - 1, ArrowLeft: i - 1, Home: 0, End: n - 1 };
      if (!(event.key in next)) return;
      event.preventDefault();
      at(id).children[(next[event.key] + n) % n].focus();
    };
  }

  at("kind").onchange = event => go(+event.target.value, state.layer, state.head);
  at("layer").onchange = event => go(state.kind, +event.target.value, state.head);
  at("head").onchange = event => go(state.kind, state.layer, +event.target.value);
  at("to-input").onclick = () => go(...steps[step() - 1], state.head);
  at("to-output").onclick = () => go(...steps[step() + 1], state.head);
  arrows("queries", () => state.word);
  arrows("keys", () => state.key);
  window.onresize = lines;
  at("all").ontoggle = drawTable;
  at("both").hidden = !both;
  at("forward").checked = true;
  at("changed").hidden = true;
  at("told").textContent = "";
  at("changes").hidden = !data.kinds[0].paths;
  at("written").textContent = data.output ? (data.source.length ? "\u2192 " : "goes on: ") + data.output : "";
  document.querySelector(".sentence").textContent = (data.source.length ? data.source : data.read).join(" ");
  at("tried").hidden = !source.all.length;
  if (both) {
    // Where Python runs, every word can be asked; else those whose gradients are in the page.
    if (!source.look)                             // the least sure, or what comes next
      state.output = data.source.length ? largest(data.asked.map(y => -data.choices[y].probability)) : data.asked.length - 1;
    const names = (source.look ? data.target.map((_, y) => y) : data.asked).map(y => `${y + 1}. ${data.target[y]}`);
    options("output", names, source.look ? written() : state.output);
    at("forward").onchange = () => turn(false);
    at("backward").onchange = () => turn(true);
    at("output").onchange = event => askFor(+event.target.value);
    at("left-out").hidden = names.length === data.target.length;
    at("left-out").textContent = `Only ${data.asked.length} of the output words can be asked, to keep this page small.`;
    at("patch").hidden = !patches;
    at("patch-from").hidden = !source.read;
    at("patch-text").value = data.text || "";
    at("patch-text").onchange = event => another(event.target.value);
    drawNext();
    at("off").onclick = () => apply(noHead());
    at("take").onclick = () => apply(noWeight());
    at("back").onclick = () => apply(state.change);
    at("as-it-is").textContent = data.output;
    list();
  }
  at("next").hidden = !both;
  if (beginAt) start(beginAt);
  else build();
  return () => ({ ...noWeight(), backward: state.backward });
}
