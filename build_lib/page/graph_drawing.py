"""The dependency graph as a picture: a column for each level, each service to the right of all that it depends on.

The method is Sugiyama's: levels, waypoints where an edge passes a level, an order with few crossings, positions.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter
from itertools import pairwise

from build_lib.page.critical_path import Entry, needs, sign
from build_lib.page.markup import Markup, tag
from build_lib.units import seconds

_WIDTH, _HEIGHT = 188, 44  # of a service's box, in pixels
_GAP = 56  # between columns, for the edges
_APART, _PASSING = 56, 22  # the share of a column's height of a box, and of an edge that passes
_LETTERS = 19  # that fit into a box
_SWEEPS = 6

Node = tuple[str, str, int]  # a service (its name twice), or the edge from one to another, in a level
Edges = Mapping[Node, Sequence[Node]]  # each node's neighbours in the next column
Places = dict[Node, tuple[int, float]]  # the middle of each node's left side


def drawing(run: Entry, numbers: Mapping[str, int]) -> Markup:
    """The picture, of the services that have dependencies or dependents; "" if there are none."""
    wanted = _connected(needs(run))
    if not wanted:
        return Markup()
    levels = _levels(wanted)
    paths = [_path(need, name, levels) for name, found in wanted.items() for need in found]
    places = _places(_columns(levels, paths), paths)
    lines = [_line([places[node] for node in path], numbers[path[0][0]], numbers[path[-1][0]]) for path in paths]
    boxes = [
        _box(service, places[_node(service["name"], levels)], wanted[service["name"]], numbers[service["name"]])
        for service in run["services"]
        if service["name"] in wanted
    ]
    columns = max(levels.values()) + 1
    width, height = columns * (_WIDTH + _GAP) - _GAP + 4, max(y for _, y in places.values()) + _APART / 2
    told = f"{len(wanted)} services in {columns} levels; lines lead from each service to its dependents on the right"
    return tag(
        "svg",
        tag("title", "Dependency graph", id="drawing-title"),
        tag("desc", told, id="drawing-desc"),
        *lines,
        *boxes,
        class_="graph",
        role="group",
        aria_labelledby="drawing-title",
        aria_describedby="drawing-desc",
        width=width,
        height=height,
        viewBox=f"-2 0 {width} {height:.0f}",
    )


def alone(run: Entry) -> list[str]:
    """The services without dependencies and dependents."""
    wanted = needs(run)
    connected = _connected(wanted)
    return [name for name in wanted if name not in connected]


def _connected(wanted: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    used = {need for found in wanted.values() for need in found}
    return {name: list(dict.fromkeys(found)) for name, found in wanted.items() if found or name in used}


def _levels(wanted: Mapping[str, Sequence[str]]) -> dict[str, int]:
    levels: dict[str, int] = {}
    for name in TopologicalSorter(wanted).static_order():
        levels[name] = max((levels[need] + 1 for need in wanted[name]), default=0)
    return levels


def _node(name: str, levels: Mapping[str, int]) -> Node:
    return (name, name, levels[name])


def _path(need: str, name: str, levels: Mapping[str, int]) -> list[Node]:
    passed = range(levels[need] + 1, levels[name])
    return [_node(need, levels), *((need, name, level) for level in passed), _node(name, levels)]


def _columns(levels: Mapping[str, int], paths: Sequence[Sequence[Node]]) -> list[list[Node]]:
    columns: list[list[Node]] = [[] for _ in range(max(levels.values()) + 1)]
    for node in [*(_node(name, levels) for name in levels), *(point for path in paths for point in path[1:-1])]:
        columns[node[2]].append(node)
    return columns


def _places(columns: list[list[Node]], paths: Sequence[Sequence[Node]]) -> Places:
    left: dict[Node, list[Node]] = defaultdict(list)
    right: dict[Node, list[Node]] = defaultdict(list)
    for before, after in (pair for path in paths for pair in pairwise(path)):
        left[after].append(before)
        right[before].append(after)
    for _ in range(_SWEEPS):
        _uncross(columns, left)
        _uncross(columns[::-1], right)
    heights: dict[Node, float] = {}
    for column in columns:
        _stack(column, left, heights)
    for column in columns[-2::-1]:
        _stack(column, right, heights)
    top = min(height - _half(node) for node, height in heights.items())
    return {node: (node[2] * (_WIDTH + _GAP), height - top) for node, height in heights.items()}


def _uncross(columns: Sequence[list[Node]], neighbours: Edges) -> None:
    """Order each column by the mean position of its nodes' neighbours in the column before it."""
    for before, column in pairwise(columns):
        there = {node: place for place, node in enumerate(before)}
        here = {node: place for place, node in enumerate(column)}
        wish = {node: _mean([there[other] for other in neighbours.get(node, ())], here[node]) for node in column}
        column.sort(key=wish.__getitem__)


def _stack(column: Sequence[Node], neighbours: Edges, heights: dict[Node, float]) -> None:
    """Place a column's nodes at the height of their neighbours, without overlap; then restore the column's mean."""
    free, wishes = float("-inf"), []
    for node in column:
        otherwise = heights.get(node, max(free, 0.0) + _half(node))
        wishes.append(_mean([heights[other] for other in neighbours.get(node, ())], otherwise))
        heights[node] = max(wishes[-1], free + _half(node))
        free = heights[node] + _half(node)
    shift = _mean([heights[node] for node in column], 0.0) - _mean(wishes, 0.0)
    for node in column:
        heights[node] -= shift


def _mean(values: Sequence[float], otherwise: float) -> float:
    return sum(values) / len(values) if values else otherwise


def _half(node: Node) -> float:
    return (_APART if node[0] == node[1] else _PASSING) / 2


def _line(points: Sequence[tuple[int, float]], source: int, goal: int) -> Markup:
    """An edge: a curve between columns, a straight line through a column that it passes."""
    path: list[str] = []
    for (left, before), (x, after) in pairwise(points):
        begin, middle = left + _WIDTH, x - _GAP // 2
        path.append(f"{'L' if path else 'M'}{begin} {before:.1f}")
        path.append(f"C{middle} {before:.1f} {middle} {after:.1f} {x} {after:.1f}")
    return tag("path", d=" ".join(path), data_from=source, data_to=goal)


def _box(service: Entry, place: tuple[int, float], wanted: Sequence[str], number: int) -> Markup:
    (x, middle), what = place, sign(service)
    took = f", {seconds(service['seconds'])}" if service["seconds"] is not None else ""
    told = f"{service['name']}: {service['state']}{took}; depends on {', '.join(wanted) or 'no other service'}"
    return tag(
        "a",
        tag("title", told),
        tag("rect", x=x, y=middle - _HEIGHT / 2, width=_WIDTH, height=_HEIGHT, rx=5),
        tag("text", _short(service["name"]), x=x + 10, y=middle - 4, class_="name"),
        tag("text", f"{what.symbol} {service['state']}{took}", x=x + 10, y=middle + 13),
        href=f"#service-{number}",
        class_=f"node {what.style}",
        data_service=number,
        aria_label=told,
    )


def _short(name: str) -> str:
    """A name that fits into a box; it keeps its end, in which names of services often differ."""
    half = _LETTERS // 2
    return name if len(name) <= _LETTERS else f"{name[:half]}…{name[-half:]}"
