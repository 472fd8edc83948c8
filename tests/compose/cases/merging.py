"""Which files are read, and what several of them give together."""

from tests.compose.cases import Case

A = "services: {a: {image: a}}\n"
B = "services: {b: {image: b}}\n"

LAYOUTS = {
    f"{main} with {override}": Case(files={main: A, override: B, "other.yaml": "services: {no: {image: no}}\n"})
    for main in ("compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml")
    for override in ("compose.override.yaml", "docker-compose.override.yml", "docker-compose.override.yaml")
} | {
    "of two files with usual names one is read": Case(files={"docker-compose.yaml": A, "docker-compose.yml": B}),
    "the new name comes before the old one": Case(files={"compose.yml": A, "docker-compose.yml": B}),
    "of two overrides one is read": Case(
        files={"compose.yaml": A, "compose.override.yaml": B, "compose.override.yml": "services: {c: {image: c}}\n"}
    ),
    "no override beside a named file": Case(
        files={"compose.yaml": A, "compose.override.yaml": B}, environment={"COMPOSE_FILE": "compose.yaml"}
    ),
    "two named files": Case(files={"one.yaml": A, "two.yaml": B}, environment={"COMPOSE_FILE": "one.yaml:two.yaml"}),
    "the env file names them": Case(files={"one.yaml": A, "two.yaml": B, ".env": "COMPOSE_FILE=two.yaml:one.yaml\n"}),
    "the environment beats the env file": Case(
        files={"one.yaml": A, "two.yaml": B, ".env": "COMPOSE_FILE=two.yaml\n"},
        environment={"COMPOSE_FILE": "one.yaml"},
    ),
    "another separator": Case(
        files={"one.yaml": A, "two.yaml": B, ".env": "COMPOSE_FILE=one.yaml,two.yaml\nCOMPOSE_PATH_SEPARATOR=,\n"}
    ),
    "paths start where the first file is": Case(
        files={
            "deploy/one.yaml": "services: {a: {build: ../src}, b: {build: {context: b}}}\n",
            "site/two.yaml": "services: {a: {build: {dockerfile: ../D}}, c: {build: ./c}}\n",
        },
        environment={"COMPOSE_FILE": "deploy/one.yaml:site/two.yaml"},
    ),
    "both env files": Case(
        files={
            "deploy/one.yaml": "services: {a: {image: 'x:$A-$B-$C'}}\n",
            ".env": "COMPOSE_FILE=deploy/one.yaml\nA=top\nC=top\n",
            "deploy/.env": "A=deploy\nB=deploy$A\nCOMPOSE_PROJECT_NAME=named\n",
        },
    ),
    "both env files of a file named in the environment": Case(
        files={
            "deploy/one.yaml": "services: {a: {image: 'x:$A-$B'}, b: {image: b, profiles: [p]}}\n",
            ".env": "A=top\n",
            "deploy/.env": "A=deploy\nB=deploy\nCOMPOSE_PROFILES=p\n",
        },
        environment={"COMPOSE_FILE": "deploy/one.yaml"},
        since=(2, 28),
    ),
}


def _merged(base: str, *over: str) -> Case:
    """Several files, given as what stands below `services:`."""
    names = ["compose.yaml", "compose.override.yaml"] if len(over) == 1 else [f"{i}.yaml" for i in range(len(over) + 1)]
    texts = [f"services:\n  {text}\n" for text in (base, *over)]
    environment = {"COMPOSE_FILE": ":".join(names)} if len(over) > 1 else {}
    return Case(files=dict(zip(names, texts, strict=True)), environment=environment | {"V": "outside"})


_BUILD = "a: {build: {context: x, dockerfile: D, target: t, args: {A: 1, V: 2}}}"
_MAPPING, _LIST = "{A: 1, B: 1, V: 1}", "[A=1, B=1, V=1]"

MERGED = {
    f"arguments {base} with {over}": _merged(f"a: {{build: {{args: {base}}}}}", f"a: {{build: {{args: {over}}}}}")
    for base in (_MAPPING, _LIST)
    for over in ("{B: 2, C: 3, V: }", "[B=2, C=3, V]", "{B: '', GONE: }", "[]")
} | {
    "a text is replaced": _merged("a: {image: x, platform: linux/amd64}", "a: {image: y}"),
    "a service is added": _merged("a: {image: x}", "b: {image: y}"),
    "a build is added": _merged("a: {image: x}", "a: {build: src}"),
    "an image is added": _merged("a: {build: src}", "a: {image: x}"),
    "null changes nothing": _merged(_BUILD, "a: {build: , command: }"),
    "null arguments change nothing": _merged(_BUILD, "a: {build: {args: , target: }}"),
    "the short form over the long one": _merged(_BUILD, "a: {build: y}"),
    "the long form over the short one": _merged("a: {build: x}", "a: {build: {target: t}}"),
    "each attribute is replaced": _merged(_BUILD, "a: {build: {context: y, dockerfile: E, target: u}}"),
    "platforms are added": _merged(
        "a: {build: {platforms: [linux/amd64, linux/arm64]}}", "a: {build: {platforms: [linux/s390x]}}"
    ),
    "contexts merge by name": _merged(
        "a: {build: {additional_contexts: {x: docker-image://x, y: ./y}}}",
        "a: {build: {additional_contexts: ['y=docker-image://y', z=z]}}",
    ),
    "profiles are added": _merged("a: {image: x, profiles: [p]}", "a: {profiles: [q, p]}"),
    "three files": _merged("a: {image: x}", "a: {image: y, build: x}", "a: {image: z, build: {target: t}}"),
    "a build is reset": _merged("a: {build: src, image: x}", "a: {build: !reset null}"),
    "an image is reset": _merged("a: {build: src, image: x}", "a: {image: !reset null}"),
    "a target is reset": _merged(_BUILD, "a: {build: {target: !reset null}}"),
    "an argument is reset": _merged(_BUILD, "a: {build: {args: {A: !reset null}}}"),
    "all arguments are reset": _merged(_BUILD, "a: {build: {args: !reset []}}"),
    "a service is reset": _merged("a: {image: x}\n  b: {image: y}", "b: !reset null"),
    "profiles are reset": _merged("a: {image: x, profiles: [p]}\n  b: {image: y}", "a: {profiles: !reset []}"),
    "a reset and then a value": _merged(_BUILD, "a: {build: !reset null}", "a: {build: {args: {B: 1}}}"),
    "a build is overridden": _merged(_BUILD, "a: {build: !override {args: {B: 1}}}"),
    "arguments are overridden": _merged(_BUILD, "a: {build: {args: !override [B=1]}}"),
    "profiles are overridden": _merged("a: {image: x, profiles: [p]}\n  b: {image: y}", "a: {profiles: !override [q]}"),
    "a service is overridden": _merged(_BUILD, "a: !override {image: x}"),
    "platforms are overridden": _merged(
        "a: {build: {platforms: [linux/amd64]}}", "a: {build: {platforms: !override [linux/arm64]}}"
    ),
    "documents of one file": Case(
        files={"compose.yaml": "services: {a: {image: x}}\n---\nservices: {a: {image: y}, b: {build: b}}\n"}
    ),
    "what does not concern images": _merged(
        "a: {image: x, command: [a], entrypoint: e, ports: ['80:80'], volumes: ['v:/v'], environment: [A=1],"
        " healthcheck: {test: [CMD, a]}, dns: 1.1.1.1, labels: {l: m}}",
        "a: {command: b, entrypoint: [f], ports: ['81:80'], volumes: ['./w:/v'], environment: {B: 1},"
        " healthcheck: {test: b}, dns: [2.2.2.2], labels: [l=n], build: .}\nvolumes: {v: {}}",
    ),
}
