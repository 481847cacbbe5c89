"""Why an answer is wrong: its outputs are compared with those of the registered wrong answers, then with those of the
solution in which one thing was changed, such as a sign, an axis or a factor.
"""

from __future__ import annotations

import ast
import copy
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np

from .attempts import Attempt, attempt_all
from .exercise import Exercise
from .problems import wrong_entries

STILL_BROKEN = "The bug is still in it: on every input it returns what the code that was handed out returns"
Change = tuple[str, ast.AST]  # what was changed, in words, and the node that takes the place of the old one


def registered(exercise: Exercise, cases: Sequence[tuple[Any, ...]], attempts: Sequence[Attempt]) -> str:
    """The reason of the wrong answer that returns the same, or "": first of all outputs, then of a wrong one."""
    wrong = [(" ".join((function.__doc__ or "").split()).rstrip("."), function) for function in exercise.wrong]
    if exercise.broken is not None:
        wrong.insert(0, (STILL_BROKEN, exercise.broken))
    return _first(exercise, cases, attempts, wrong)


def neighbour(exercise: Exercise, cases: Sequence[tuple[Any, ...]], attempts: Sequence[Attempt]) -> str:
    """What one has to change in the solution so that it returns the same, in words, or ""."""
    return _first(exercise, cases, attempts, _neighbours(exercise))


def _first(
    exercise: Exercise,
    cases: Sequence[tuple[Any, ...]],
    attempts: Sequence[Attempt],
    candidates: Sequence[tuple[str, Callable[..., Any]]],
) -> str:
    got = [attempt.output for attempt in attempts[: len(cases)]]
    if len(got) < len(cases) or any(attempt.stage for attempt in attempts[: len(cases)]):
        return ""
    wanted = [attempt.output for attempt in attempt_all(exercise.solution, exercise.name, cases)]
    partly = ""
    for words, function in candidates:
        theirs = attempt_all(function, exercise.name, cases)
        if theirs[-1].stage:
            continue
        outputs = [attempt.output for attempt in theirs]
        if all(map(same, outputs, wanted)):  # wrong in another way than by its numbers
            if all(map(same, got, wanted)) and theirs[0].changed and attempts[0].changed == theirs[0].changed:
                return words
            continue
        if all(map(same, got, outputs)):
            return words
        if not partly and all(_same_part(exercise, *three) for three in zip(got, outputs, wanted)):
            partly = words
    return partly


def _same_part(exercise: Exercise, got: Any, theirs: Any, wanted: Any) -> bool:
    """Of several outputs, whether the first one of `got` that is wrong is as wrong in `theirs`."""
    if not isinstance(wanted, tuple) or not isinstance(got, (tuple, list)) or not isinstance(theirs, (tuple, list)):
        return False
    if not len(got) == len(theirs) == len(wanted):
        return False
    return next((same(a, b) for a, b, right in zip(got, theirs, wanted) if not same(a, right)), False)


def same(a: Any, b: Any) -> bool:
    """Whether two outputs have the same form and, to rounding, the same numbers."""
    if isinstance(a, dict) and isinstance(b, dict):
        return set(a) == set(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, (str, type(None))) or isinstance(b, (str, type(None))):
        return type(a) is type(b) and bool(a == b)
    try:
        x, y = np.asarray(a), np.asarray(b)
        if x.shape != y.shape:
            return False
        if x.dtype.kind not in "biuf" or y.dtype.kind not in "biuf":
            return x.dtype.kind == y.dtype.kind and bool(np.array_equal(x, y))
        return not wrong_entries(x, y)[0].any()
    except (TypeError, ValueError):
        return False


@cache
def _neighbours(exercise: Exercise) -> list[tuple[str, Callable[..., Any]]]:
    """The solution with one thing changed, once for every thing, with the change in words."""
    tree = ast.parse(exercise.source)
    function = tree.body[0]
    assert isinstance(function, ast.FunctionDef)
    namespace = vars(sys.modules[exercise.solution.__module__])
    nodes = [node for statement in function.body[1:] for node in ast.walk(statement)]
    found: list[tuple[str, Callable[..., Any]]] = []
    for node in nodes:
        for words, new in _changes(node, exercise.arguments):
            changed = _replaced(tree, node, new)
            local: dict[str, Any] = {}
            try:
                exec(compile(ast.fix_missing_locations(changed), "<changed>", "exec"), {**namespace}, local)
            except (SyntaxError, ValueError):
                continue
            found.append((words, local[exercise.name]))
    return found


def _replaced(tree: ast.Module, old: ast.AST, new: ast.AST) -> ast.Module:
    """A copy of the tree with one node in another's place."""

    class Replace(ast.NodeTransformer):
        def visit(self, node: ast.AST) -> Any:
            return copy.deepcopy(new) if node is old else self.copied(node)

        def copied(self, node: ast.AST) -> ast.AST:
            made = type(node)(**{name: self.field(value) for name, value in ast.iter_fields(node)})
            return ast.copy_location(made, node)

        def field(self, value: Any) -> Any:
            if isinstance(value, list):
                return [self.field(part) for part in value]
            return self.visit(value) if isinstance(value, ast.AST) else value

    made = Replace().visit(tree)
    assert isinstance(made, ast.Module)
    return made


AXES = (-1, -2, 0, 1, 2)
REDUCTIONS = {"sum": "mean", "mean": "sum", "max": "sum"}
ORDER = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}
TURNED = {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE}


def _changes(node: ast.AST, arguments: Sequence[str]) -> Iterator[Change]:
    match node:
        case ast.BinOp(left, ast.Add() | ast.Sub(), right):
            minus = isinstance(node.op, ast.Sub)
            yield (
                f"a sign: a term is {'added' if minus else 'subtracted'} that must be "
                f"{'subtracted' if minus else 'added'}",
                ast.BinOp(left, ast.Add() if minus else ast.Sub(), right),
            )
            yield _missing("term", right, arguments), left
            yield _missing("term", left, arguments), ast.UnaryOp(ast.USub(), right) if minus else right
            if minus:
                yield _missing("term", left, arguments), right
                yield "a difference is the wrong way round", ast.BinOp(right, ast.Sub(), left)
        case ast.BinOp(left, ast.Mult(), right):
            yield _missing("factor", right, arguments), left
            yield _missing("factor", left, arguments), right
            yield "it divides where it must multiply", ast.BinOp(left, ast.Div(), right)
            yield "a factor is there once too often", ast.BinOp(node, ast.Mult(), right)
            yield "a factor is there once too often", ast.BinOp(node, ast.Mult(), left)
        case ast.BinOp(left, ast.Div() | ast.FloorDiv(), right):
            yield _missing("division", right, arguments), left
            yield "only what it divides by is left of a quotient", right
            yield "it multiplies where it must divide", ast.BinOp(left, ast.Mult(), right)
            yield "a quotient is upside down", ast.BinOp(right, node.op, left)
        case ast.BinOp(left, ast.Pow(), right):
            root = isinstance(right, (ast.UnaryOp, ast.Constant)) and "0.5" in ast.unparse(right)
            yield f"a {'root' if root else 'power'} is missing", left
            yield "an exponent has the wrong sign", ast.BinOp(left, ast.Pow(), ast.UnaryOp(ast.USub(), right))
            if root:
                yield "a division by sqrt(n) is one by n", ast.BinOp(node, ast.Mult(), node)
        case ast.BinOp(left, ast.MatMult(), right):
            yield "the two factors of a matrix product stand in the wrong order", ast.BinOp(right, ast.MatMult(), left)
            yield "a matrix product where each entry has its own product", ast.BinOp(left, ast.Mult(), right)
            for turned in (
                ast.BinOp(_turned(left), ast.MatMult(), right),
                ast.BinOp(left, ast.MatMult(), _turned(right)),
            ):
                yield "a factor of a matrix product is transposed, or not transposed, against the rule", turned
        case ast.UnaryOp(ast.USub(), operand) if not isinstance(operand, ast.Constant):
            yield "a sign: a minus is missing", operand
        case ast.UnaryOp(ast.USub(), ast.Constant(float()) as operand):
            yield "a sign: a number must be negative", operand
        case ast.Attribute(value, "T"):
            yield "a transpose is missing", value
            yield "a reshape where axes must be transposed", _reshaped(value, node)
        case ast.Call(ast.Attribute(value, "swapaxes" | "transpose")):
            yield "a transpose is missing: axes are not swapped", value
            yield "a reshape where axes must be swapped", _reshaped(value, node)
        case ast.Call(ast.Attribute(value, name), args, keywords) if name in REDUCTIONS:
            other = REDUCTIONS[name]
            yield f"a {name} is missing", value
            if name != "max":
                yield (
                    f"the {other} of an axis where its {name} is needed",
                    ast.Call(ast.Attribute(value, other, ast.Load()), args, keywords),
                )
        case ast.Call(ast.Attribute(ast.Name("np"), name), [first], _) if name in ("exp", "log", "sqrt", "tanh", "abs"):
            yield f"{'a root' if name == 'sqrt' else name} is missing", first
        case ast.Call(ast.Attribute(ast.Name("np"), "sin" | "cos" as name), args, keywords):
            other = "cos" if name == "sin" else "sin"
            function = ast.Attribute(ast.Name("np", ast.Load()), other, ast.Load())
            yield f"a {other} stands where a {name} belongs", ast.Call(function, args, keywords)
        case ast.Call(ast.Attribute(ast.Name("np"), "where"), [test, one, other], keywords):
            yield "the two cases of np.where are exchanged", ast.Call(node.func, [test, other, one], keywords)
        case ast.Call(ast.Name("reversed" | "sorted") as name, [first], _):
            yield f"`{name.id}` is missing: it goes in the wrong order", first
        case ast.Call(ast.Name("min" | "max") as name, args, keywords):
            other = "max" if name.id == "min" else "min"
            yield f"{other} where it must be {name.id}", ast.Call(ast.Name(other, ast.Load()), args, keywords)
        case ast.Compare(left, [operator], [right]):
            for kinds, words in (
                (ORDER, "the border of a comparison"),
                (TURNED, "a comparison is the wrong way round"),
            ):
                if type(operator) in kinds:
                    yield words, ast.Compare(left, [kinds[type(operator)]()], [right])
        case ast.keyword("axis", value):
            for axis in _other_axes(value):
                yield "a sum, a mean or the like runs over the wrong axis", ast.keyword("axis", axis)
        case ast.AugAssign(target, _, value):
            read = copy.deepcopy(target)
            yield "it assigns where it must add", ast.Assign([target], value)
            yield "a part is missing that is to be added", ast.Pass()
            if isinstance(node.op, ast.Add):
                yield "a sign: it subtracts where it must add", ast.AugAssign(read, ast.Sub(), value)
        case ast.Expr(ast.Call()):
            yield "a part is missing that is to be added or written", ast.Pass()
        case ast.Slice(None, None, ast.UnaryOp(ast.USub(), step)):
            yield "something is not turned round, or the wrong way round", ast.Slice(None, None, step)
        case ast.Slice(lower, upper, step):
            for part, name in ((lower, "lower"), (upper, "upper")):
                for moved in _moved(part):
                    parts = (moved, upper, step) if name == "lower" else (lower, moved, step)
                    yield "a slice begins or ends one place off", ast.Slice(*parts)
        case ast.Call(ast.Name("range"), args, keywords):
            for i, part in enumerate(args):
                for by in (1, -1):
                    moved = ast.BinOp(part, ast.Add(), ast.Constant(by))
                    yield (
                        "a loop goes one step too far, or not far enough",
                        ast.Call(node.func, [*args[:i], moved, *args[i + 1 :]], keywords),
                    )
        case ast.Subscript(value, ast.Constant(int()) | ast.BinOp(_, ast.Add(), ast.Constant(int())), ast.Load()):
            for moved in _moved(node.slice):
                yield "an index is one place off", ast.Subscript(value, moved, ast.Load())
        case ast.Tuple(elements, ast.Load()) if len(elements) == 2:
            yield "two results, or two axes, are exchanged", ast.Tuple(elements[::-1], ast.Load())
        case ast.Name(name, ast.Load()) if name in arguments:
            for other in arguments:
                if other != name:
                    yield f"{other} stands where {name} belongs", ast.Name(other, ast.Load())
        case ast.Constant(float(number)) if number not in (0.0, 1.0):
            yield f"a constant: {number:g} is another number", ast.Constant(2.0 * number)


def _missing(what: str, node: ast.AST, arguments: Sequence[str]) -> str:
    """In words; named where it is an argument, so that no line of the solution is told."""
    name = f", {node.id}" if isinstance(node, ast.Name) and node.id in arguments else ""
    return f"a {what}{name} is missing"


def _turned(node: ast.expr) -> ast.expr:
    match node:
        case ast.Attribute(value, "T"):
            return value
        case ast.Call(ast.Attribute(value, "swapaxes")):
            return value
    axes = [ast.UnaryOp(ast.USub(), ast.Constant(i)) for i in (1, 2)]
    return ast.Call(ast.Attribute(node, "swapaxes", ast.Load()), list(axes), [])


def _reshaped(value: ast.expr, node: ast.expr) -> ast.expr:
    shape = ast.Attribute(node, "shape", ast.Load())
    return ast.Call(ast.Attribute(value, "reshape", ast.Load()), [shape], [])


def _other_axes(node: ast.expr) -> Iterator[ast.expr]:
    for axis in (*AXES, None):
        if ast.unparse(node) != str(axis):
            yield ast.Constant(axis)


def _moved(node: ast.expr | None) -> Iterator[ast.expr]:
    if node is not None:
        for by in (1, -1):
            yield ast.BinOp(node, ast.Add(), ast.Constant(by))
