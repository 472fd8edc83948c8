"""The schemas of docs/schemas, and whether what a task prints is what they say."""

import json
from collections.abc import Sequence
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from referencing import Registry, Resource

SCHEMAS = {path.stem: path for path in (Path(__file__).resolve().parents[2] / "docs/schemas").glob("*.json")}
_OF_THE_SAME = {"build-all": "build"}  # tasks that print what another one prints


def check_printed(arguments: Sequence[str], printed: str) -> None:
    """Check the document that a command line with `--json` printed, if it is that of one task."""
    words = list(takewhile(lambda word: word != "--", arguments))
    tasks = [word for word in words if word in SCHEMAS or word in _OF_THE_SAME]
    if "--json" in words and len(tasks) == 1:
        check(_OF_THE_SAME.get(tasks[0], tasks[0]), json.loads(printed))


def check(name: str, document: object) -> None:
    """Check a document. Fields that the schema does not describe are errors too.

    Raises:
        ValidationError: the document is not as the schema says.
    """
    _validator(name).validate(document)


@cache
def _validator(name: str) -> Draft202012Validator:
    closed = {path.name: _closed(json.loads(path.read_text()), top=True) for path in SCHEMAS.values()}
    resources = [(file, Resource.from_contents(schema)) for file, schema in closed.items()]
    registry: Registry[Any] = Registry().with_resources(resources)
    whole = {"$schema": Draft202012Validator.META_SCHEMA["$id"], "$ref": f"{name}.json", "unevaluatedProperties": False}
    return Draft202012Validator(whole, registry=registry, format_checker=FormatChecker())


def _closed(schema: Any, *, top: bool = False) -> Any:
    """The schema, in which each object has no properties but those that are described.

    That of the whole document is left open, because other schemas add to it.
    """
    if isinstance(schema, list):
        return [_closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    parts = {key: _closed(part) for key, part in schema.items()}
    return parts | ({"unevaluatedProperties": False} if "properties" in schema and not top else {})
