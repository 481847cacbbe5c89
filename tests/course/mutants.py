"""Automatic mutants of a solution: one operator, axis, factor, term or order is another one."""

import ast
import copy
import sys

import numpy as np

SWAPS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult}
COMPARISONS = ((ast.Lt, ast.LtE), (ast.LtE, ast.Lt), (ast.Gt, ast.GtE), (ast.GtE, ast.Gt), (ast.Eq, ast.NotEq))
METHODS = {"sum": "mean", "mean": "sum"}
WHOLE = {  # what can go wrong with a whole result
    "sign": lambda y: -y,
    "scale, 2": lambda y: 2 * y,
    "scale, length": lambda y: y / len(y),
    "transpose, last": lambda y: np.ascontiguousarray(y.swapaxes(-1, -2)).reshape(y.shape),
    "transpose, first": lambda y: np.ascontiguousarray(y.swapaxes(0, 1)).reshape(y.shape),
    "shift, last": lambda y: np.roll(y, 1, axis=-1),
    "shift, first": lambda y: np.roll(y, 1, axis=0),
    "shape, sum": lambda y: y.sum(axis=0),
    "shape, axis": lambda y: y[None],
    "shape, flat": lambda y: y.reshape(-1),
}


def mutants(exercise):
    """(what was done, function), for each place of the solution where it can be done."""
    tree = ast.parse(exercise.source)
    namespace = vars(sys.modules[exercise.solution.__module__])
    found = []
    for number, node in enumerate(ast.walk(tree.body[0])):
        for kind, change in changes(node):
            changed = copy.deepcopy(tree)
            target = list(ast.walk(changed.body[0]))[number]
            if change(target) is False:
                continue
            local = {}
            try:
                exec(compile(ast.fix_missing_locations(changed), "<mutant>", "exec"), {**namespace}, local)
            except (SyntaxError, ValueError, TypeError):
                continue
            found.append((f"{kind}: {ast.unparse(node)}", local[exercise.name]))
    return found + [(kind, _whole(exercise, change)) for kind, change in WHOLE.items()]


def _whole(exercise, change):
    def mutant(*arguments):
        y = exercise.solution(*arguments)
        parts = list(y) if isinstance(y, tuple) else [y]
        parts[-1] = change(parts[-1])
        return tuple(parts) if isinstance(y, tuple) else parts[-1]

    return mutant


def changes(node):
    """What can be done to this node: a word, and a function that does it to a copy."""
    if isinstance(node, ast.BinOp):
        if type(node.op) in SWAPS:
            yield "operator", lambda n: setattr(n, "op", SWAPS[type(n.op)]())
            yield "drops the right of", lambda n: _becomes(n, n.left)
            yield "drops the left of", lambda n: _becomes(n, n.right)
        if isinstance(node.op, ast.MatMult):
            yield "exchanges the sides of", lambda n: _exchange(n)
            yield "transposes the right of", lambda n: setattr(n, "right", _transposed(n.right))
        if isinstance(node.op, ast.Pow):
            yield "drops the exponent of", lambda n: _becomes(n, n.left)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield "sign", lambda n: _becomes(n, n.operand)
    if isinstance(node, ast.keyword) and node.arg == "axis":
        yield "axis", lambda n: setattr(n, "value", ast.Constant(0))
        yield "axis", lambda n: setattr(n, "value", ast.UnaryOp(ast.USub(), ast.Constant(2)))
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield "transpose", lambda n: _becomes(n, n.value)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in METHODS:
            yield "sum or mean", lambda n: setattr(n.func, "attr", METHODS[n.func.attr])
            yield "no sum", lambda n: _becomes(n, n.func.value)
        if node.func.attr == "swapaxes":
            yield "transpose", lambda n: _becomes(n, n.func.value)
        if node.func.attr in ("exp", "tanh", "sqrt", "log"):
            yield "function", lambda n: _becomes(n, n.args[0])
    if isinstance(node, ast.AugAssign):
        yield "assigns", lambda n: _becomes(n, ast.Assign([n.target], n.value))
    if isinstance(node, ast.Slice):
        yield "slice", lambda n: setattr(n, "lower", _plus_one(n.lower)) if n.lower else False
        yield "slice", lambda n: setattr(n, "upper", _plus_one(n.upper)) if n.upper else False
    if isinstance(node, ast.Compare):
        for old, new in (
            (ast.Lt, ast.LtE),
            (ast.LtE, ast.Lt),
            (ast.Gt, ast.GtE),
            (ast.GtE, ast.Gt),
            (ast.Eq, ast.NotEq),
        ):
            if isinstance(node.ops[0], old):
                yield "comparison", lambda n, new=new: setattr(n, "ops", [new()])


def _becomes(node, other):
    other = copy.deepcopy(other)
    node.__class__ = other.__class__
    node.__dict__ = other.__dict__


def _exchange(node):
    node.left, node.right = node.right, node.left


def _transposed(node):
    axes = [ast.UnaryOp(ast.USub(), ast.Constant(i)) for i in (1, 2)]
    return ast.Call(ast.Attribute(node, "swapaxes", ast.Load()), axes, [])


def _plus_one(node):
    return ast.BinOp(node, ast.Add(), ast.Constant(1))
