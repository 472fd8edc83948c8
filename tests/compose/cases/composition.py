"""Services that extend others, and files that include others."""

from tests.compose.cases import Case

_LIBRARY = """\
services:
  base:
    image: base
    build: {context: ./ctx, target: t, args: {A: 1, B: 1}}
    profiles: [p]
  run: {image: run}
"""


def _extends(services: str, *, profile: str = "", **others: str) -> Case:
    """`compose.yaml`, and other files below `lib`, by their names without `.yaml`."""
    files = {f"lib/{name}.yaml": text for name, text in others.items()}
    return Case(files={"compose.yaml": services, **files}, environment={"COMPOSE_PROFILES": profile})


EXTENDS = {
    "a service of the same file": _extends(
        "services:\n  a: {build: {context: x, args: {A: 1}}}\n  b: {extends: a, build: {args: {B: 2}}}\n"
    ),
    "by name and file": _extends(
        "services: {a: {extends: {service: base, file: lib/c.yaml}}}\n", profile="p", c=_LIBRARY
    ),
    "its own attributes come first": _extends(
        "services:\n"
        "  a:\n"
        "    extends: {service: base, file: lib/c.yaml}\n"
        "    image: own\n"
        "    build: {context: own, args: [B=2, C=3]}\n"
        "    profiles: [q]\n",
        profile="p",
        c=_LIBRARY,
    ),
    "through several files": Case(
        files={
            "compose.yaml": "services: {a: {extends: {service: b, file: lib/b.yaml}}}\n",
            "lib/b.yaml": "services: {b: {extends: {service: c, file: more/c.yaml}, build: {target: b}}}\n",
            "lib/more/c.yaml": "services: {c: {build: {context: ., dockerfile: 'D$X'}}}\n",
            "lib/.env": "X=no\n",
            ".env": "X=yes\n",
        }
    ),
    "in a file that overrides": Case(
        files={
            "compose.yaml": "services: {a: {image: x}}\n",
            "compose.override.yaml": "services:\n"
            "  a: {extends: {service: base, file: lib/c.yaml}, profiles: !reset []}\n",
            "lib/c.yaml": _LIBRARY,
        }
    ),
    "with a reset and an override": _extends(
        "services:\n"
        "  a: {extends: {service: base, file: lib/c.yaml}, build: !reset null, profiles: !override [q]}\n"
        "  b: {extends: {service: run, file: lib/c.yaml}}\n",
        profile="q",
        c=_LIBRARY,
    ),
    "a service with a remote context": _extends(
        "services: {a: {extends: {service: a, file: lib/c.yaml}}}\n",
        c="services: {a: {build: {context: 'https://example.org/r.git#v1', dockerfile: d/D}}}\n",
    ),
    "a service with contexts": _extends(
        "services: {a: {extends: {service: a, file: lib/c.yaml}}}\n",
        c="services: {a: {build: {context: ., additional_contexts: {s: ./s, i: docker-image://i}}}}\n",
    ),
}

INCLUDES = {
    "a file elsewhere": Case(
        files={
            "compose.yaml": "include: [sub/compose.yaml]\nservices: {a: {image: 'x:${X:-none}'}}\n",
            "sub/compose.yaml": "services:\n"
            "  b: {build: src, profiles: ['${P:-}']}\n"
            "  c: {image: 'c:${X:-none}-${Y:-none}'}\n",
            "sub/.env": "X=sub\nY=sub\nP=\n",
            ".env": "X=top\n",
        },
    ),
    "with its own directory and env files": Case(
        files={
            "compose.yaml": "include:\n"
            "  - path: sub/compose.yaml\n"
            "    project_directory: other\n"
            "    env_file: [one.env, two.env]\n",
            "sub/compose.yaml": "services: {b: {build: {context: src, target: '$A-$B', args: [B, C]}}}\n",
            "one.env": "A=1\nB=1\n",
            "two.env": "B=$A-2\n",
            "other/.env": "A=no\n",
            ".env": "C=top\n",
        },
    ),
    "several files that merge": Case(
        files={
            "compose.yaml": "include: [{path: [sub/a.yaml, sub/b.yaml]}]\nservices: {z: {image: z}}\n",
            "sub/a.yaml": "services: {a: {build: {context: x, args: {A: 1}}}}\n",
            "sub/b.yaml": "services: {a: {build: {args: {B: 1}}, image: a}, b: {image: b}}\n",
        },
    ),
    "a file that includes a file": Case(
        files={
            "compose.yaml": "include: [a/c.yaml]\n",
            "a/c.yaml": "include: [b/c.yaml]\nservices: {a: {build: x}}\n",
            "a/b/c.yaml": "services: {b: {build: y}}\n",
        },
    ),
    "an override of an included service": Case(
        files={
            "compose.yaml": "include: [sub.yaml]\nservices: {a: {image: a}}\n",
            "compose.override.yaml": "services: {b: {image: over, build: {target: t}}}\n",
            "sub.yaml": "services: {b: {image: b, build: x}}\n",
        },
    ),
    "a variable in the path": Case(
        files={"compose.yaml": "include: ['${D:-sub}/c.yaml']\n", "sub/c.yaml": "services: {b: {build: .}}\n"}
    ),
    "the same file on two ways": Case(
        files={
            "compose.yaml": "include: [a.yaml, b.yaml]\n",
            "a.yaml": "include: [c.yaml]\nservices: {a: {image: x}}\n",
            "b.yaml": "include: [c.yaml]\nservices: {b: {image: y}}\n",
            "c.yaml": "services: {c: {build: c}}\n",
        },
    ),
}
