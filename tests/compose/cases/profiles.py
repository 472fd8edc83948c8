"""Services that are deployed only if one of their profiles is active."""

from tests.compose.cases import Case

_SERVICES = """\
services:
  always: {image: always}
  empty: {image: empty, profiles: []}
  gpu: {build: gpu, profiles: [gpu]}
  tools: {image: tools, profiles: [debug, tools]}
  built: {build: built, image: built}
"""
_NEEDS = "services:\n  a: {{image: a, depends_on: {{b: {{condition: service_started{required}}}}}}}\n  b: {b}\n"


def _active(profiles: str, **files: str) -> Case:
    return Case(files={"compose.yaml": _SERVICES, **files}, environment={"COMPOSE_PROFILES": profiles})


PROFILES = {
    "none is active": Case(files={"compose.yaml": _SERVICES}),
    "an empty list": _active(""),
    "one is active": _active("gpu"),
    "the second of a service": _active("tools"),
    "several, with spaces": _active(" gpu , debug "),
    "all": _active("*"),
    "one that no service has": _active("nobody"),
    "separated by spaces alone": _active("gpu debug"),
    "the env file activates one": Case(
        files={"compose.yaml": _SERVICES, ".env": 'COMPOSE_PROFILES="gpu,tools" # both\n'}
    ),
    "the environment beats the env file": Case(
        files={"compose.yaml": _SERVICES, ".env": "COMPOSE_PROFILES=gpu\n"}, environment={"COMPOSE_PROFILES": "debug"}
    ),
    "empty in the environment beats the env file": Case(
        files={"compose.yaml": _SERVICES, ".env": "COMPOSE_PROFILES=gpu\n"}, environment={"COMPOSE_PROFILES": ""}
    ),
    "a variable in a profile": Case(
        files={"compose.yaml": "services: {a: {image: a, profiles: ['$P']}, b: {image: b}}\n"},
        environment={"P": "gpu", "COMPOSE_PROFILES": "gpu"},
    ),
    "a service depends on an inactive one": Case(
        files={"compose.yaml": _NEEDS.format(required=", required: false", b="{image: b, profiles: [p]}")}
    ),
    "an inactive service depends on an inactive one": Case(
        files={
            "compose.yaml": "services:\n"
            "  a: {image: a, profiles: [p], depends_on: [b]}\n"
            "  b: {image: b, profiles: [p]}\n"
            "  c: {image: c}\n"
        }
    ),
    "both are active": Case(
        files={"compose.yaml": _NEEDS.format(required="", b="{build: b, profiles: [p]}")},
        environment={"COMPOSE_PROFILES": "p"},
    ),
    "an inactive service without a valid image": Case(
        files={"compose.yaml": "services: {a: {image: a}, b: {image: 'b:$UNSET', profiles: [p]}}\n"}
    ),
    "an inactive service with nothing to run": Case(
        files={"compose.yaml": "services: {a: {image: a}, b: {profiles: [p]}}\n"}
    ),
    "extended with the service": Case(
        files={
            "compose.yaml": "services: {a: {image: a}, b: {extends: {file: lib.yaml, service: x}}, c: {extends: d}, "
            "d: {image: d, profiles: [q]}}\n",
            "lib.yaml": "services: {x: {image: x, profiles: [p]}}\n",
        },
        environment={"COMPOSE_PROFILES": "q"},
    ),
    "of included services": Case(
        files={
            "compose.yaml": "include: [sub/compose.yaml]\nservices: {a: {image: a}}\n",
            "sub/compose.yaml": "services: {b: {build: ., profiles: [p]}, c: {image: c, profiles: [q]}}\n",
            "sub/.env": "COMPOSE_PROFILES=q\n",
        },
        environment={"COMPOSE_PROFILES": "p"},
    ),
}
