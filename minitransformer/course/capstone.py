"""The capstone: `collect` writes a student's functions into one file, my_transformer.py, and six gates run that file.

    gate 1   the file needs NumPy alone, and the pieces from the lessons pass their checks
    gate 2   forward: attention, blocks and model give the package's numbers at the same weights
    gate 3   backward: every parameter's gradient agrees with the complex step of the student's own forward
    gate 4   training: steps of Adam, and a toy task learned
    gate 5   decoding: a translator trained, held-out sentences translated, the alignment from the student's own cache
    gate 6   a layer class of the student's own keeps the package's contract

No gate needs the one before. What the student's functions return is compared with the package or with the reference
`my_transformer`, never their text. A gate that fails compares the result also with those of `MISTAKES`, each a change
of one line of the reference, and where one of them gives the same numbers it says the reason.
"""

from __future__ import annotations

import ast
import dis
import hashlib
import linecache
import os
import re
import sys
import textwrap
import types
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from ..data import EnglishFrench, LanguageVocabulary, PairBatches, ToyTask, sequence_to_sequence_batch
from ..decoding import greedy
from ..files import whole_file
from ..layers import Array, Glorot, causal_mask, padding_mask
from ..models import PreNormTransformer, TransformerConfig
from ..training import Adam, Trainer, WarmupCosine
from .attempts import Attempt, attempt_all
from .cells import code_cells
from .checking import STRICT, CheckFailed, judge
from .exercise import TODO
from .exercises import find
from .result import Result

FILE = "my_transformer.py"
REFERENCE = (Path(__file__).parent / FILE).read_text(encoding="utf-8")
LAYER = "GatedLinear"  # the class of gate 6
LAYER_REFERENCE = (Path(__file__).parent / "my_layer.py").read_text(encoding="utf-8")
CONTRACT = {"Array", "Cache", "Layer", "Parameter"}  # what the file may import of the package, for that class
PIECES = (  # exercises of earlier lessons that the file is made of
    "embed_backward",
    "position_table",
    "softmax_backward",
    "split_heads",
    "merge_heads",
    "layer_norm_backward",
    "feed_forward_backward",
    "causal_mask",
    "smoothed_loss_backward",
    "adam_step",
)
GATES = {
    1: "the file and its pieces",
    2: "forward",
    3: "backward",
    4: "training",
    5: "decoding",
    6: "your own layer",
}
NEEDS = {  # functions that a gate calls
    1: PIECES,
    2: ("multihead_attention", "encoder_block", "decoder_block", "encode", "decode", "forward"),
    3: ("forward", "smoothed_loss_backward", "backward"),
    4: ("new_parameters", "training_step"),
    5: ("new_parameters", "training_step", "greedy", "alignment"),
    6: (LAYER,),
}
TOLERANCE = 1e-10
SECONDS = 900.0 if sys.platform == "emscripten" else 90.0  # that a training may take; a browser is slow
TOY_STEPS, TRANSLATOR_STEPS = 600, 900
ENOUGH = 0.95  # share of held-out sequences of the toy task that must be right
TRANSLATED, RIGHT = 20, 17  # sentences, and how many of them must be exactly right
UNFIT = {"var", "std", "abs", "absolute", "real", "norm"}  # of NumPy: what does not let complex numbers through
MARK = "# collected, digest "
FROM_REFERENCE = "# from the solution"

Definition = ast.FunctionDef | ast.ClassDef
Run = Callable[[str, Sequence[tuple[Any, ...]]], list[Attempt]]


# -- collecting -------------------------------------------------------------------------------------------------------


class CollectError(Exception):
    """The functions cannot be put into one file; the message says why."""


@dataclass(frozen=True)
class Found:
    """A function or constant of a notebook: its text, and the names that it uses."""

    text: str
    uses: frozenset[str]
    place: str

    def answers(self, wanted: Definition) -> bool:
        """Whether it is a definition that is no stub any more. Lessons have other functions of the same names."""
        if not _is_definition(self.text) or TODO in self.text:
            return False
        if isinstance(wanted, ast.ClassDef):
            return self.text.startswith("class ")
        return all(len(f.args.args) == len(wanted.args.args) for f in functions(self.text).values())


def collect(
    folder: str | Path = ".", fill: str = "", path: str | Path = FILE, cells: Sequence[str] | None = None
) -> None:
    """Write the functions of the notebooks in `folder`, and of the running one, into one file; say what was found.

    Of several functions of one name the last one counts, those of the running notebook before all others. Helper
    functions that they use come along. A file that was edited by hand, or that has functions which the notebooks no
    longer have, is kept as a backup.

    Parameters
    ----------
    folder : path
        With the notebooks of the course.
    fill : {"", "pieces", "all"}
        What to take from the solution where it is missing or still a stub: nothing, the pieces from earlier lessons, or
        every function.
    path : path
        Of the file to write.
    cells : sequence of str, optional
        The running notebook's code; by default what IPython remembers of this session.
    """
    books = [(book.stem, code_cells(book)) for book in sorted(Path(folder).glob("[0-9][0-9]*_*.ipynb"))]
    books = [book for book in books if "backup" not in book[0]]
    text, missing = collected([*books, ("this notebook", _session() if cells is None else list(cells))], fill)
    kept = _write(Path(path), text)
    own = len(definitions(text)) - text.count(FROM_REFERENCE)
    print(f"{path}: {own} functions and classes of yours, {text.count(FROM_REFERENCE)} from the solution")
    if kept:
        print(f"the file that was there is now {kept.name}")
    if missing:
        print(textwrap.fill(f"still missing: {', '.join(missing)}", 100, subsequent_indent=15 * " "))


def collected(books: Sequence[tuple[str, Sequence[str]]], fill: str = "") -> tuple[str, list[str]]:
    """The text of my_transformer.py from notebooks (name, code cells), and the names of what is missing."""
    if fill not in ("", *FILLS):
        raise ValueError(f"fill={fill!r}: must be one of '', {', '.join(map(repr, FILLS))}")
    known = definitions(REFERENCE, LAYER_REFERENCE)
    wanted = list(known)
    reference = _definitions("the solution", [REFERENCE, LAYER_REFERENCE])
    by_book = [_definitions(name, cells) for name, cells in books]
    parts: dict[str, Found] = {}
    imports: list[str] = ["import numpy as np"]
    missing = []
    for name in wanted:
        of_name = [book for book in by_book if name in book and book[name].answers(known[name])]
        if not of_name and name not in FILLS.get(fill, ()):
            missing.append(name)
            continue
        book = of_name[-1] if of_name else reference
        for key in _needed(name, book, set(wanted)):
            found = book[key]
            if found.text.startswith(("import ", "from ")):
                imports += [found.text] * (found.text not in imports)
            elif key in parts and parts[key].text != found.text:
                raise CollectError(
                    f"{key} is defined in {parts[key].place} and, differently, in {found.place}, and both are needed: "
                    "rename one of them"
                )
            else:
                parts[key] = found
        if not of_name:
            parts[name] = Found(f"{FROM_REFERENCE}\n{parts[name].text}", frozenset(), "")
    head = '"""A Transformer of my own, collected from the notebooks."""'
    values = [part.text for part in parts.values() if not _is_definition(part.text)]
    written = [part.text for part in parts.values() if _is_definition(part.text)]
    text = "\n\n\n".join(["\n".join([head, "", *imports, "", *values]).rstrip(), *written]) + "\n"
    return text, missing


def functions(text: str) -> dict[str, ast.FunctionDef]:
    """The top-level functions of a file, by name."""
    return {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}


def definitions(*texts: str) -> dict[str, Definition]:
    """The top-level functions and classes of files, by name."""
    nodes = [node for text in texts for node in ast.parse(text).body]
    return {node.name: node for node in nodes if isinstance(node, Definition)}


def handed_out(names: Sequence[str], kind: str) -> str:
    """Functions of the reference, or its layer, as a lesson's cell: in the solved notebook whole, in the student's as
    stubs.
    """
    texts = []
    for name in names:
        text = LAYER_REFERENCE if name == LAYER else REFERENCE
        lines, node = text.splitlines(), definitions(text)[name]
        wanted = set(range(node.lineno, (node.end_lineno or 0) + 1))
        for function in ast.walk(node) if kind == "student" else ():
            if isinstance(function, ast.FunctionDef):  # its body becomes an error
                docstring_ends = function.body[0].end_lineno or 0
                wanted -= set(range(docstring_ends + 1, (function.end_lineno or 0) + 1))
                lines[docstring_ends - 1] += f"\n{' ' * function.body[0].col_offset}{TODO}"
        texts.append("\n".join(lines[i - 1] for i in sorted(wanted)))
    return "\n\n\n".join(texts)


def _definitions(place: str, cells: Sequence[str]) -> dict[str, Found]:
    """What a notebook's cells define at their top level: functions, plain constants and imports, the last of each."""
    found: dict[str, Found] = {}
    for cell in cells:
        try:
            statements = ast.parse(cell).body
        except (SyntaxError, ValueError):
            continue
        for node in statements:
            names: list[str] = []
            match node:
                case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                    names = [name]
                case ast.Import(aliases) | ast.ImportFrom(names=aliases):
                    names = [alias.asname or alias.name.split(".")[0] for alias in aliases]
                case ast.Assign(targets, value) if not any(isinstance(n, ast.Call) for n in ast.walk(value)):
                    names = [n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
            if not names:
                continue
            decorators = getattr(node, "decorator_list", [])
            first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
            text = "\n".join(cell.splitlines()[first - 1 : node.end_lineno])
            uses = _globals_of(compile(ast.Module([node], []), place, "exec"))
            for name in names:
                if name in found and found[name].text != text and text.rstrip().endswith(TODO):
                    continue  # a stub that was run again does not hide the function
                found[name] = Found(text, uses, place)
    return found


def _globals_of(code: types.CodeType) -> frozenset[str]:
    """The names that code looks for outside of its own functions."""
    found = {step.argval for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    inner = (_globals_of(part) for part in code.co_consts if isinstance(part, types.CodeType))
    return frozenset(found).union(*inner)


def _needed(name: str, book: dict[str, Found], wanted: set[str]) -> list[str]:
    """The function and what it uses of the same notebook, what is used before what uses it."""
    order: list[str] = []
    seen: set[str] = set()

    def visit(key: str) -> None:
        seen.add(key)
        for used in sorted(book[key].uses & book.keys() - wanted - seen):
            visit(used)
        order.append(key)

    visit(name)
    return [key for key in order if book[key].text != "import numpy as np"]


def _is_definition(text: str) -> bool:
    return text.startswith(("def ", "class ", "@"))


def _session() -> list[str]:
    """The cells that this IPython session has run; none outside of IPython."""
    try:
        from IPython import get_ipython
    except ImportError:
        return []
    shell: Any = get_ipython()  # type: ignore[no-untyped-call]
    return [] if shell is None else [str(cell) for cell in shell.user_ns.get("In", [])]


def _write(path: Path, text: str) -> Path | None:
    """Write the file; where that would lose something of somebody's, keep the old one, and return where it is."""
    kept = None
    if path.exists():
        old = path.read_text(encoding="utf-8")
        first, _, body = old.partition("\n")
        try:
            lost = definitions(body).keys() - definitions(text).keys()
        except SyntaxError:
            lost = {"?"}
        if body != text and (first != MARK + _digest(body) or lost):
            n, kept = 1, path.with_suffix(".backup.py")
            while kept.exists():
                n += 1
                kept = path.with_suffix(f".backup{n}.py")
            with whole_file(kept) as file:
                file.write(old.encode())
    with whole_file(path) as file:
        file.write(f"{MARK}{_digest(text)}\n{text}".encode())
    return kept


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


FILLS = {"pieces": (*PIECES, "softmax"), "all": tuple(definitions(REFERENCE, LAYER_REFERENCE))}

# -- gates ------------------------------------------------------------------------------------------------------------

# What runs where the student's functions are: in the notebook, or in a grader's process.
DRIVERS = """
import time as _time


def _call(name, *arguments):
    return globals()[name](*arguments)


def _gradient(p, source, target, targets, n_heads):
    logits, kept = forward(p, source, target, n_heads)
    d_logits = smoothed_loss_backward(logits.reshape(-1, logits.shape[-1]), targets.reshape(-1), 0, 0.1)
    return backward(p, d_logits.reshape(logits.shape), kept)


def _complex_step(p, source, target, targets, n_heads):
    V, h = len(p["target_embedding.tokens.weight"]), 1e-20
    truth = (0.9 * np.eye(V)[targets] + 0.1 / V) * (targets != 0)[..., None] / (targets != 0).sum()

    def loss(changed):
        z = forward(changed, source, target, n_heads)[0]
        z = z - z.real.max(axis=-1, keepdims=True)
        return -(truth * (z - np.log(np.exp(z).sum(axis=-1, keepdims=True)))).sum()

    step = {}
    for name, value in p.items():
        step[name] = np.zeros(value.shape)
        for i in np.ndindex(value.shape):
            moved = value.astype(complex)
            moved[i] += 1j * h
            step[name][i] = loss({**p, name: moved}).imag / h
    return step


def _steps(p, batches, n_heads, rates, seconds):
    state, losses, began = {}, [], _time.perf_counter()
    for (source, target, targets), rate in zip(batches, rates):
        loss = training_step(p, state, source, target, targets, n_heads, rate)
        if loss is None:
            raise TypeError("training_step returns nothing; it must return the loss")
        losses.append(float(loss))
        if _time.perf_counter() - began > seconds:
            break
    return dict(p), losses


def _translator(sizes, seed, batches, n_heads, rates, seconds, source, start, eos, longest):
    p = new_parameters(np.random.default_rng(seed), *sizes)
    p, losses = _steps(p, batches, n_heads, rates, seconds)
    found = [[int(i) for i in row] for row in greedy(p, source, n_heads, start, eos, longest)]
    first = np.array([[start, *found[0]]])
    return p, losses, found, alignment(p, source[:1], first, n_heads)


def _own_layer(p, xs, dys):
    from minitransformer.layers import Cache, Layer

    D, F = p["weight"].shape
    layer = GatedLinear(D, F, np.random.default_rng(0))
    found = {"is a Layer": isinstance(layer, Layer), "shapes": {}, "runs": []}
    named = dict(layer.named_parameters()) if found["is a Layer"] else {}
    found["shapes"] = {name: list(parameter.shape) for name, parameter in named.items()}
    if found["shapes"] != {name: list(value.shape) for name, value in p.items()}:
        return found
    found["drawn"] = bool(all(np.ptp(parameter.value) > 0 for parameter in named.values()))
    for name, parameter in named.items():
        parameter.value = p[name].copy()
        parameter.grad = np.zeros_like(p[name])
    given = [x.copy() for x in xs]
    results = [layer.forward(x) for x in given[:2]]  # two forwards before the first backward: no state in the layer
    found["pair"] = all(isinstance(r, tuple) and len(r) == 2 and isinstance(r[1], Cache) for r in results)
    if not found["pair"]:
        return found
    for i, (x, before, dy) in enumerate(zip(given, xs, dys)):
        y, cache = results[i] if i < 2 else layer.forward(x)
        upstream, kept = dy.copy(), {name: np.array(cache[name]) for name in cache}
        earlier = {name: parameter.grad.copy() for name, parameter in named.items()}
        dx = layer.backward(upstream, cache)
        found["runs"].append(
            {
                "y": y,
                "dx": dx,
                **{name: parameter.grad - earlier[name] for name, parameter in named.items()},
                "x changed": not np.array_equal(x, before),
                "dy changed": not np.array_equal(upstream, dy),
                "cache changed": any(not np.array_equal(kept[name], cache[name]) for name in kept),
            }
        )
    found["sum"] = {name: parameter.grad.copy() for name, parameter in named.items()}
    for name, parameter in named.items():
        parameter.value = p[name].astype(np.float32)
        parameter.grad = np.zeros_like(parameter.value)
    y, cache = layer.forward(xs[0].astype(np.float32))
    found["float32"] = [str(a.dtype) for a in (y, layer.backward(dys[0].astype(np.float32), cache))]
    for name, parameter in named.items():
        parameter.value = p[name]
    found["complex"] = layer.forward(xs[0] + 1e-20j * dy_like(xs[0]))[0].imag / 1e-20
    return found


def dy_like(x):
    return np.cos(np.arange(x.size)).reshape(x.shape)
"""


@dataclass(frozen=True)
class Mistake:
    """One line of the reference changed, which a gate must reject."""

    gate: int
    reason: str
    old: str
    new: str

    @property
    def text(self) -> str:
        if REFERENCE.count(self.old) != 1:
            raise ValueError(f"{self.old!r} is {REFERENCE.count(self.old)} times in the reference")
        return REFERENCE.replace(self.old, self.new)


MISTAKES = (
    Mistake(
        2,
        "Heads are cut out of the wrong axis: (B, T, D) was reshaped to (B, H, T, d) at once. First reshape to "
        "(B, T, H, d), then exchange the axes.",
        "return x.reshape(B, T, n_heads, D // n_heads).swapaxes(1, 2)",
        "return x.reshape(B, n_heads, T, D // n_heads)",
    ),
    Mistake(
        2,
        "The scores are not divided by sqrt(d).",
        "@ k.swapaxes(-1, -2) * q.shape[-1] ** -0.5",
        "@ k.swapaxes(-1, -2)",
    ),
    Mistake(
        2,
        "The scores are divided by sqrt(D); it must be d = D / H, the length of what is multiplied.",
        "@ k.swapaxes(-1, -2) * q.shape[-1] ** -0.5",
        "@ k.swapaxes(-1, -2) * x.shape[-1] ** -0.5",
    ),
    Mistake(2, "The mask is not used.", "softmax(np.where(mask, scores, -np.inf))", "softmax(scores)"),
    Mistake(
        2,
        "A masked score became 0. exp(0) is 1, so it still gets a weight; it must become -inf.",
        "np.where(mask, scores, -np.inf)",
        "np.where(mask, scores, 0.0)",
    ),
    Mistake(
        2,
        "The decoder sees the words that it must predict: its self-attention has no causal mask.",
        "return np.tri(length, dtype=bool)",
        "return np.ones((length, length), dtype=bool)",
    ),
    Mistake(
        2,
        "Nothing is added around the attention of the encoder's block: its residual connection is missing.",
        'x = x + attended\n    h, norm_2 = norm(p, f"{name}.feed_forward.norm", x)',
        'x = attended\n    h, norm_2 = norm(p, f"{name}.feed_forward.norm", x)',
    ),
    Mistake(2, "The embeddings are not multiplied by sqrt(D).", "return table[ids] * D**0.5", "return table[ids]"),
    Mistake(
        2,
        "LayerNorm divides the sum of squares by D - 1; it must be D.",
        "(centred**2).mean(axis=-1, keepdims=True)",
        "(centred**2).sum(axis=-1, keepdims=True) / (x.shape[-1] - 1)",
    ),
    Mistake(
        3,
        "The gradient of softmax lacks the sum: every score moves every weight of its row.",
        "return y * (dy - (dy * y).sum(axis=-1, keepdims=True))",
        "return y * dy",
    ),
    Mistake(
        3, "An id that repeats is counted once; use np.add.at.", "np.add.at(d_table, ids, dy)", "d_table[ids] += dy"
    ),
    Mistake(
        3,
        "The gradient of the way around is lost: behind x + f(x) it is dy plus what comes through f.",
        'dx = dy + norm_backward(p, g, f"{name}.feed_forward.norm", dh, norm_2)',
        'dx = norm_backward(p, g, f"{name}.feed_forward.norm", dh, norm_2)',
    ),
    Mistake(
        3,
        "The target's table is used twice, for the ids and for the logits; its gradient has one of the two.",
        "    g[name] += embed_backward(dx, target, V) * D**0.5\n",
        "",
    ),
    Mistake(
        3,
        "Every block of the decoder reads the memory, so their gradients of it add; only one of them arrives.",
        "d_memory = d_memory + d_read",
        "d_memory = d_read",
    ),
    Mistake(
        3,
        "The keys' gradient of the memory is lost: the memory was used for keys and for values.",
        '    d_memory = d_memory + linear_backward(p, g, f"{name}.key", merge_heads(dk), memory)\n',
        '    linear_backward(p, g, f"{name}.key", merge_heads(dk), memory)\n',
    ),
    Mistake(
        4,
        "Adam without the correction for the start at 0: divide m by 1 - beta1^t and v by 1 - beta2^t.",
        "m / (1 - beta1**t), v / (1 - beta2**t)",
        "m, v",
    ),
    Mistake(4, "The number of the step stays 1.", 'state.get("t", 0) + 1', "1"),
    Mistake(
        4,
        "The number of the step advances once for each parameter; once for each step is right.",
        "    for name in p:\n        m, v",
        '    for name in p:\n        t = state["t"] = state["t"] + 1\n        m, v',
    ),
    Mistake(
        4, "The weights move up the gradient: the sign of the step is wrong.", "return w - rate", "return w + rate"
    ),
    Mistake(
        4,
        "Padding counts in the loss: the mean is over all positions.",
        "counted = (targets != pad)[:, None]",
        "counted = (targets == targets)[:, None]",
    ),
    Mistake(
        5,
        "The decoder's first position decides every word; the last one predicts what comes next.",
        "logits[:, -1].argmax",
        "logits[:, 0].argmax",
    ),
    Mistake(5, "The first thing read is not the start that was given.", "start)\n    while", "eos)\n    while"),
    Mistake(
        5,
        "The end is still in the translation, or what was written behind it.",
        "return [row[: row.index(eos)] if eos in row else row for row in",
        "return [row for row in",
    ),
    Mistake(
        5,
        "The alignment is not the cross-attention of the last block: it has the wrong weights.",
        "caches[-1][3]",
        "caches[-1][1]",
    ),
    Mistake(
        2,
        "What goes around is the normed vector; in x + f(norm(x)) it is x itself.",
        'x = x + attended\n    h, norm_2 = norm(p, f"{name}.feed_forward.norm", x)',
        'x = h + attended\n    h, norm_2 = norm(p, f"{name}.feed_forward.norm", x)',
    ),
    Mistake(
        2,
        "The last norm of the encoder is missing.",
        'memory, last = norm(p, "encoder.norm", x)',
        'memory, last = x, norm(p, "encoder.norm", x)[1]',
    ),
    Mistake(
        2,
        "Weights are used transposed; they are (in, out), and y = x W.",
        'return x @ p[f"{name}.weight"] + p',
        'return x @ p[f"{name}.weight"].T + p',
    ),
    Mistake(
        2,
        "The output projection of attention is missing.",
        'return linear(p, f"{name}.output", merged), (x',
        "return merged, (x",
    ),
    Mistake(
        3,
        "The factor 1 / sqrt(d) is in the forward, but not in the backward.",
        "softmax_backward(d_weights, weights) * q.shape[-1] ** -0.5",
        "softmax_backward(d_weights, weights)",
    ),
    Mistake(
        3,
        "Self-attention used x for queries and for keys and values; only the queries' gradient arrives.",
        'dx + norm_backward(p, g, f"{name}.attention.norm", d_queries + d_memory, norm_1)',
        'dx + norm_backward(p, g, f"{name}.attention.norm", d_queries, norm_1)',
    ),
    Mistake(
        3,
        "The biases of the projections get no gradient.",
        '    g[f"{name}.bias"] += d_rows.sum(axis=0)\n',
        "",
    ),
    Mistake(4, "Adam's second beta is not 0.98.", "rate, 0.9, 0.98, 1e-8)", "rate, 0.9, 0.999, 1e-8)"),
)


def gate(
    number: int, path: str | Path = FILE, draw: Callable[..., Any] | None = None, mistake: int | None = None
) -> Result:
    """Run one of the six gates on the file.

    Parameters
    ----------
    number : int
        From 1 to 6.
    path : path
        The file.
    draw : callable, optional
        (weights, French words, English words), for gate 5: `minitransformer.plotting.attention_map`.
    mistake : int, optional
        In place of the file, run the solution with one line changed, the one of this number: for the museum.

    Returns
    -------
    Result
        Prints itself: PASS, or NOT YET and what is wrong.
    """
    if number not in GATES:
        raise ValueError(f"number={number!r}: must be one of 1 to {len(GATES)}")
    if mistake is not None:
        text = MISTAKES[mistake].text
        result = judge_gate(number, partial(run_here, text), text, draw)
        return result if result else Result(result.name, result.stage, "This gate rejects it.")
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return Result(
            f"gate {number}", "missing", f"{path} cannot be read ({type(error).__name__}): run collect() first."
        )
    result = judge_gate(number, partial(run_here, text), text, draw)
    if not result and os.environ.get(STRICT) == "1":
        raise CheckFailed(f"\n{result}")
    return result


def toy_losses(mistake: int | None = None, n_steps: int = 200, seed: int = 0) -> list[float]:
    """The loss at each step on the toy task of gate 4: of the solution, or of one with this mistake."""
    text = REFERENCE if mistake is None else MISTAKES[mistake].text
    sizes, drawn, _, rates = _toy(np.random.default_rng(seed), n_steps)
    run = partial(run_here, text)
    p = _one(run, "_call", "new_parameters", np.random.default_rng(seed), *sizes).output
    return list(_one(run, "_steps", p, drawn, 2, rates, SECONDS).output[1])


def run_here(text: str, name: str, cases: Sequence[tuple[Any, ...]]) -> list[Attempt]:
    """Call a function of a file in this process."""
    place = f"<{FILE} {_digest(text)}>"
    module = types.ModuleType("my_transformer")
    linecache.cache[place] = (len(text), None, text.splitlines(keepends=True), place)
    try:
        exec(compile(text, place, "exec"), vars(module))
    except Exception as error:
        return [Attempt(stage="exception", message=f"{FILE} does not run: {type(error).__name__}: {error}")]
    exec(DRIVERS, vars(module))
    if name not in vars(module):
        return [Attempt(stage="name", message=f"{FILE} has no function {name}.")]
    return attempt_all(vars(module)[name], name, cases)


def judge_gate(number: int, run: Run, text: str, draw: Callable[..., Any] | None = None, seed: int = 0) -> Result:
    """What a gate says of a file with this text, whose functions `run` calls."""
    name = f"gate {number}"
    try:
        defined = definitions(text)
    except SyntaxError as error:
        return Result(name, "exception", f"{FILE} is not Python: line {error.lineno}: {error.msg}")
    if (foreign := _foreign_import(text)) is not None:
        return Result(name, "type", foreign)
    for function in NEEDS[number]:
        if function not in defined and (number > 1 or find(function)):
            where = f"lesson {exercise.lesson}" if (exercise := find(function)) else "lesson 12"
            kind = "class" if function == LAYER else "function"
            message = f"{FILE} has no {kind} {function}: write it in {where}, then collect()."
            return Result(f"{name}, {function}", "missing", message)
    judges: dict[int, Callable[..., Iterator[Result]]] = {
        1: _judge_pieces,
        2: _judge_forward,
        3: _judge_backward,
        4: _judge_training,
        5: _judge_decoding,
        6: _judge_layer,
    }
    result = Result(name, "pass", "")
    for result in judges[number](run, np.random.default_rng(seed), defined, draw):
        result = Result(f"{name}, {result.name}", result.stage, result.message, result.details)
        if not result:
            return result
    return Result(f"{name}, {GATES[number]}", "pass", result.message, result.details)


def _foreign_import(text: str) -> str | None:
    """In words, the first import of anything but NumPy and what comes with Python."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import(aliases):
                modules = [alias.name for alias in aliases]
            case ast.ImportFrom(module=module):
                modules = [module or "."]
            case _:
                continue
        if modules == ["minitransformer.layers"] and {alias.name for alias in node.names} <= CONTRACT:
            continue
        for module in modules:
            if module.split(".")[0] not in {"numpy", "__future__", *sys.stdlib_module_names} - {"importlib"}:
                return f"Line {node.lineno} imports {module}. The file must need NumPy alone: write that part yourself."
    return None


def _judge_pieces(run: Run, rng: np.random.Generator, defined: dict[str, Any], draw: Any) -> Iterator[Result]:
    seed = int(rng.integers(1 << 30))
    for piece in PIECES:
        exercise = find(piece)
        if exercise is None:
            continue
        result = judge(exercise, partial(run, piece), seed)
        yield Result(piece, result.stage, result.message, result.details)
    count = len(defined)
    missing = [name for name in functions(REFERENCE) if name not in defined]
    more = f" {len(missing)} more are still to come." if missing else ""
    yield Result("", "pass", f"{count} functions, NumPy alone, and the {len(PIECES)} pieces pass their checks.{more}")


def _one(run: Run, driver: str, *arguments: Any) -> Attempt:
    attempts = run(driver, [arguments])
    return attempts[-1] if attempts else Attempt(stage="exception", message="It did not come to an end.")


@dataclass(frozen=True)
class Small:
    """A small model of the package with random weights, and a batch with padding and repeated ids."""

    model: PreNormTransformer
    p: dict[str, Array]
    source: Array
    target: Array
    targets: Array
    H: int = 2

    @classmethod
    def draw(cls, rng: np.random.Generator, D: int = 6, n_blocks: int = 2) -> Small:
        config = TransformerConfig(
            7, 9, d_model=D, n_heads=2, d_ff=5, n_encoder_blocks=n_blocks, n_decoder_blocks=n_blocks, dropout=0.0
        )
        model = PreNormTransformer(config, Glorot(rng, np.float64))
        for parameter in model.parameters():  # no gain is 1 and no bias 0: what is forgotten must show
            parameter.value += 0.3 * rng.standard_normal(parameter.shape)
        source, target, targets = (rng.integers(1, n, (3, T)) for n, T in ((7, 5), (9, 4), (9, 4)))
        source[0, 3:], target[1, 3:], targets[1, 3:], targets[2, 1:] = 0, 0, 0, 0
        target[0, :2] = target[2, 0]
        return cls(model, {name: q.value.copy() for name, q in model.named_parameters()}, source, target, targets)


def _judge_forward(run: Run, rng: np.random.Generator, defined: dict[str, Any], draw: Any) -> Iterator[Result]:
    small = Small.draw(rng)
    model: Any = small.model
    p, H = small.p, small.H
    x, memory = rng.standard_normal((3, 4, 6)), rng.standard_normal((3, 5, 6))
    may = padding_mask(small.source, 0)
    encoder, decoder = model.encoder.blocks[1], model.decoder.blocks[1]
    cross = decoder.cross_attention.sublayer
    E, D = "encoder.blocks.1", "decoder.blocks.1"
    causal = np.tri(4, dtype=bool)
    parts: list[tuple[str, tuple[Any, ...], Array]] = [
        ("multihead_attention", (p, f"{D}.cross_attention", x, memory, H, may), cross(x, memory, may)),
        ("encoder_block", (p, E, memory, H, may), encoder(memory, may)),
        ("decoder_block", (p, D, x, memory, H, causal, may), decoder(x, memory, causal_mask(4), may)),
        ("encode", (p, small.source, H), model.encode(small.source)[0]),
        ("decode", (p, small.target, memory, small.source, H), model.decode(small.target, memory, may)[0]),
        ("forward", (p, small.source, small.target, H), model(small.source, small.target)),
    ]
    for name, arguments, wanted in parts:
        attempt = _one(run, "_call", name, *arguments)
        if attempt.stage:
            yield Result(name, attempt.stage, attempt.message, attempt.details)
        if not (isinstance(attempt.output, tuple) and len(attempt.output) == 2):
            yield Result(
                name, "type", f"It must return two things, the output and a cache, not {_kind(attempt.output)}."
            )
        elif (problem := _difference(attempt.output[0], wanted)) is not None:
            reason = _reason(2, "_call", (name, *arguments), lambda output: output[0], attempt.output[0])
            yield Result(name, problem[0], f"{reason}{problem[1]}")
        if attempt.changed:
            yield Result(name, "mutated", "It changes one of its arguments. Work on new arrays: x = x + y, not x += y.")
    yield Result("", "pass", f"{', '.join(name for name, _, _ in parts)}: the package's numbers at the same weights.")


def _judge_backward(run: Run, rng: np.random.Generator, defined: dict[str, Any], draw: Any) -> Iterator[Result]:
    small = Small.draw(rng, D=4)
    arguments = (small.p, small.source, small.target, small.targets, small.H)
    attempt = _one(run, "_gradient", *arguments)
    if attempt.stage:
        yield Result("backward", attempt.stage, attempt.message, attempt.details)
    mine = attempt.output
    attempt = _one(run, "_complex_step", *arguments)
    if attempt.stage:
        message = f"It runs with real numbers, and not with complex ones: {attempt.message}"
        yield Result("forward", attempt.stage, message, attempt.details)
    step = attempt.output
    if not isinstance(mine, dict):
        yield Result("backward", "type", f"It must return a dict of gradients by name, not {_kind(mine)}.")
    if not max(np.max(np.abs(value)) for value in step.values()):
        message = (
            "The complex step of your forward is 0 everywhere: somewhere it drops the imaginary part. Use no abs, var, "
            "std or .real in a forward, and make arrays with the dtype of the input."
        )
        yield Result("forward", "value", message)
    wrong = []
    for name, wanted in step.items():
        problem = (
            ("missing", "The dict of gradients does not have it.")
            if name not in mine
            else _difference(mine[name], wanted)
        )
        wrong += [] if problem is None else [(name, problem)]
    if wrong:
        name, (stage, message) = wrong[-1]  # the last in forward's order is the first on the way back
        reason = _reason(3, "_gradient", arguments, _flat, _flat(mine))
        others = f" ({len(wrong)} of {len(step)} parameters are wrong)" if len(wrong) > 1 else ""
        unfit = sorted(UNFIT & {n.attr for f in defined.values() for n in ast.walk(f) if isinstance(n, ast.Attribute)})
        if unfit and not reason:
            others += (
                f" Your file uses {', '.join(unfit)}: where that is in a forward, the complex step is not its slope."
            )
        yield Result(name, stage, f"{reason}{message}{others}")
    logits, cache = small.model.forward(small.source, small.target)
    trainer = Trainer(small.model, Adam(), clip=None)
    trainer.loss.label_smoothing = 0.1  # type: ignore[attr-defined]
    _, loss_cache = trainer.loss.forward(logits, small.targets)
    small.model.backward(trainer.loss.backward(1.0, loss_cache), cache)
    for name, parameter in small.model.named_parameters():
        if (problem := _difference(mine[name], parameter.grad)) is not None:
            message = (
                f"It is the gradient of your forward, but your forward is not the package's (gate 2). {problem[1]}"
            )
            yield Result(name, problem[0], message)
    n = sum(value.size for value in step.values())
    yield Result(
        "", "pass", f"all {n:,} numbers of {len(step)} parameters, each against a complex step, to {TOLERANCE:g}."
    )


def _judge_training(run: Run, rng: np.random.Generator, defined: dict[str, Any], draw: Any) -> Iterator[Result]:
    small = Small.draw(rng)
    batches, rates = [(small.source, small.target, small.targets)] * 3, [0.01, 0.02, 0.03]
    arguments = (small.p, batches, small.H, rates, SECONDS)
    attempt = _one(run, "_steps", *arguments)
    if attempt.stage:
        yield Result("training_step", attempt.stage, attempt.message, attempt.details)
    trainer = Trainer(small.model, Adam(0.9, 0.98), lambda step: rates[step - 1], clip=None)
    history = trainer.fit([(small.source, small.target, small.targets)], 3)
    wanted = {name: parameter.value for name, parameter in small.model.named_parameters()}
    after, losses = attempt.output
    if (problem := _difference(_flat(after), _flat(wanted), 1e-6)) is not None:
        reason = _reason(4, "_steps", arguments, lambda output: _flat(output[0]), _flat(after), 1e-6)
        yield Result("three steps", problem[0], f"{reason}After three steps of Adam (0.9, 0.98): {problem[1]}")
    if (problem := _difference(np.array(losses), np.array([r["loss"] for r in history.steps]), 1e-6)) is not None:
        yield Result(
            "the loss", "value", f"The loss that training_step returns is no mean over the words. {problem[1]}"
        )
    n_steps = TOY_STEPS
    sizes, drawn, test, rates = _toy(rng, n_steps)
    begun = _one(run, "_call", "new_parameters", np.random.default_rng(0), *sizes)
    if begun.stage:
        yield Result("new_parameters", begun.stage, begun.message, begun.details)
    if (model := _package(begun.output, sizes, 2)) is None:
        yield Result("new_parameters", "shape", "Names and shapes are not those of the solution's parameters.")
    attempt = _one(run, "_steps", begun.output, drawn, 2, rates, SECONDS)
    if attempt.stage:
        yield Result("the toy task", attempt.stage, attempt.message, attempt.details)
    after, losses = attempt.output
    if len(losses) < n_steps:
        yield Result("the toy task", "limit", f"{len(losses)} of {n_steps} steps were done after {SECONDS:g} seconds.")
    model = _package(after, sizes, 2)
    exact = 0.0
    if model is not None:
        right = (model(*test[:2]).argmax(axis=-1) == test[2]) | (test[2] == 0)
        exact = float(right.all(axis=1).mean())
    if exact < ENOUGH:
        message = f"After {n_steps} steps {exact:.0%} of 200 held-out sequences are right; {ENOUGH:.0%} are needed."
        yield Result("the toy task", "value", f"{message} The loss fell from {losses[0]:.2f} to {losses[-1]:.2f}.")
    message = f"Adam's steps are right, and of 200 held-out sequences {exact:.1%} are reversed exactly."
    yield Result("", "pass", message, (("loss", f"{losses[0]:.3f} at first, {losses[-1]:.3f} at the end"),))


def _judge_layer(run: Run, rng: np.random.Generator, defined: dict[str, Any], draw: Any) -> Iterator[Result]:
    D, F = 3, 5
    p = {name: rng.standard_normal((D, F)) for name in ("weight", "gate")}
    xs, dys = ([rng.standard_normal((*size, n)) for size in ((7,), (7,), (2, 4), (2, 1, 3))] for n in (D, F))
    attempt = _one(run, "_own_layer", p, xs, dys)
    if attempt.stage:
        yield Result(LAYER, attempt.stage, attempt.message, attempt.details)
    found = attempt.output

    def fails(part: str, stage: str, message: str) -> Result:
        return Result(f"{LAYER}{part}", stage, message)

    if not found["is a Layer"]:
        yield fails("", "type", f"It must be a class that inherits from Layer: `class {LAYER}(Layer)`.")
    if (shapes := found["shapes"]) != {name: [D, F] for name in p}:
        seen = ", ".join(f"{name} {tuple(shape)}" for name, shape in shapes.items()) or "none"
        yield fails(
            ".__init__",
            "shape",
            f"The parameters of {LAYER}({D}, {F}, rng) are {seen}; they must be weight and gate, both ({D}, {F}), "
            "each a Parameter.",
        )
    if not found["drawn"]:
        yield fails(".__init__", "value", "All numbers of a parameter are equal at first: draw them from rng.")
    if not found["pair"]:
        yield fails(".forward", "type", "It must return two things, the output y and a Cache.")
    for x, dy, one in zip(xs, dys, found["runs"]):
        opened = 1 / (1 + np.exp(-(x @ p["gate"])))
        d_linear, d_gate = dy * opened, dy * (x @ p["weight"]) * opened * (1 - opened)
        axes = f"for x {x.shape}: "
        summed = [np.tensordot(x, d, axes=(range(x.ndim - 1),) * 2) for d in (d_linear, d_gate)]
        for part, key, wanted in (
            ("forward", "y", (x @ p["weight"]) * opened),
            ("backward", "dx", d_linear @ p["weight"].T + d_gate @ p["gate"].T),
            ("backward", "weight", summed[0]),
            ("backward", "gate", summed[1]),
        ):
            if (problem := _difference(one[key], wanted)) is not None:
                what = key if key in ("y", "dx") else f"{key}.grad"
                more = ""
                if key in p:
                    more = " Two arrays went forward before: is anything of a call in self?"
                    more = more if x is xs[0] else " Does backward add to grad? Does it sum over all axes but the last?"
                yield fails(f".{part}", problem[0], f"{what}, {axes}{problem[1]}{more}")
        for name in ("x", "dy", "cache"):
            if one[f"{name} changed"]:
                yield fails("", "mutated", f"It changes {name}. Work on new arrays: x = x + y, not x += y.")
    if set(found["float32"]) != {"float32"}:
        yield fails("", "dtype", f"For float32 y and dx are {' and '.join(found['float32'])}; both must be float32.")
    x, v = xs[0], np.cos(np.arange(xs[0].size)).reshape(xs[0].shape)
    opened = 1 / (1 + np.exp(-(x @ p["gate"])))
    slope = (v @ p["weight"]) * opened + (x @ p["weight"]) * opened * (1 - opened) * (v @ p["gate"])
    if _difference(found["complex"], slope) is not None:
        message = (
            "Complex numbers do not pass through, so check_gradients cannot judge it: no abs, no real, no float()."
        )
        yield fails(".forward", "value", message)
    yield Result("", "pass", f"{LAYER} keeps the contract: parameters, cache, gradients that add, no state.")


def _toy(rng: np.random.Generator, n_steps: int) -> tuple[tuple[int, ...], list[Any], tuple[Array, ...], list[float]]:
    """Sizes of a model, training batches, a held-out batch and learning rates: sequences of symbols to reverse."""
    task = ToyTask("reverse", n_symbols=8, min_length=3, max_length=6)
    words, schedule = task.vocabulary, WarmupCosine(5e-3, n_steps, min(50, n_steps))
    drawn = [_batch(task.sample(rng, 32), words) for _ in range(n_steps)]
    test = _batch(task.sample(rng, 200, "test"), words)
    return (len(words), len(words), 32, 64, 1), drawn, test, [schedule(i + 1) for i in range(n_steps)]


def _judge_decoding(run: Run, rng: np.random.Generator, defined: dict[str, Any], draw: Any) -> Iterator[Result]:
    english, french, batches, rates, test = _translation(int(rng.integers(1 << 30)), TRANSLATOR_STEPS)
    sizes = (len(english), len(french), 32, 64, 1)
    source = _batch([(english.encode_tokens(e.english), [french.eos + 1]) for e in test], french)[0]
    references = [french.encode_tokens(e.french) for e in test]
    arguments = (sizes, 0, batches, 2, rates, SECONDS, source, french.bos, french.eos, 30)
    attempt = _one(run, "_translator", *arguments)
    if attempt.stage:
        yield Result("translating", attempt.stage, attempt.message, attempt.details)
    p, losses, found, weights = attempt.output
    if len(losses) < len(rates):
        yield Result("training", "limit", f"{len(losses)} of {len(rates)} steps were done after {SECONDS:g} seconds.")
    if (model := _package(p, sizes, 2)) is None:
        yield Result("new_parameters", "shape", "Names and shapes are not those of the solution's parameters.")
        return
    wanted = [h.ids for h in greedy(model, source, start=french.bos, eos=french.eos, max_new_tokens=30)]
    exact = sum(a == b for a, b in zip(found, references))
    as_package = sum(list(a) == list(b) for a, b in zip(found, wanted))
    sample = tuple(
        (e.english_text, french.decode(ids))
        for e, ids in list(zip(test, found))[:3]
        if all(i < len(french) for i in ids)
    )
    if as_package < TRANSLATED - 1:  # of equally probable words two programs may choose two
        reason = _reason_decoding(p, source, french, found)
        message = f"{reason}With your weights the package's greedy decoder writes another sentence in "
        yield Result("greedy", "value", f"{message}{TRANSLATED - as_package} of {TRANSLATED} cases.", sample)
    if exact < RIGHT:
        message = f"{exact} of {TRANSLATED} held-out sentences are translated exactly; {RIGHT} are needed."
        yield Result(
            "translating", "value", f"{message} The loss fell from {losses[0]:.2f} to {losses[-1]:.2f}.", sample
        )
    target = np.array([[french.bos, *found[0]]])
    _, kept = model.forward(source[:1], target)
    if (problem := _difference(weights, kept["decoder"]["blocks"][-1]["cross_attention"]["weights"], 1e-4)) is not None:
        message = "It must be the cross-attention of the last decoder block from your own cache, (B, H, T, S)."
        yield Result("alignment", problem[0], f"{message} {problem[1]}")
    if draw is not None:
        rows = [*(french.tokens[i] for i in found[0]), "<eos>"]
        columns = [english.tokens[i] for i in source[0] if i]
        draw(weights[0].mean(axis=0)[:, : len(columns)], rows, columns)
    message = f"{exact} of {TRANSLATED} held-out sentences are translated exactly by your own decoder."
    yield Result("", "pass", message, sample)


@cache
def _translation(seed: int, n_steps: int) -> tuple[Any, Any, list[Any], list[float], list[Any]]:
    """Vocabularies, training batches, their rates, and held-out sentences, of two constructions of the grammar."""
    grammar, rng = EnglishFrench(), np.random.default_rng(seed)
    english = LanguageVocabulary(grammar.source_tokens, "english")
    french = LanguageVocabulary(grammar.target_tokens, "french")

    def drawn(n: int, split: str) -> list[Any]:
        both = [*grammar.sample_hard(rng, n, split), *grammar.sample_easy(rng, n, split)]
        return [e for e in both if e.template.startswith(("bought from", "goods at"))]

    pairs = [(english.encode_tokens(e.english), french.encode_tokens(e.french)) for e in drawn(15_000, "train")]
    batches = PairBatches(pairs, 32, seed=seed, start=french.bos, eos=french.eos)
    data = [(*batch.inputs, batch.targets) for batch in map(batches.batch, range(n_steps))]
    test = drawn(1_000, "test")
    chosen = [test[i] for i in rng.permutation(len(test))[:TRANSLATED]]
    schedule = WarmupCosine(5e-3, n_steps, 50)
    return english, french, data, [schedule(i + 1) for i in range(n_steps)], chosen


def _batch(pairs: Sequence[Any], words: Any) -> tuple[Array, Array, Array]:
    batch = sequence_to_sequence_batch(pairs, pad=0, start=words.bos, eos=words.eos)
    return (*batch.inputs, batch.targets)  # type: ignore[return-value]


def _package(p: Any, sizes: tuple[int, ...], n_heads: int) -> PreNormTransformer | None:
    """The package's model with these weights; None where they do not fit."""
    source_vocab, target_vocab, D, d_ff, n_blocks = sizes
    config = TransformerConfig(
        source_vocab,
        target_vocab,
        d_model=D,
        n_heads=n_heads,
        d_ff=d_ff,
        n_encoder_blocks=n_blocks,
        n_decoder_blocks=n_blocks,
        dropout=0.0,
    )
    model = PreNormTransformer(config, np.random.default_rng(0))
    named = dict(model.named_parameters())
    if not isinstance(p, dict) or p.keys() != named.keys():
        return None
    for name, parameter in named.items():
        if np.shape(p[name]) != parameter.shape:
            return None
        parameter.value[...] = np.real(p[name])
    return model


def _difference(mine: Any, wanted: Array, tolerance: float = TOLERANCE) -> tuple[str, str] | None:
    """The stage and, in words, how an array differs from the one that is wanted; None where it does not."""
    if not isinstance(mine, np.ndarray):
        return "type", f"It must be an array, not {_kind(mine)}."
    if mine.shape != wanted.shape:
        return "shape", f"Its shape is {mine.shape}; it must be {wanted.shape}."
    if mine.dtype.kind not in "fc" or not np.isfinite(mine).all():
        return "nan", "It holds NaN or infinity, or no floating numbers."
    error = np.abs(mine - wanted)
    if error.max(initial=0.0) <= tolerance * max(1.0, np.abs(wanted).max(initial=0.0)):
        return None
    worst = np.unravel_index(error.argmax(), error.shape)
    where = ", ".join(map(str, worst))
    n = int((error > tolerance * max(1.0, np.abs(wanted).max())).sum())
    return (
        "value",
        f"{n} of {error.size} numbers are not right; at [{where}] it is {mine[worst]:.6g}, not {wanted[worst]:.6g}.",
    )


def _reason(
    number: int,
    driver: str,
    arguments: tuple[Any, ...],
    part: Callable[[Any], Any],
    mine: Any,
    tolerance: float = TOLERANCE,
) -> str:
    """The reason of a mistake that gives the same numbers, and a space; "" where none does."""
    for mistake in MISTAKES:
        if mistake.gate > number:
            continue
        attempt = _one(partial(run_here, mistake.text), driver, *arguments)
        if not attempt.stage and _difference(mine, part(attempt.output), tolerance) is None:
            return f"{mistake.reason} "
    return ""


def _reason_decoding(p: dict[str, Array], source: Array, french: Any, found: list[list[int]]) -> str:
    for mistake in MISTAKES:
        if mistake.gate == 5:
            arguments = ("greedy", p, source, 2, french.bos, french.eos, 30)
            if _one(partial(run_here, mistake.text), "_call", *arguments).output == found:
                return f"{mistake.reason} "
    return ""


def _flat(arrays: Any) -> Any:
    """All arrays of a dict in one vector, in the order of their names."""
    if not isinstance(arrays, dict):
        return arrays
    return np.concatenate([np.ravel(arrays[name]) for name in sorted(arrays)])


def _kind(value: Any) -> str:
    return re.sub(r"^NoneType$", "None", type(value).__name__)
