"""The file of `--junit`: a build as a test suite, for the readers of CI services.

The elements are those of the Ant task `junit`, with the attributes that the readers of Jenkins and GitLab know.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

from build_lib.console.this_run import repository
from build_lib.foreign import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from xml.etree.ElementTree import Element

    from build_lib.console.this_run import Record
    from build_lib.errors import BuildError

_NOT_IN_XML = re.compile("[\ufffe\uffff]")  # of what `printable` leaves (XML 1.0, production 2)


def document(task: str, record: Record | None, error: BuildError | None) -> str:
    """Return a suite with a case for each service, and for each failure besides.

    Without a record, nothing was built, and the task itself is the case. The same is added if the task failed for a
    reason that no other case has, such as an error in a file.
    """
    suites = ElementTree.Element("testsuites")
    suite = ElementTree.SubElement(suites, "testsuite", name=task)
    if record is not None:
        suite.set("timestamp", record["began"].partition("+")[0])  # in UTC
        suite.extend(_cases(task, record))
    if record is None or (error is not None and not suite.findall("testcase/failure")):
        suite.append(_of_the_task(task, error))
    if error is not None:
        ElementTree.SubElement(suite, "system-err").text = _text(error.message)
    _count(suite, record["seconds"] if record else 0)
    ElementTree.indent(suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(suites, encoding="unicode")}\n'


def _cases(task: str, record: Record) -> Iterator[ElementTree.Element]:
    """A case for each service, then one for each failure that is not a service's."""
    failures = {failure["message"]: failure for failure in record["failures"]}
    for service in record["services"]:
        failure = failures.pop(service["error"], service)
        yield _of_a_service(_case(task, service["name"], service["seconds"]), service, failure)
    for number, (message, failure) in enumerate(failures.items(), 1):
        case = _case(task, f"failure {number}")
        _add(case, "failure", message, _details(failure))
        yield case


def _of_a_service(case: Element, service: Mapping[str, Any], failure: Mapping[str, Any]) -> Element:
    if service["state"] == "failed":
        _add(case, "failure", service["error"], _details(failure, service["tail"]))
    elif service["state"] == "blocked":
        _add(case, "skipped", f"not built: depends on {', '.join(service['blocked_by'])}")
    elif service["state"] in ("interrupted", "not begun"):
        _add(case, "skipped", service["state"])
    return case


def _of_the_task(task: str, error: BuildError | None) -> Element:
    case = _case(task, task)
    if error is not None:
        _add(case, "failure", error.message, _details(error.described(repository())))
    return case


def _case(task: str, name: str, took: float | None = None) -> Element:
    return ElementTree.Element("testcase", classname=f"build-lib.{task}", name=printable(name), time=f"{took or 0:.3f}")


def _add(case: Element, kind: str, message: str, details: str = "") -> None:
    ElementTree.SubElement(case, kind, message=_text(message)).text = _text(details or message)


def _details(failure: Mapping[str, Any], tail: Sequence[str] = ()) -> str:
    """Where it failed, the last lines of the log, and the next step."""
    file, line = failure.get("file"), failure.get("line")
    where = [f"{file}:{line}" if line else file] if file else []
    hint = [f"next: {failure['hint']}"] if failure["hint"] else []
    return "\n".join([*where, *tail, *hint])


def _count(suite: Element, took: float) -> None:
    """Set the numbers of all cases, of failed and of skipped ones, and the time."""
    for name, path in (("tests", "testcase"), ("failures", "testcase/failure"), ("skipped", "testcase/skipped")):
        suite.set(name, str(len(suite.findall(path))))
    suite.set("errors", "0")
    suite.set("time", f"{took:.3f}")


def _text(text: str) -> str:
    return _NOT_IN_XML.sub("", printable(text))
