"""Random changes of the code, one at a time: do the tests notice? `python -m tests.random_mutants layers --seed 1`

The changes are those of cosmic-ray: another operator, constant or comparison, a condition negated, a loop that does
not run. Here is only the choice of places, the order of tests and the report. A place is drawn first, then one of
its changes, so that lines with many operators do not count more. Tests whose name is the file's run first, then
those of its room. A mutant that no test notices survives. Those in `EQUIVALENT` compute the same, for the reason
given there.

Needs: pip install cosmic-ray.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
# The tests of a room, fast ones first; all of them run before a mutant counts as survived.
ROOMS = {
    "layers": ["layers", "cases", "properties", "models/test_incremental.py", "bad_input/test_public_names.py"],
    "models": ["models", "cases", "layers/test_wrong_inputs.py", "properties", "bad_input/test_public_names.py"],
    "training": ["training", "cases", "bad_input"],
    "decoding": ["decoding", "cases", "bad_input"],
    "data": ["data", "cases", "properties", "bad_input"],
    "pretrained": ["pretrained", "bad_input", "commands/test_lm.py"],
    "verify": ["verify", "cases", "mutants", "bad_input/test_public_names.py"],
    "course": [
        f"course/test_{name}.py"
        for name in (
            *("checking", "result", "problems", "exercise", "changes", "causes", "symptoms", "hints", "source"),
            *("predicting", "exercises", "what_it_learnt", "debugger", "handed_in", "grading"),
        )
    ],
}
# Of the course, what judges answers: not the exercises, the notebooks' building, the gates and grading's processes.
LEFT_OUT = {
    *("exercises", "build.py", "capstone.py", "my_layer.py", "my_transformer.py", "pictures.py"),
    *("grading.py", "worker.py"),
}
PLAIN = ("Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow", "Eq", "NotEq", "Lt", "LtE", "Gt", "GtE")
# Mutants that compute the same: (file, a piece of the changed line) -> why.
REMEMBERED = "how many results are remembered changes the speed alone"
EQUIVALENT: dict[tuple[str, str], str] = {
    ("data/bpe.py", "_CACHED_CHUNKS = "): REMEMBERED,
    ("data/english_french/phrases.py", "@lru_cache(maxsize="): REMEMBERED,
    ("decoding/metrics.py", "@lru_cache(maxsize="): REMEMBERED,
    ("layers/positions.py", "@lru_cache(maxsize="): REMEMBERED,
    ("layers/reductions.py", "@lru_cache(maxsize="): REMEMBERED,
    ("layers/relative.py", "@lru_cache(maxsize="): REMEMBERED,
    ("layers/rotary.py", "@lru_cache(maxsize="): REMEMBERED,
    ("training/parallel/blas.py", "@lru_cache(maxsize="): REMEMBERED,
    ("course/attempts.py", "_about_shapes(details[- 0][1])"): "there is one detail only, so it is also the last",
    ("course/causes.py", 'if name <= "lower"'): "the other name is upper",
    ("verify/diagnosis.py", "value.shape[ -1] == s.right"): "a vector has one axis only, so it is also the last",
    ("data/batches.py", "flat.size <= 0"): "a size is never below 0",
    ("data/english_french/sentences.py", '("you", "te", '): "the participle is the same after all of me, te and le",
    (
        "data/vocabulary.py",
        'left, space = "", True',
    ): "nothing is to the left of the first piece, so no space is asked for",
    ("data/vocabulary.py", 'left, joined = "", True'): "nothing is to the left of the first piece, so no space is put",
    ("decoding/inside.py", "np.where(finite, array, 1)"): "MASKED takes the place of what is not finite",
    ("decoding/sampling.py", "u.reshape(- 2)"): "NumPy takes any negative size for the one that is missing",
    ("decoding/sampling.py", "np.uint64)[ -1]"): "there is one number only, so it is also the last",
    (
        "layers/relative.py",
        "while bucket < n_buckets / 1",
    ): "at the last bucket the power of max_distance is always above",
    ("pretrained/language_model.py", "labels([i])[ -1]"): "there is one label only, so it is also the last",
    ("pretrained/llama2c.py", "part.ndim < 1"): "a vector's transpose is the vector",
    ("pretrained/tokenizer.py", "stops[ -1] if len(stops) == 1"): "there is one only, so it is also the last",
    ("verify/directions.py", "typical != 0.0"): "a root mean square is never below 0",
    ("training/optimizers.py", "CHUNK = "): "how many numbers are worked on at a time changes the speed alone",
}


@dataclass(frozen=True)
class Mutant:
    file: str  # within the package
    line: int
    operator: str
    code: str  # of the whole file

    def changed(self) -> tuple[str, str]:
        """The line before and after."""
        old = (ROOT / "minitransformer" / self.file).read_text(encoding="utf-8").splitlines()
        new = self.code.splitlines()
        return next(((a.strip(), b.strip()) for a, b in zip(old, new) if a != b), ("", ""))

    def reason(self) -> str | None:
        """Why it is equivalent, if it is."""
        return next(
            (why for (f, piece), why in EQUIVALENT.items() if f == self.file and piece in self.changed()[1]), None
        )


def operators() -> list[str]:
    """Cosmic-ray's operators, without shifts and bits, which are refused at once, and without identities."""
    from cosmic_ray import plugins

    def wanted(name: str) -> bool:
        kind, _, change = name.removeprefix("core/").partition("_")
        if kind in ("ReplaceBinaryOperator", "ReplaceComparisonOperator"):
            return all(part in PLAIN for part in change.split("_"))
        return kind not in ("RemoveDecorator", "ExceptionReplacer", "VariableReplacer", "VariableInserter")

    return [name for name in plugins.operator_names() if wanted(name)]


def sample(room: str, n: int, seed: int) -> list[Mutant]:
    """n mutants of a room's files, at places drawn without repetition."""
    from cosmic_ray import plugins
    from cosmic_ray.ast import ast_nodes, get_ast
    from cosmic_ray.mutating import mutate_code

    package = ROOT / "minitransformer"
    files = sorted(p for p in (package / room).rglob("*.py") if not LEFT_OUT.intersection(p.parts))
    places: dict[tuple[str, int, int], list[tuple[str, int]]] = {}
    for path in files:
        nodes = list(ast_nodes(get_ast(path.read_text(encoding="utf-8"))))
        for name in operators():
            operator = plugins.get_operator(name)()
            found = [at for node in nodes for at in operator.mutation_positions(node)]
            for i, (start, _) in enumerate(found):
                places.setdefault((str(path.relative_to(package)), *start), []).append((name, i))
    rng = random.Random(f"{room} {seed}")
    order = sorted(places)
    rng.shuffle(order)
    mutants: list[Mutant] = []
    for file, line, column in order:
        name, occurrence = rng.choice(places[file, line, column])
        text = (package / file).read_text(encoding="utf-8")
        code = mutate_code(text, plugins.get_operator(name)(), occurrence)
        if code is not None and _bare(code) not in (None, _bare(text)):
            mutants.append(Mutant(file, line, name.removeprefix("core/"), code))
        if len(mutants) == n:
            break
    return mutants


def _bare(code: str) -> str | None:
    """The code without annotations, which tests need not notice; None where it cannot be compiled."""
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
        if isinstance(node, ast.AnnAssign):
            node.annotation = ast.Constant(None)
    return ast.dump(tree)


def tests_for(room: str, file: str, workspace: Path) -> list[list[str]]:
    """Stages of tests: of this file by name, then the room's, first its main one with what holds for all rooms."""
    own = sorted((workspace / "tests").rglob(f"test_{Path(file).stem}*.py"))
    main, *rest = [workspace / "tests" / name for name in ROOMS[room]]
    of_all = [workspace / "tests" / name for name in ("test_defaults.py", "test_records.py")]
    return [[str(path) for path in stage] for stage in (own, [*of_all, main], *([path] for path in rest)) if stage]


def killed(mutant: Mutant, room: str, workspace: Path, limit: float, sound: set[str]) -> str | None:
    """What noticed the mutant: a stage of tests, or the time limit; None where nothing did.

    A stage that notices something must pass without it: those in `sound` are known to.
    """
    path = workspace / "minitransformer" / mutant.file
    before = path.read_text(encoding="utf-8")
    path.write_text(mutant.code, encoding="utf-8")
    try:
        by, stage = None, []
        for stage in tests_for(room, mutant.file, workspace):
            if by := fails(stage, workspace, limit):
                break
    finally:
        path.write_text(before, encoding="utf-8")
    if by and str(stage) not in sound:
        if without := fails(stage, workspace, limit):
            raise SystemExit(f"{stage}: fails without a change ({without}); run pytest first")
        sound.add(str(stage))
    return by


def fails(stage: list[str], workspace: Path, limit: float) -> str | None:
    """What failed of a stage of tests, in a process of its own; None where they passed."""
    child = os.fork()
    if child == 0:
        status = 3  # an error of pytest itself
        try:
            status = _run(stage, workspace)
        finally:
            os._exit(status)
    end = time.monotonic() + limit
    while time.monotonic() < end:
        time.sleep(0.02)
        done, code = os.waitpid(child, os.WNOHANG)
        if done:
            return (
                None if code in (0, 5 << 8) else ", ".join(Path(name).name for name in stage[-2:])
            )  # 5: no tests there
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "time limit"


def _run(stage: list[str], workspace: Path) -> int:
    """In a child: pytest on some tests, until the first failure."""
    import pytest

    os.setpgid(0, 0)
    os.chdir(workspace)
    os.environ["PYTHONPATH"] = str(workspace)
    sys.path.insert(0, str(workspace))
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    sys.dont_write_bytecode = True
    status = pytest.main(
        ["-x", "-q", "-o", "addopts=--import-mode=importlib", "-p", "no:cacheprovider", "-n", "0", *stage]
    )
    return int(status)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("room", choices=[*ROOMS, "all"])
    parser.add_argument("-n", type=int, default=60, help="how many mutants of a room (default: 60)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--least", type=float, default=97.0, help="per cent that must be killed (default: 97)")
    parser.add_argument("--limit", type=float, default=240.0, help="seconds for a stage of tests (default: 240)")
    options = parser.parse_args()
    import matplotlib  # what every child needs, once; not hypothesis, which pytest has to import itself
    import numpy  # noqa: F401
    import pytest  # noqa: F401

    matplotlib.use("Agg")
    enough = True
    with tempfile.TemporaryDirectory() as folder:
        workspace = Path(folder) / "copy"
        shutil.copytree(ROOT, workspace, ignore=shutil.ignore_patterns(".git", "runs", "__pycache__", ".*_cache"))
        for room in ROOMS if options.room == "all" else [options.room]:
            counts: Counter[str] = Counter()
            began = time.monotonic()
            mutants = sample(room, options.n, options.seed)
            sound: set[str] = set()
            for mutant in mutants:
                by = killed(mutant, room, workspace, options.limit, sound)
                why = mutant.reason()
                verdict = "killed" if by else "equivalent" if why else "survived"
                counts[verdict] += 1
                old, new = mutant.changed()
                print(f"{verdict:<10} {mutant.file}:{mutant.line}  {old}  ->  {new}  [{by or why or ''}]", flush=True)
            true = counts["killed"] + counts["survived"]
            share = 100 * counts["killed"] / max(true, 1)
            print(
                f"{room}: seed {options.seed}, {counts['killed']} of {true} killed ({share:.1f} %), "
                f"{counts['equivalent']} equivalent, {time.monotonic() - began:.0f} s",
                flush=True,
            )
            enough = enough and share >= options.least
    return 0 if enough else 1


if __name__ == "__main__":
    raise SystemExit(main())
