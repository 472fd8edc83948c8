"""Repositories whose compose files are refused."""

from tests.compose.cases import Case

_A = "services: {a: {image: a}}\n"


def _one(text: str, **environment: str) -> Case:
    return Case(files={"compose.yaml": text}, environment=environment)


def _env_file(text: str) -> Case:
    return Case(files={"compose.yaml": _A, ".env": text})


REFUSED = {
    "an override alone": Case(files={"compose.override.yaml": _A}),
    "a file that is missing": _one(_A, COMPOSE_FILE="compose.yaml:gone.yaml"),
    "an env file that is missing": _one(_A, COMPOSE_ENV_FILES="gone.env"),
    "a name that no project has": _one(_A, COMPOSE_PROJECT_NAME="Bad"),
    "both kinds of dockerfile": _one("services: {a: {build: {dockerfile: D, dockerfile_inline: FROM x}}}\n"),
    "nothing to run": _one("services: {a: {image: a}, b: {command: [run]}}\n"),
    "an unset variable that is required": _one("services: {a: {image: 'x:${V?m}'}}\n"),
    "an unset variable that is required not to be empty": _one("services: {a: {image: 'x:${V:?m}'}}\n"),
    "an empty variable that is required not to be": _one("services: {a: {image: 'x:${V:?m}'}}\n", V=""),
    "a variable that an inactive service requires": _one("services: {a: {image: '${A:?}', profiles: [p]}}\n"),
    "braces that are no variable": _one("services: {a: {image: 'x${V!}'}}\n"),
    "an env file with a space in a name": _env_file("A B=c\n"),
    "an env file with a character that no name has": _env_file("A!=c\n"),
    "an env file with quotes that are not closed": _env_file("A='c\nB=d\n"),
    "an env file with a variable that is malformed": _env_file("A=${B!}\n"),
    "an env file with a variable that is required": _env_file("A=${B:?}\n"),
    "a service that extends nobody": _one("services: {a: {extends: nobody, image: x}}\n"),
    "a service that extends one of a file that has no such": Case(
        files={"compose.yaml": "services: {b: {extends: {service: gone, file: c.yaml}}}\n", "c.yaml": _A}
    ),
    "a service that extends one of a missing file": _one("services: {a: {extends: {service: x, file: gone.yaml}}}\n"),
    "services that extend each other": _one("services: {a: {extends: b}, b: {extends: a}}\n"),
    "an included file that is missing": _one(f"include: [gone.yaml]\n{_A}"),
    "a file that includes itself": _one(f"include: [compose.yaml]\n{_A}"),
}
