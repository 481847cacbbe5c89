"""The process that runs one function of a submission: `python -m minitransformer.course.worker JOB`, for `grading`.

It is given a student's code and arguments, and writes what the function returned. It knows neither the solution nor the
mark: those stay with the process that started it, so that nothing which runs here can write a mark.
"""

from __future__ import annotations

import ast
import base64
import json
import os
import pickle
import re
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

import numpy as np

from .attempts import Attempt, attempt_all, safe_text, safe_type

JOB, STARTED, ANSWER = "job.pickle", "started", "answer.json"
PLAIN_KINDS = "biufcSU"  # dtypes without Python objects
MEGABYTE = 1 << 20
LARGEST_FILE = 64 * MEGABYTE
BINDING = re.compile(r"^[ \t]*(?:(?:async[ \t]+)?def[ \t]+|(?=\w+[ \t]*=[^=]))(\w+)", re.MULTILINE)
FAILURES = ("", "name", "stub", "exception", "type")  # stages that an attempt may have: none of them is a pass


def main(folder: Path) -> None:
    """Do the job that is in the folder, and end the process at once, whatever else still runs in it."""
    job = pickle.loads((folder / JOB).read_bytes())  # written by the grader
    _limit(job["megabytes"], job["seconds"])
    (folder / STARTED).touch()
    namespace = load(job["code"], job["name"])
    if isinstance(namespace, Attempt):
        attempts = [namespace]
    elif job["name"] not in namespace:
        attempts = [Attempt(stage="name", message=f"It has no function {job['name']}.")]
    else:
        attempts = attempt_all(namespace[job["name"]], job["name"], job["cases"])
    (folder / ANSWER).write_text(json.dumps([encode_attempt(attempt) for attempt in attempts]), encoding="utf-8")
    os._exit(0)


def load(cells: list[str], name: str) -> dict[str, Any] | Attempt:
    """What a notebook defines: of its cells only imports, functions, classes and plain constants run, one by one.

    What stands under `if`, `try` or `with` is taken as if it stood alone where it would be reached. The exercise's own
    name may be bound to anything. A statement that raises is left out, but for those that bind the exercise's name.
    """
    _hide_solutions()
    module = types.ModuleType("__main__")
    vars(module).update(get_ipython=_NoIPython, display=lambda *arguments, **settings: None)
    sys.modules["__main__"] = module
    failed: Attempt | None = None
    for cell in cells:
        try:
            statements = ast.parse(cell).body
        except SyntaxError as error:
            if name in BINDING.findall(cell):
                failed = Attempt(stage="exception", message=f"SyntaxError in line {error.lineno}: {error.msg}")
            continue
        for statement in _reached(statements, vars(module)):
            own = name in bound_by([statement])
            if not own and not _defines(statement):
                continue
            failed = None if own else failed  # the last definition counts
            try:
                exec(compile(ast.Module([statement], []), "<submission>", "exec"), vars(module))
            except BaseException as error:
                if own:
                    message = f"{safe_type(error)} where it is defined: {safe_text(error)}"
                    failed = Attempt(stage="exception", message=message)
    return failed or vars(module)


def bound_by(statements: Sequence[ast.stmt]) -> list[str]:
    """The names that statements of a module bind, imports aside."""
    names: list[str] = []
    for statement in statements:
        match statement:
            case ast.FunctionDef(name) | ast.AsyncFunctionDef(name) | ast.ClassDef(name):
                names.append(name)
            case ast.Assign(targets):
                names += [node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)]
            case ast.AnnAssign(ast.Name(name), value=ast.expr()):
                names.append(name)
        for part in ("body", "orelse", "finalbody"):
            if isinstance(statement, (ast.If, ast.Try, ast.With, ast.For, ast.While)):
                names += bound_by(getattr(statement, part, []))
        for handler in getattr(statement, "handlers", []):
            names += bound_by(handler.body)
    return names


def _reached(statements: Sequence[ast.stmt], namespace: dict[str, Any]) -> Iterator[ast.stmt]:
    """The statements, with those under `if`, `try` and `with` in their place."""
    for statement in statements:
        if isinstance(statement, ast.If):
            try:
                taken = eval(compile(ast.Expression(statement.test), "<submission>", "eval"), namespace)
            except BaseException:  # what it asks was not run here
                taken = True
            yield from _reached(statement.body if taken else statement.orelse, namespace)
        elif isinstance(statement, ast.Try) and not _imports_only(statement.body):
            yield from _reached([*statement.body, *statement.orelse, *statement.finalbody], namespace)
        elif isinstance(statement, ast.With):
            yield from _reached(statement.body, namespace)
        else:
            yield statement


def _imports_only(statements: Sequence[ast.stmt]) -> bool:
    return all(isinstance(statement, (ast.Import, ast.ImportFrom)) for statement in statements)


def _defines(statement: ast.stmt) -> bool:
    if isinstance(statement, (ast.Assign, ast.AnnAssign)):  # a constant; not a training run
        return statement.value is not None and not _calls(statement.value)
    if isinstance(statement, ast.Try):
        return _imports_only(statement.body)
    return isinstance(statement, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))


def _calls(node: ast.AST) -> bool:
    """Whether an expression calls anything but what makes a function of a function; a lambda's body is not run."""
    if isinstance(node, ast.Lambda):
        return any(_calls(default) for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)))
    if isinstance(node, ast.Call):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if called not in ("partial", "vectorize"):
            return True
    return any(_calls(child) for child in ast.iter_child_nodes(node))


class _NoIPython:
    """In the place of IPython, for what its magics became: they do nothing and give nothing."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *arguments, **settings: [] if name == "getoutput" else None


class _NoCourse(MetaPathFinder):
    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name.startswith("minitransformer.course"):
            raise ImportError(f"{name}: not while a submission is graded")
        return None


def _hide_solutions() -> None:
    """What a notebook imports of the course does nothing here, and its solutions are not to be had by an import."""
    for name in [name for name in sys.modules if name.startswith("minitransformer.course")]:
        del sys.modules[name]
    course: Any = types.ModuleType("minitransformer.course")
    course.check = course.hint = course.show_solution = lambda *arguments: None
    sys.modules["minitransformer.course"] = course
    sys.modules["minitransformer"].course = course  # type: ignore[attr-defined]
    sys.meta_path.insert(0, _NoCourse())


def _limit(megabytes: int, seconds: float) -> None:
    """Memory, processor time and size of files, where the system can limit them (POSIX)."""
    try:
        import resource
    except ImportError:  # Windows: the grader's clock is all there is
        return
    limits = {"RLIMIT_AS": megabytes * MEGABYTE, "RLIMIT_CPU": int(seconds) + 1, "RLIMIT_FSIZE": LARGEST_FILE}
    for name, most in {**limits, "RLIMIT_CORE": 0}.items():
        try:
            resource.setrlimit(getattr(resource, name), (most, most))
        except (AttributeError, ValueError, OSError):  # not on this system, or already lower
            continue


def encode_attempt(attempt: Attempt) -> dict[str, Any]:
    """An attempt as plain JSON: what the grader reads must not be able to run anything."""
    return {
        "output": encode(attempt.output),
        "stage": attempt.stage,
        "message": attempt.message,
        "details": [list(detail) for detail in attempt.details],
        "changed": list(attempt.changed),
    }


def decode_attempt(data: Any) -> Attempt:
    """The attempt again. Raises whatever it raises where there is none: a submission may have made it up."""
    if data["stage"] not in FAILURES:
        raise ValueError(f"stage {data['stage']!r}")
    details = tuple((str(label), str(text)) for label, text in data["details"])
    changed = tuple(int(i) for i in data["changed"])
    return Attempt(decode(data["output"]), str(data["stage"]), str(data["message"]), details, changed)


def encode(value: Any) -> Any:
    """An output as JSON: arrays of plain numbers by their bytes, tuples, lists, dicts and scalars by their type."""
    if isinstance(value, np.ndarray):
        plain = np.ascontiguousarray(value)
        if plain.dtype.kind not in PLAIN_KINDS or plain.nbytes > LARGEST_FILE // 2:
            return {"other": f"array {value.shape} {value.dtype}"}
        text = base64.b64encode(plain.tobytes()).decode()
        return {"array": text, "shape": list(value.shape), "dtype": plain.dtype.str}
    if isinstance(value, np.generic) and value.dtype.kind in PLAIN_KINDS:
        return {"scalar": encode(np.asarray(value))}
    if isinstance(value, (list, tuple)):
        return {"tuple" if isinstance(value, tuple) else "list": [encode(part) for part in value]}
    if isinstance(value, dict):
        return {"dict": [[safe_text(key), encode(part)] for key, part in value.items()]}
    if isinstance(value, str):
        return {"plain": str.__str__(value)}
    if value is None or isinstance(value, bool) or type(value) in (int, float):
        return {"plain": value}
    return {"other": safe_type(value)}


class Unknown:
    """Stands in the grader's process for an object that only the student's has; its class has that one's name."""

    def __repr__(self) -> str:
        return type(self).__name__


DECODERS: dict[str, Callable[[Any], Any]] = {
    "plain": lambda data: data,
    "scalar": lambda data: decode(data)[()],
    "tuple": lambda data: tuple(map(decode, data)),
    "list": lambda data: list(map(decode, data)),
    "dict": lambda data: {str(key): decode(part) for key, part in data},
    "other": lambda data: type(str(data), (Unknown,), {})(),
}


def decode(data: Any) -> Any:
    """The output again."""
    if "array" in data:
        dtype = np.dtype(data["dtype"])
        if dtype.kind not in PLAIN_KINDS:
            raise ValueError(f"dtype {dtype}")
        return np.frombuffer(base64.b64decode(data["array"]), dtype).reshape(data["shape"]).copy()
    ((kind, inner),) = data.items()
    return DECODERS[kind](inner)


if __name__ == "__main__":
    # Under its own name, so that what is pickled and imported is one module, not this script and a second copy.
    from minitransformer.course import worker

    worker.main(Path(sys.argv[1]))
