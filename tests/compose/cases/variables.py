"""Variables: their forms, where their values come from, and the project's name."""

from tests.compose.cases import Case

_FORMS = [
    *("$V", "${V}", "a${V}b$V.c", "${V:-d}", "${V-d}", "${V:+w}", "${V+w}"),
    *("${V:-${O:-e}}", "${V:-a:-b?c}", "${V:-}", "${V:-$O}${V:+$O}"),
]
_NAME = "services: {a: {image: 'x:$COMPOSE_PROJECT_NAME'}}\n"


def _arguments(written: str, **environment: str) -> Case:
    return Case(files={"compose.yaml": _with_arguments(written)}, environment=environment)


def _with_arguments(written: str) -> str:
    return f"services: {{a: {{build: {{args: {written}}}}}}}\n"


def _forms(**environment: str) -> Case:
    return _arguments("{" + ", ".join(f"A{i}: '{form}'" for i, form in enumerate(_FORMS)) + "}", **environment)


FORMS = {
    "of a value": _forms(V="v", O="o"),
    "of nothing": _forms(V=""),
    "of no variable": _forms(),
    "that require what is there": _arguments("{A: '${V:?m}', B: '${V?m}', C: '${E?m}'}", V="v", E=""),
    "with two dollars": _arguments("{A: $$V, B: '$$$$', C: '$${V}', D: '$$$V', E: 'a$'}", V="v"),
    "that are none": _arguments("{A: a $ b}"),
    "in keys are none": _arguments("{$V: $V}", V="v"),
    "in items of a list": _arguments("[$V=$V]", V="v"),
    "in values are none": _arguments("{A: $V}", V="$$O ${O}", O="o"),
    "in paths": Case(
        files={"compose.yaml": "services: {a: {build: {context: '$V/a', dockerfile: '${W:-D}', target: $V}}}\n"},
        environment={"V": "v"},
    ),
    "the directory": Case(files={"compose.yaml": "services: {a: {build: '${PWD}/a'}}\n"}, since=(2, 28)),
    "the home directory": Case(files={"compose.yaml": "services: {a: {build: ~/a}}\n"}),
    "numbers": _arguments(
        "{A: 1.50, B: 010, C: 0x1F, D: '1.50', E: 1_000, F: .5, G: 3.10, H: 12345678901, I: -0, J: 1.0, K: +7, L: 0b11}"
    ),
    "texts like numbers": _arguments("{A: 1.2.3, B: -1.250, C: true, D: False, E: no, F: '010', G: $V}", V="1.50"),
    "texts in a list": _arguments("[A=true, B=1.50, C=010, D=]"),
}

_ENV_FILE = r"""
# a comment
PLAIN=value
SPACES =  two words  # a comment
TAB=value	# no comment
HASH=a#b
ONLY= # what
EMPTY=
export EXPORTED=yes
COLON: value
SINGLE='a $PLAIN # "x" \n \' \\ b'
DOUBLE="a $PLAIN ${EMPTY:-e} # 'x' \" \\ \$PLAIN b"
ESCAPES="a\tb\nc\0052 \052 \08"
LINES="one
two"
AFTER='x' # a comment
VARIABLE=$PLAIN/${PLAIN}/${UNSET:-u}
DOLLARS=a$$b
BACKSLASH=a\nb\
TWICE=1
TWICE=2$TWICE
GIVEN=file
USES=$GIVEN
dotted.name=x
EQUALS=a=b==
NO_VALUE
QUOTE=it's
CARET=^$
"""
_SET = [line.partition("=")[0].replace("export ", "").strip() for line in _ENV_FILE.splitlines() if "=" in line]
_OTHERS = ["COLON", "NO_VALUE", "UNSET"]

ENV_FILES = {
    "quotes, comments and variables": Case(
        files={"compose.yaml": _with_arguments(f"[{', '.join([*_SET, *_OTHERS])}]"), ".env": _ENV_FILE},
        environment={"GIVEN": "environment"},
    ),
    "carriage returns": Case(
        files={"compose.yaml": _with_arguments("[A, B, C]"), ".env": "A=a\r\nB='b'\r\nC=\"c\" # d\r\n"}
    ),
    "a byte order mark": Case(files={"compose.yaml": _with_arguments("[A]"), ".env": "\ufeffA=a\n"}),
    "named files instead of it": Case(
        files={
            "compose.yaml": "services: {a: {image: 'x:${A:-no}-$B-$C'}, b: {image: b, profiles: [p]}}\n",
            ".env": "A=not-read\n",
            "one.env": "B=one\nC=one\n",
            "site/two.env": "C=two$B\nCOMPOSE_PROFILES=p\n",
        },
        environment={"COMPOSE_ENV_FILES": "one.env,site/two.env"},
    ),
    "a named file names the compose files": Case(
        files={
            "one.env": "COMPOSE_FILE=deploy/c.yaml\nA=a\n",
            "deploy/c.yaml": "services: {a: {image: 'x:$A-$B'}}\n",
            "deploy/.env": "B=not-read\n",
        },
        environment={"COMPOSE_ENV_FILES": "one.env"},
    ),
    "a named file uses what an earlier one sets anew": Case(
        files={"compose.yaml": _with_arguments("[B]"), "1.env": "A=1\n", "2.env": "A=2\nB=$A\n"},
        environment={"COMPOSE_ENV_FILES": "1.env,2.env"},
        since=(2, 28),
    ),
    "neither of both": Case(
        files={
            "deploy/c.yaml": "services: {a: {image: 'x:${A:-a}-${B:-b}'}}\n",
            ".env": "A=no\nCOMPOSE_FILE=no\n",
            "deploy/.env": "B=no\n",
        },
        environment={"COMPOSE_FILE": "deploy/c.yaml", "COMPOSE_DISABLE_ENV_FILE": "true"},
    ),
    "that of a service is not for the file": Case(
        files={"compose.yaml": "services: {a: {image: 'x:${A:-d}', env_file: a.env}}\n", "a.env": "A=a\n"}
    ),
}

NAMES = {
    "that of the directory": Case(files={"compose.yaml": _NAME}),
    "in the file": Case(files={"compose.yaml": f"name: my-app\n{_NAME}"}),
    "in the file, with capitals": Case(files={"compose.yaml": f"name: My App.1\n{_NAME}"}),
    "in the file, with a variable": Case(files={"compose.yaml": f"name: app-${{N:-d}}\n{_NAME}"}),
    "in a later file": Case(files={"compose.yaml": f"name: one\n{_NAME}", "compose.override.yaml": "name: two\n"}),
    "in an earlier file": Case(
        files={"compose.yaml": f"name: one\n{_NAME}", "compose.override.yaml": "services: {}\n"}
    ),
    "in an included file": Case(
        files={"compose.yaml": f"include: [b.yaml]\n{_NAME}", "b.yaml": "name: b\nservices: {}\n"}
    ),
    "in the environment": Case(
        files={"compose.yaml": f"name: no\n{_NAME}"}, environment={"COMPOSE_PROJECT_NAME": "env"}
    ),
    "in the env file": Case(files={"compose.yaml": f"name: no\n{_NAME}", ".env": "COMPOSE_PROJECT_NAME=file\n"}),
    "empty in the environment": Case(
        files={"compose.yaml": f"name: app\n{_NAME}"}, environment={"COMPOSE_PROJECT_NAME": ""}
    ),
    "of the first file's directory": Case(
        files={"The_Site/c.yaml": _NAME}, environment={"COMPOSE_FILE": "The_Site/c.yaml"}
    ),
}
