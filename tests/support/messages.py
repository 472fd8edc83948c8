"""The messages that the program can give its users, as the code has them: constant text, and … for what varies."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.support.commands import ROOT

_VARIES = "…"
_PROBLEMS = {"report", "remark", "_report", "_problem", "Problem", "Refusal"}  # told of a file or a source, not raised
_ENDS = "problems"  # of console/problems: what a command lacks, in its last line
_WRAPS = "translated"  # of engine/sdk_errors and registry/network: what was tried, then the other side's own words
_WARNS = "_log.warning"  # of state, with %s for what varies
_ASKS = "request"  # of registry/connections, which passes `what` on to it


def of_the_program() -> dict[str, set[str]]:
    """Each message's first line, and the modules that give it."""
    library = ROOT / "build_lib"
    trees = {
        str(path.relative_to(library)): ast.parse(path.read_text())
        for path in sorted(library.rglob("*.py"))
        if not path.is_symlink()
    }
    errors = _error_classes(trees.values())
    found: dict[str, set[str]] = {}
    for module, tree in trees.items():
        for text in _messages(tree, errors):
            found.setdefault(text, set()).add(module)
    for said in re.findall(r'echo "error: (.*?)"', (ROOT / "inv").read_text()):
        found.setdefault(re.sub(r"\$(?:\w+|\{[^}]*\})", _VARIES, said), set()).add("inv")
    return found


def of_the_document(path: Path) -> list[str]:
    """The items of its lists whose first line is nothing but code."""
    found = re.findall(r"^- (?:`([^`]+)`|``(.+)``)$", path.read_text(), re.MULTILINE)
    return ["".join(each) for each in found]


def _error_classes(trees: Iterable[ast.Module]) -> set[str]:
    """BuildError and all that is derived from it, however far."""
    known = {"BuildError"}
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    while new := {each.name for each in classes if known & {ast.unparse(base) for base in each.bases}} - known:
        known |= new
    return known


def _messages(tree: ast.Module, errors: set[str]) -> Iterator[str]:
    for scope in ast.walk(tree):
        if isinstance(scope, ast.FunctionDef | ast.Module):
            for call in _calls(scope):
                for argument in _said(call, errors):
                    yield from filter(_is_text, (_line(text, call) for text in _texts(argument, scope)))


def _calls(scope: ast.FunctionDef | ast.Module) -> Iterator[ast.Call]:
    """Those of this function, without those of functions within it."""
    ahead: list[ast.AST] = list(ast.iter_child_nodes(scope))
    while ahead:
        node = ahead.pop()
        if not isinstance(node, ast.FunctionDef):
            ahead += ast.iter_child_nodes(node)
        if isinstance(node, ast.Call):
            yield node


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _said(call: ast.Call, errors: set[str]) -> list[ast.expr]:
    if _name(call) in {*errors, _WRAPS, "__init__", "_end"} or ast.unparse(call.func) == _WARNS:
        return call.args[:1]
    if _name(call) == _ASKS:
        return [each.value for each in call.keywords if each.arg == "what"]
    if _name(call) in _PROBLEMS:
        return [*call.args, *(each.value for each in call.keywords if each.arg == "reason")]
    if _name(call) == _ENDS:
        failed = [each.value for each in call.keywords if each.arg == "failed"]
        return [text for each in failed if isinstance(each, ast.Tuple) for text in each.elts]
    if ast.unparse(call.func) == "refused.append" and isinstance(call.args[0], ast.Tuple):
        return call.args[0].elts
    return [each.value for each in call.keywords if each.arg == "error"]


def _texts(node: ast.expr, scope: ast.FunctionDef | ast.Module) -> Iterator[str]:
    """What the expression may be, a name by what this function gives it."""
    match node:
        case ast.Constant(value=str(text)):
            yield text.replace("%s", _VARIES)
        case ast.JoinedStr(values=parts):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else _VARIES for part in parts)
        case ast.IfExp(body=one, orelse=other):
            yield from _texts(one, scope)
            yield from _texts(other, scope)
        case ast.BinOp(left=one, right=other):
            yield from (f"{a}{b}" for a in _texts(one, scope) for b in _texts(other, scope))
        case ast.Name(id=name):
            for given in ast.walk(scope):
                if isinstance(given, ast.Assign) and name in map(ast.unparse, given.targets):
                    yield from _texts(given.value, scope)


def _line(text: str, call: ast.Call) -> str:
    alone = any(each.arg == "missing" for each in call.keywords)
    text = text if _name(call) not in (_WRAPS, _ASKS) or alone else f"{text}: {_VARIES}"
    return re.sub(f"{_VARIES}+", _VARIES, text.partition("\n")[0])


def _is_text(text: str) -> bool:
    """Whether there is more in it than what other messages say, such as `…: …`."""
    return re.search("[A-Za-z]", text) is not None
