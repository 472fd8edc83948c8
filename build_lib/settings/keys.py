"""What can be set: each setting's name, default, parser and meaning, in the order in which they are documented."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from build_lib.settings import parsers

T = TypeVar("T")

BUILD_ARG, SECRET = "BUILD_ARG_", "SECRET_"
PREFIXED = (  # settings whose names have an end of their own: name, value, meaning
    (f"{BUILD_ARG}NAME", "value", "the build argument NAME, for the Dockerfiles that declare it"),
    (
        f"{SECRET}NAME",
        "file",
        "a file or an environment variable, by name, that holds the secret NAME of RUN --mount=type=secret,id=NAME",
    ),
)
COMPOSE_NAMES = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")


@dataclass(frozen=True, kw_only=True, slots=True)
class Key(Generic[T]):
    """One setting as users see it: its name, its default as text, its one line of explanation."""

    name: str
    default: str
    parse: Callable[[str], T]  # raises ValueError with what is allowed
    help: str
    flag: str = ""  # the parameter of the tasks that overrides it; "" if none does
    build_arg: bool = False  # whether Dockerfiles that declare an ARG of this name get it
    secret: bool = False  # whether no output may show it


SERVICES_DIR = Key(
    name="SERVICES_DIR",
    default="src",
    parse=parsers.text,
    help="directory whose sub-directories with a Dockerfile are services",
)
COMPOSE_FILE = Key(
    name="COMPOSE_FILE",
    default="",
    parse=parsers.text,
    help=f"compose files, separated by '{os.pathsep}'; empty: the first of {', '.join(COMPOSE_NAMES)} there is",
)
IMAGE_PREFIX = Key(
    name="IMAGE_PREFIX",
    default="ai-infra-",
    parse=parsers.image_prefix,
    build_arg=True,
    help="what the names of the services' images begin with",
)
IMAGE_TAG = Key(
    name="IMAGE_TAG",
    default="v0.3.6-dev",
    parse=parsers.tag,
    flag="tag",
    build_arg=True,
    help="the release being built",
)
PRIVATE_REGISTRY = Key(
    name="PRIVATE_REGISTRY",
    default="",
    parse=parsers.registry,
    flag="registry",
    help="your own registry, host[:port]/project, such as harbor.example/aihpc; asked first for every image",
)
PRIVATE_REGISTRY_USERNAME = Key(
    name="PRIVATE_REGISTRY_USERNAME",
    default="",
    parse=parsers.text,
    help="who logs in there; empty: as the docker config says",
)
PRIVATE_REGISTRY_PASSWORD = Key(
    name="PRIVATE_REGISTRY_PASSWORD",
    default="",
    parse=parsers.text,
    secret=True,
    help="the password or access token for it",
)
REGISTRY_MIRRORS = Key(
    name="REGISTRY_MIRRORS",
    default="",
    parse=parsers.mirrors,
    help="asked before the registry that is mirrored: host[/path] for Docker Hub, quay.io=host[/path] for others",
)
INSECURE_REGISTRIES = Key(
    name="INSECURE_REGISTRIES",
    default="",
    parse=parsers.hosts,
    help="registries, host[:port], that speak plain http or have no valid certificate; loopback needs no entry",
)
REGISTRY_CA_FILE = Key(
    name="REGISTRY_CA_FILE",
    default="",
    parse=parsers.file,
    help="certificates (PEM) to trust besides the system's; /etc/docker/certs.d is read too",
)
PLATFORM = Key(
    name="PLATFORM",
    default="",
    parse=parsers.platform,
    help="what images are built for and brought in for, such as linux/arm64; empty: as the engine",
)
EXTRA_IMAGES = Key(
    name="EXTRA_IMAGES",
    default="",
    parse=parsers.images,
    help="images needed besides those that Dockerfiles and compose files name; separated by commas or spaces",
)
JOBS = Key(
    name="JOBS",
    default="",
    parse=parsers.optional_count,
    flag="jobs",
    help="how much runs at once, in place of the next three",
)
PULL_JOBS = Key(
    name="PULL_JOBS",
    default="8",
    parse=parsers.count,
    help="how many connections bring images in at once",
)
PULL_THROUGH = Key(
    name="PULL_THROUGH",
    default="auto",
    parse=parsers.one_of("auto", "content", "engine"),
    help="how images come in: content (our own connections, then a load), engine (its own pulls), or auto",
)
KEEP_BLOBS = Key(
    name="KEEP_BLOBS",
    default="no",
    parse=parsers.yes,
    help="whether what was downloaded stays in .build/blobs when it is loaded or saved: yes or no",
)
PUSH_JOBS = Key(
    name="PUSH_JOBS",
    default="8",
    parse=parsers.count,
    help="how many transfers to the private registry run at once",
)
BUILDER_BACKEND = Key(
    name="BUILDER_BACKEND",
    default="auto",
    parse=parsers.one_of("auto", "buildx", "buildkit", "classic"),
    help="what builds: buildx, buildkit (of a docker CLI before 23), classic, or auto, the first of them there is",
)
BUILD_JOBS = Key(
    name="BUILD_JOBS",
    default="",
    parse=parsers.optional_count,
    help="how many services are built at once; empty: one for each core",
)
TRIES = Key(
    name="TRIES",
    default="4",
    parse=parsers.count,
    help="how often a transfer is tried that fails in a way that may pass",
)
STALL_SECONDS = Key(
    name="STALL_SECONDS",
    default="60",
    parse=parsers.count,
    help="how long a transfer may be silent",
)
APT_MIRROR = Key(
    name="APT_MIRROR",
    default="",
    parse=parsers.apt_mirror,
    build_arg=True,
    help="apt archive for builds and base images, such as http://mirror.example/debian; empty: as configured",
)
SLURM_FROM = Key(
    name="SLURM_FROM",
    default="",
    parse=parsers.one_of("", "source", "distro"),
    build_arg=True,
    help="source (the default): build Slurm's packages; distro: take the distribution's own, in seconds",
)
SLURM_BASE_IMAGE = Key(
    name="SLURM_BASE_IMAGE",
    default="",
    parse=parsers.image,
    build_arg=True,
    help="what Slurm is built on and for, such as ubuntu:22.04; empty: debian:bookworm-slim",
)
SLURM_TARBALL = Key(
    name="SLURM_TARBALL",
    default="",
    parse=parsers.text,
    build_arg=True,
    help="an upstream tarball with a debian directory, URL or file in src/slurm-build, to build instead",
)
SLURM_JOBS = Key(
    name="SLURM_JOBS",
    default="",
    parse=parsers.optional_count,
    build_arg=True,
    help="compilers at once in slurm-build; empty: all cores",
)
APPHUB_BASE_IMAGE = Key(
    name="APPHUB_BASE_IMAGE",
    default="",
    parse=parsers.image,
    build_arg=True,
    help="what apphub and its indexer stand on, such as nginx:stable; empty: debian:bookworm-slim",
)
APPHUB_MODE = Key(
    name="APPHUB_MODE",
    default="copy",
    parse=parsers.one_of("copy", "unified"),
    build_arg=True,
    help="how packages come into apphub: copy (by copy-slurm, a step of build-all) or unified (as it is built)",
)
APPHUB_KEEP_VERSIONS = Key(
    name="APPHUB_KEEP_VERSIONS",
    default="3",
    parse=parsers.count,
    build_arg=True,
    help="how many versions of a package apphub keeps: the present one, and those before it",
)
APT_SIGNING_KEY = Key(
    name="APT_SIGNING_KEY",
    default="",
    parse=parsers.file,
    secret=True,
    help="file with an OpenPGP secret key, without a passphrase, to sign apphub's repositories; empty: unsigned",
)
DOCKER_HOST = Key(
    name="DOCKER_HOST",
    default="",
    parse=parsers.text,
    help="the engine's address; empty: that of the docker context",
)
DOCKER_CONTEXT = Key(
    name="DOCKER_CONTEXT",
    default="",
    parse=parsers.text,
    help="the docker context to use; empty: the current one",
)
