"""The attention explorer: one page of HTML in which a word shows what it looks at, in every layer and head.

It is one file with all in it: no network, no other file, nothing to install. It works by mouse, finger and keyboard,
and says in words what it shows. The words come from a user, so they enter the page as data and never as markup.
"""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ..files import whole_file

Array = np.ndarray

DECIMALS = 4  # of the weights in the page
START = "(start)"  # what a decoder reads before the first word

KINDS = {
    "encoder": ("encoder", "a word of the sentence", "every word of the sentence"),
    "decoder": ("decoder", "a word that the decoder has read", "the words that it has read so far"),
    "cross": ("cross", "the word that the decoder is about to write", "every word of the sentence"),
}


class Looked(Protocol):
    """What `Translator.look` returns: words of both sides and the cache of the forward pass."""

    @property
    def source(self) -> list[str]: ...

    @property
    def target(self) -> list[str]: ...

    @property
    def cache(self) -> Any: ...


@dataclass(frozen=True)
class Read:
    """What a language model did with one text.

    Attributes
    ----------
    words : list of str
        The tokens that it read, as they are to be shown.
    cache : Cache
        Of the forward pass of that text alone.
    """

    words: list[str]
    cache: Any


@dataclass(frozen=True)
class AttentionExplorer:
    """A page that shows itself in a notebook, as a frame of its own.

    Attributes
    ----------
    page : str
        The whole HTML document.
    height : int
        Of the frame, in pixels.
    """

    page: str
    height: int

    def _repr_html_(self) -> str:
        inside = html.escape(self.page, quote=True)
        return (
            f'<iframe title="Attention explorer" sandbox="allow-scripts" srcdoc="{inside}" '
            f'style="width: 100%; height: {self.height}px; border: 1px solid #d9d9d9"></iframe>'
        )

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page to a file, whole or not at all; return its path."""
        with whole_file(path) as file:
            file.write(self.page.encode("utf-8"))
        return Path(path)


def explore(look: Looked | Read) -> AttentionExplorer:
    """The explorer of one sentence, for a notebook: `explore(translator.look("The cat sleeps."))`."""
    rows = len(look.words) if isinstance(look, Read) else max(len(look.source), len(look.target))
    return AttentionExplorer(explore_html(look), 330 + 34 * rows)


def explore_html(look: Looked | Read) -> str:
    """The explorer of one sentence as a whole HTML document.

    Parameters
    ----------
    look : with `source`, `target` and `cache`
        As `Translator.look(text)` returns it; or a `Read`, of a language model.
    """
    if isinstance(look, Read):
        sentence, source, target, read = look.words, [], look.words, look.words
    else:
        sentence, source, target, read = look.source, look.source, look.target, [START, *look.target[:-1]]
    words = {"encoder": (source, source), "decoder": (read, read), "cross": (target, source)}
    kinds = []
    found = _maps(look.cache, len(source), len(target))
    for kind, (name, left, right) in KINDS.items():
        if maps := found.get(kind):
            queries, keys = words[kind]
            weights = [[[[round(float(w), DECIMALS) for w in row] for row in head] for head in layer] for layer in maps]
            kinds.append(
                {"name": name, "left": left, "right": right, "queries": queries, "keys": keys, "weights": weights}
            )
    if not kinds:
        raise ValueError("look.cache holds no attention weights of this sentence: there is nothing to explore")
    data = json.dumps({"kinds": kinds, "decimals": DECIMALS}, ensure_ascii=False, separators=(",", ":"))
    # Within a script element, what begins with < could end it.
    data = re.sub("[<>&\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", data)
    parts = {"@SENTENCE@": html.escape(" ".join(sentence)), "@DATA@": data}
    # In one pass: a word of the sentence may look like a placeholder.
    return re.sub("@SENTENCE@|@DATA@", lambda found: parts[found[0]], _PAGE)


def _maps(cache: Any, S: int, T: int) -> dict[str, list[Array]]:
    """All attention maps of the first sentence, (H, T, S) for each layer, by what looks at what."""
    found: dict[str, list[Array]] = {}
    seen: set[int] = set()
    for path, weights in _weights(cache, ()):
        if id(weights) in seen:
            continue
        seen.add(id(weights))
        heads = weights[0] if weights.ndim == 4 else weights[0][None]  # (B, T, S) is of one head
        if "encoder" in path and heads.shape[1:] == (S, S):
            kind = "encoder"
        elif heads.shape[1:] == (T, T) and not any("cross" in part for part in path):
            kind = "decoder"
        elif heads.shape[1:] == (T, S):
            kind = "cross"
        else:
            continue
        found.setdefault(kind, []).append(heads)
    return found


def _weights(node: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Array]]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            if name == "weights" and isinstance(value, np.ndarray) and value.ndim in (3, 4):
                yield path, value
            else:
                yield from _weights(value, (*path, str(name)))
    elif isinstance(node, Sequence) and not isinstance(node, str):
        for i, value in enumerate(node):
            yield from _weights(value, (*path, str(i)))


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" \
content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'">
<title>What each word looks at: @SENTENCE@</title>
<style>
:root { --ink: #111; --paper: #fff; --soft: #595959; --line: #0072b2; --rule: #c8c8c8; --chosen: #0072b2;
  --on-chosen: #fff; --bar: #b5d8ee; --focus: #d55e00 }
@media (prefers-color-scheme: dark) { :root { --ink: #f2f2f2; --paper: #16191d; --soft: #b4b4b4; --line: #56b4e9;
  --rule: #4a4f55; --chosen: #56b4e9; --on-chosen: #000; --bar: #1d5677; --focus: #e69f00 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem; max-width: 46rem; font: 1rem/1.4 system-ui, sans-serif; color: var(--ink);
  background: var(--paper) }
h1 { font-size: 1.2rem; margin: 0 }
.sentence { margin: 0 0 .8rem; color: var(--soft); overflow-wrap: anywhere }
.choices { display: flex; flex-wrap: wrap; gap: .6rem 1rem; margin-bottom: .8rem }
.choices label { font-size: .85rem; color: var(--soft); display: block }
select { display: block; font: inherit; min-height: 2.5rem; padding: 0 .4rem; color: var(--ink);
  background: var(--paper); border: 1px solid var(--soft); border-radius: .3rem; max-width: 100% }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px }
#said { min-height: 4.2em; margin: 0 0 .6rem }
.heads { display: flex; justify-content: space-between; gap: 1rem; font-size: .85rem; color: var(--soft) }
.heads p { margin: 0 0 .3rem; max-width: 55% }
.heads p:last-child { width: 40% }
.board { position: relative; display: flex; justify-content: space-between }
.board svg { position: absolute; inset: 0; width: 100%; height: 100%; pointer-events: none }
#queries, #keys { width: 35%; display: flex; flex-direction: column; justify-content: center; gap: 2px; margin: 0;
  padding: 0; list-style: none; min-width: 0 }
#queries button, #keys li { display: block; width: 100%; min-height: 2rem; padding: .2rem .5rem; font: inherit;
  color: var(--ink); background: none; border: 1px solid transparent; border-radius: .3rem; overflow-wrap: anywhere }
#queries button { text-align: right; cursor: pointer; border-color: var(--rule) }
#queries button[aria-checked=true] { background: var(--chosen); color: var(--on-chosen); border-color: var(--chosen);
  font-weight: 600 }
#keys { width: 40% }
#keys li { display: flex; justify-content: space-between; gap: .3rem; align-items: center; border: 0;
  background: linear-gradient(to right, var(--bar) var(--share, 0%), transparent 0) no-repeat }
#keys span:first-child { min-width: 0 }
#keys li.much { font-weight: 600 }
#keys .number { font-variant-numeric: tabular-nums; font-size: .85rem; color: var(--ink) }
details { margin-top: 1.2rem }
summary { cursor: pointer; min-height: 2rem }
.scroll { overflow-x: auto }
table { border-collapse: collapse; font-size: .8rem; font-variant-numeric: tabular-nums }
th, td { padding: .2rem .4rem; text-align: right; border: 1px solid var(--rule); font-weight: normal }
tbody th { position: sticky; left: 0; background: var(--paper) }
tbody tr.chosen th { font-weight: 600; background: var(--chosen); color: var(--on-chosen) }
@media (max-width: 30rem) { body { padding: .7rem } .choices { gap: .6rem }
  #queries button, #keys li { font-size: .9rem; padding: .2rem .3rem } }
.hint { font-size: .85rem; color: var(--soft) }
</style>
</head>
<body>
<main>
<h1>What each word looks at</h1>
<p class="sentence">@SENTENCE@</p>
<noscript><p>This page draws with JavaScript, which is switched off here.</p></noscript>
<div class="choices">
<label>who looks <select id="kind"></select></label>
<label>layer <select id="layer"></select></label>
<label>head <select id="head"></select></label>
</div>
<p id="said" role="status" aria-live="polite"></p>
<div class="heads"><p id="left"></p><p id="right"></p></div>
<div class="board">
<svg aria-hidden="true" focusable="false"></svg>
<div id="queries" role="radiogroup" aria-labelledby="left"></div>
<ul id="keys" aria-labelledby="right"></ul>
</div>
<p class="hint">Point at a word on the left, tap it, or go through them with the arrow keys. The thicker the line, the
larger the weight; each word's weights sum to 1.</p>
<details><summary>All weights as a table</summary><div class="scroll" tabindex="0" role="region"
aria-label="All weights"><table><thead></thead><tbody></tbody></table></div></details>
</main>
<script type="application/json" id="data">@DATA@</script>
<script>
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const at = id => document.getElementById(id);
const state = { kind: 0, layer: 0, head: 0, word: 0 };
const kind = () => data.kinds[state.kind];
const weights = () => kind().weights[state.layer][state.head];

function make(name, text, attributes) {          // every text enters as text, never as markup
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  for (const key in attributes || {}) element.setAttribute(key, attributes[key]);
  return element;
}

function options(id, names, chosen) {
  at(id).replaceChildren(...names.map((name, i) => make("option", name, { value: i })));
  at(id).value = chosen;
}

function choose(part, value) {                    // a layer or head that this kind lacks becomes its first
  state[part] = value;
  if (state.layer >= kind().weights.length) state.layer = 0;
  if (state.head >= kind().weights[state.layer].length) state.head = 0;
  if (part === "kind") state.word = 0;
  build();
}

function build() {
  options("kind", data.kinds.map(k => k.name), state.kind);
  options("layer", kind().weights.map((_, i) => i), state.layer);
  options("head", kind().weights[state.layer].map((_, i) => i), state.head);
  at("left").textContent = "who looks: " + kind().left;
  at("right").textContent = "what is looked at: " + kind().right;
  at("queries").replaceChildren(...kind().queries.map((word, t) => {
    const button = make("button", word, { type: "button", role: "radio" });
    button.addEventListener("mouseenter", () => show(t));
    button.addEventListener("focus", () => show(t));
    button.addEventListener("click", () => button.focus());
    return button;
  }));
  at("keys").replaceChildren(...kind().keys.map(word => {
    const item = make("li");
    item.append(make("span", word), make("span", "", { class: "number" }));
    return item;
  }));
  const corner = make("tr");
  corner.append(make("th", "looks \\u2193 at \\u2192"), ...kind().keys.map(word => make("th", word, { scope: "col" })));
  document.querySelector("thead").replaceChildren(corner);
  document.querySelector("tbody").replaceChildren(...kind().queries.map((word, t) => {
    const row = make("tr");
    row.append(make("th", word, { scope: "row" }), ...weights()[t].map(w => make("td", w.toFixed(2))));
    return row;
  }));
  show(state.word);
}

function show(t) {
  state.word = t;
  [...at("queries").children].forEach((button, i) => {
    button.setAttribute("aria-checked", i === t);
    button.tabIndex = i === t ? 0 : -1;           // one stop of the Tab key; arrows go on from there
  });
  const row = weights()[t];
  [...at("keys").children].forEach((item, s) => {
    item.style.setProperty("--share", 100 * row[s] + "%");
    item.classList.toggle("much", row[s] === Math.max(...row));
    item.lastChild.textContent = row[s].toFixed(2);
  });
  document.querySelectorAll("tbody tr").forEach((line, i) => line.classList.toggle("chosen", i === t));
  const order = row.map((w, s) => s).sort((a, b) => row[b] - row[a]).filter(s => row[s] >= 0.005).slice(0, 4);
  at("said").textContent = "\\u201c" + kind().queries[t] + "\\u201d looks at " +
    order.map(s => "\\u201c" + kind().keys[s] + "\\u201d " + row[s].toFixed(2)).join(", ") +
    " (" + kind().name + ", layer\\u00a0" + state.layer + ", head\\u00a0" + state.head + ").";
  lines();
}

function lines() {
  const svg = document.querySelector("svg"), box = svg.getBoundingClientRect();
  const middle = element => { const r = element.getBoundingClientRect(); return r.top + r.height / 2 - box.top; };
  const x0 = at("queries").getBoundingClientRect().right - box.left + 3;
  const x1 = at("keys").getBoundingClientRect().left - box.left - 3;
  svg.replaceChildren();
  const draw = (t, own) => weights()[t].forEach((w, s) => {
    if (w < (own ? 0.005 : 0.1)) return;
    const y0 = middle(at("queries").children[t]), y1 = middle(at("keys").children[s]), bend = (x1 - x0) / 2;
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", `M${x0} ${y0}C${x0 + bend} ${y0} ${x1 - bend} ${y1} ${x1} ${y1}`);
    path.setAttribute("fill", "none");
    path.setAttribute("stroke", own ? "var(--line)" : "var(--rule)");
    path.setAttribute("stroke-width", own ? 0.5 + 13 * w : 0.5 + 3 * w);
    path.setAttribute("stroke-opacity", own ? 0.35 + 0.65 * w : 0.5);
    svg.append(path);
  });
  kind().queries.forEach((_, t) => { if (t !== state.word) draw(t, false); });
  draw(state.word, true);
}

for (const part of ["kind", "layer", "head"]) at(part).addEventListener("change", e => choose(part, +e.target.value));
at("queries").addEventListener("keydown", event => {
  const n = kind().queries.length, now = state.word;
  const next = { ArrowDown: now + 1, ArrowRight: now + 1, ArrowUp: now - 1, ArrowLeft: now - 1, Home: 0, End: n - 1 };
  if (!(event.key in next)) return;
  event.preventDefault();
  at("queries").children[(next[event.key] + n) % n].focus();
});
addEventListener("resize", lines);
build();
</script>
</body>
</html>
"""
