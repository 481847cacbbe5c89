"""The attention explorer: one page of HTML in which a word shows what it looks at, in every layer and head.

It is one file with all in it: no network, no other file, nothing to install. It works by mouse, finger and keyboard,
and says in words what it shows. The words come from a user, so they enter the page as data and never as markup.
"""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from ..files import whole_file
from .looks import START, attention_in
from .style import Array

DECIMALS = 4  # of the weights in the page
# A page loads nothing; a live one its worker, from where it lies itself.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'"
OFFLINE = 'explorer(offline(JSON.parse(document.getElementById("data").textContent)));'
FORM = """<form id="ask"><label for="text">a text of yours</label>
<textarea id="text" rows="2" maxlength="600" spellcheck="false"></textarea>
<button>Look inside</button></form>
<p id="state" role="status"></p>
"""


@runtime_checkable
class TraceLike(Protocol):
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


def explore(look: TraceLike | Read | Mapping[str, Any]) -> AttentionExplorer:
    """The explorer of one sentence, for a notebook: `explore(translator.look("The cat sleeps."))`.

    With gradients and interventions: `explore(look_inside(translator, "The cat sleeps."))`.
    """
    data = _data(look)
    rows = max(max(len(kind["queries"]), len(kind["keys"])) for kind in data["kinds"])
    return AttentionExplorer(_page(data), 330 + 34 * rows + 370 * ("choices" in data))


def explore_html(look: TraceLike | Read | Mapping[str, Any]) -> str:
    """The explorer of one sentence as a whole HTML document.

    Parameters
    ----------
    look : with `source`, `target` and `cache`
        As `Translator.look(text)` returns it; or a `Read`, of a language model; or what `decoding.look_inside` returns,
        for a page that goes backward too. Its entry `outcomes`, if it has one, are interventions to choose from.
    """
    return _page(_data(look))


def _data(look: TraceLike | Read | Mapping[str, Any]) -> dict[str, Any]:
    """What the page draws: that of `look_inside`, or the words and weights that a cache holds."""
    if isinstance(look, Mapping):
        return dict(look)
    if isinstance(look, Read):
        source, target, read = [], look.words, look.words
    else:
        source, target, read = look.source, look.target, [START, *look.target[:-1]]
    words = {"encoder": (source, source), "decoder": (read, read), "cross": (target, source)}
    kinds = []
    found = _maps(look.cache, len(source), len(target))
    for kind, (queries, keys) in words.items():
        if maps := found.get(kind):
            weights = [np.round(layer.astype(float), DECIMALS).tolist() for layer in maps]
            kinds.append({"name": kind, "queries": queries, "keys": keys, "weights": weights})
    if not kinds:
        raise ValueError("look.cache holds no attention weights of this sentence: there is nothing to explore")
    return {"source": source, "read": read, "target": target, "kinds": kinds}


def live_html(data: Mapping[str, Any]) -> str:
    """The page of the live explorer, which begins with this answer of `decoding.live`; `worker.js` lies beside it.

    An entry `place` says where it begins: {where, head, query, key}.
    """
    return _page(dict(data), live=True)


def _page(data: dict[str, Any], live: bool = False) -> str:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    # Within a script element, what begins with < could end it.
    text = re.sub("[<>&\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)
    here = resources.files(__package__)
    parts = {
        "@POLICY@": f"{POLICY}; worker-src 'self'" if live else POLICY,
        "@FORM@": FORM if live else "",
        "@START@": (here / "live.js").read_text(encoding="utf-8") if live else OFFLINE,
        "@SENTENCE@": html.escape(" ".join(data["source"] or data["read"])),
        "@DATA@": text,
        "@SCRIPT@": (here / "explorer.js").read_text(encoding="utf-8"),
    }
    page = (here / "explorer.html").read_text(encoding="utf-8")
    # In one pass: a word of the sentence may look like a placeholder.
    return re.sub("|".join(parts), lambda found: parts[found[0]], page)


def _maps(cache: Any, S: int, T: int) -> dict[str, list[Array]]:
    """All attention maps of the first sentence, (H, T, S) for each layer, by what looks at what."""
    found: dict[str, list[Array]] = {}
    for path, weights in attention_in(cache):
        heads = weights[0] if weights.ndim == 4 else weights[0][None]  # (B, T, S) is of one head
        if "encoder" in path and heads.shape[1:] == (S, S):
            kind = "encoder"
        elif heads.shape[1:] == (T, T) and "cross" not in path:
            kind = "decoder"
        elif heads.shape[1:] == (T, S):
            kind = "cross"
        else:
            continue
        found.setdefault(kind, []).append(heads)
    return found
