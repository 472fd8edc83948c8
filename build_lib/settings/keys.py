"""All settings: their names, defaults, parsers and help texts, in the order in which they are documented."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from build_lib.settings import parsers

T = TypeVar("T")

PROJECT_ROOT = "PROJECT_ROOT"  # only in the environment, because it says where .env is
BUILD_ARG, SECRET = "BUILD_ARG_", "SECRET_"
PREFIXED = (  # settings with variable names: name, value, help
    (f"{BUILD_ARG}NAME", "value", "value of the build argument NAME, for the Dockerfiles that declare it"),
    (
        f"{SECRET}NAME",
        "file",
        "file, or name of an environment variable, with the secret NAME of RUN --mount=type=secret,id=NAME",
    ),
)
OF_COMPOSE = (  # variables that mean here what they mean to docker compose, by its own rules: name, value, help
    (
        "COMPOSE_FILE",
        os.pathsep.join(["compose.yaml", "compose.site.yaml"]),
        "compose files; otherwise the first of compose.yaml, compose.yml, docker-compose.yml, docker-compose.yaml that "
        "exists, and the compose.override.yaml beside it",
    ),
    ("COMPOSE_PATH_SEPARATOR", os.pathsep, f"what separates the files in COMPOSE_FILE; otherwise '{os.pathsep}'"),
    (
        "COMPOSE_PROFILES",
        "debug,site",
        "profiles to deploy, or * for all; images that only the services of other profiles run are not needed",
    ),
    (
        "COMPOSE_PROJECT_NAME",
        "name",
        "name of the compose project; otherwise that in the compose file, or that of its directory",
    ),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Key(Generic[T]):
    """A setting as users see it: its name, its default as text, its help in one line."""

    name: str
    default: str
    parse: Callable[[str], T]  # raises ValueError with the allowed values
    help: str
    flag: str = ""  # the task parameter that overrides it; "" if there is none
    switches: tuple[str, ...] = ()  # task parameters without a value, each of which stands for the value of its name
    build_arg: bool = False  # whether it is passed to Dockerfiles that declare an ARG of this name
    secret: bool = False  # whether its value is hidden in all output


SERVICES_DIR = Key(
    name="SERVICES_DIR",
    default="src",
    parse=parsers.directories,
    help="directories whose subdirectories with a Dockerfile are services; patterns such as apps/* name several",
)
SERVICES_CONTEXT = Key(
    name="SERVICES_CONTEXT",
    default="",
    parse=parsers.text,
    help="build context of the services from SERVICES_DIR, relative to the repository, such as '.'; "
    "empty: the directory of each Dockerfile",
)
DOCKERFILES = Key(
    name="DOCKERFILES",
    default="Dockerfile",
    parse=parsers.file_names,
    help="file names of the Dockerfiles that make services; patterns such as Dockerfile.* name several",
)
IMAGE_PREFIX = Key(
    name="IMAGE_PREFIX",
    default="ai-infra-",
    parse=parsers.image_prefix,
    build_arg=True,
    help="prefix of the names of the services' images",
)
IMAGE_TAG = Key(
    name="IMAGE_TAG",
    default="v0.3.6-dev",
    parse=parsers.tag,
    flag="tag",
    build_arg=True,
    help="the release to build, which is the tag of its images",
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
    help="user name for the private registry; empty: the login from the docker config",
)
PRIVATE_REGISTRY_PASSWORD = Key(
    name="PRIVATE_REGISTRY_PASSWORD",
    default="",
    parse=parsers.text,
    secret=True,
    help="password or access token for the private registry",
)
REGISTRY_MIRRORS = Key(
    name="REGISTRY_MIRRORS",
    default="",
    parse=parsers.mirrors,
    help="mirrors, asked before the registry they mirror: host[/path] for Docker Hub, quay.io=host[/path] for others",
)
INSECURE_REGISTRIES = Key(
    name="INSECURE_REGISTRIES",
    default="",
    parse=parsers.hosts,
    help="registries, host[:port], that use plain http or have no valid certificate; loopback needs no entry",
)
REGISTRY_CA_FILE = Key(
    name="REGISTRY_CA_FILE",
    default="",
    parse=parsers.file,
    help="file of certificates (PEM) to trust in addition to the system's; /etc/docker/certs.d is read too",
)
PLATFORM = Key(
    name="PLATFORM",
    default="",
    parse=parsers.platforms,
    help="platform to build and pull images for, such as linux/arm64; empty: that of the engine, or with BUILDERS that "
    "of this machine; BUILDERS build for several, separated by commas",
)
EXTRA_IMAGES = Key(
    name="EXTRA_IMAGES",
    default="",
    parse=parsers.images,
    help="images needed besides those that Dockerfiles and compose files name; separated by commas or spaces",
)
IMAGE_FILES = Key(
    name="IMAGE_FILES",
    default="",
    parse=parsers.path_patterns,
    help="files that name images to run: Kubernetes manifests, Helm charts, lists, templates; patterns such as "
    "k8s/**/*.yaml",
)
JOBS = Key(
    name="JOBS",
    default="",
    parse=parsers.optional_count,
    flag="jobs",
    help="how much runs at once; overrides PULL_JOBS, PUSH_JOBS and BUILD_JOBS",
)
PULL_JOBS = Key(
    name="PULL_JOBS",
    default="8",
    parse=parsers.count,
    help="how many connections download images at once",
)
PULL_THROUGH = Key(
    name="PULL_THROUGH",
    default="auto",
    parse=parsers.one_of("auto", "content", "engine"),
    help="how images are pulled: content (downloaded by this program, then loaded), engine (by the engine), or auto",
)
FROZEN = Key(
    name="FROZEN",
    default="no",
    parse=parsers.yes,
    flag="frozen",
    help="whether images that images.lock does not have are refused: yes or no",
)
KEEP_BLOBS = Key(
    name="KEEP_BLOBS",
    default="no",
    parse=parsers.yes,
    help="whether downloaded blobs stay in .build/blobs after they are loaded or saved: yes or no",
)
PUSH_JOBS = Key(
    name="PUSH_JOBS",
    default="8",
    parse=parsers.count,
    help="how many uploads to the private registry run at once",
)
BUILDER_BACKEND = Key(
    name="BUILDER_BACKEND",
    default="auto",
    parse=parsers.one_of("auto", "buildx", "buildkit", "classic"),
    help="the builder: buildx, buildkit (of a docker CLI before 23), classic, or auto (the first one available)",
)
BUILD_JOBS = Key(
    name="BUILD_JOBS",
    default="",
    parse=parsers.optional_count,
    help="how many services are built at once; empty: one per core, or with BUILDERS as many as they have places",
)
BUILDERS = Key(
    name="BUILDERS",
    default="",
    parse=parsers.builders,
    help="a fleet that builds instead of the engine: tcp://host:port (a BuildKit daemon), docker-container://NAME, "
    "kubernetes://NAMESPACE/NAME, ssh://user@host (a Docker Engine), or names of buildx builders and docker contexts; "
    "separated by commas or spaces",
)
BUILDER_JOBS = Key(
    name="BUILDER_JOBS",
    default="4",
    parse=parsers.count,
    help="how many services each of BUILDERS builds at once",
)
BUILDER_CERTS = Key(
    name="BUILDER_CERTS",
    default="",
    parse=parsers.directory,
    help="directory with ca.pem, cert.pem and key.pem, the client certificate for BUILDERS at tcp://",
)
BUILD_REGISTRY = Key(
    name="BUILD_REGISTRY",
    default="",
    parse=parsers.registry,
    help="registry by which images go between BUILDERS, host[:port]/project; empty: PRIVATE_REGISTRY",
)
BUILD_OUTPUT = Key(
    name="BUILD_OUTPUT",
    default="registry",
    parse=parsers.one_of("registry", "engine", "both"),
    help="where the images that BUILDERS build get their names: registry (the build registry), engine, or both",
)
CACHE_REGISTRY = Key(
    name="CACHE_REGISTRY",
    default="",
    parse=parsers.registry,
    help="registry in which BUILDERS keep their caches between runs, host[:port]/project; empty: none",
)
CACHE_RELEASE = Key(
    name="CACHE_RELEASE",
    default="",
    parse=parsers.optional_tag,
    help="the release whose cache in CACHE_REGISTRY a release without one begins with, such as main",
)
BUILD_WITH = Key(
    name="BUILD_WITH",
    default="",
    parse=parsers.pairs,
    help="services that run while others are built: slurm-master=apphub runs apphub, at http://apphub:PORT, while "
    "slurm-master is built",
)
DOWNLOADS = Key(
    name="DOWNLOADS",
    default="direct",
    parse=parsers.one_of("direct", "record", "replay"),
    switches=("record", "replay"),
    help="what builds download: direct, record (kept in .build/downloads), or replay (only what was recorded)",
)
RECORDER_ADDRESS = Key(
    name="RECORDER_ADDRESS",
    default="",
    parse=parsers.address,
    help="address of this machine at which builds reach the recorder, host or host:port; empty: the gateway of the "
    "engine's bridge",
)
MIRROR_ARGS = Key(
    name="MIRROR_ARGS",
    default="",
    parse=parsers.mirror_args,
    help="build arguments that lead to the recorder, besides the usual ones: NAME=pypi, npm, go, apt, url, host, "
    "apt-options or none",
)
READY_SECONDS = Key(
    name="READY_SECONDS",
    default="120",
    parse=parsers.count,
    help="how many seconds a service that runs for a build may take until it is ready",
)
TRIES = Key(
    name="TRIES",
    default="4",
    parse=parsers.count,
    help="how many times a transfer is tried if it fails with an error that may be temporary",
)
STALL_SECONDS = Key(
    name="STALL_SECONDS",
    default="60",
    parse=parsers.count,
    help="how many seconds a transfer may stall before it fails",
)
APT_MIRROR = Key(
    name="APT_MIRROR",
    default="",
    parse=parsers.apt_mirror,
    build_arg=True,
    help="apt archive for builds and base images, a URL or a host, such as http://mirror.example/debian; "
    "empty: the configured one",
)
SLURM_FROM = Key(
    name="SLURM_FROM",
    default="",
    parse=parsers.one_of("", "source", "distro"),
    build_arg=True,
    help="source (the default): build Slurm's packages; distro: use the distribution's packages, in seconds",
)
SLURM_BASE_IMAGE = Key(
    name="SLURM_BASE_IMAGE",
    default="",
    parse=parsers.image,
    build_arg=True,
    help="base image to build Slurm on and for, such as ubuntu:22.04; empty: debian:bookworm-slim",
)
SLURM_TARBALL = Key(
    name="SLURM_TARBALL",
    default="",
    parse=parsers.text,
    build_arg=True,
    help="upstream tarball with a debian directory to build Slurm from: a URL or a file in src/slurm-build",
)
SLURM_JOBS = Key(
    name="SLURM_JOBS",
    default="",
    parse=parsers.optional_count,
    build_arg=True,
    help="how many compilers slurm-build runs at once; empty: one per core",
)
HUB_PACKAGES = Key(
    name="HUB_PACKAGES",
    default="slurm-build:/out=apphub:/usr/share/nginx/html/pkgs/slurm-deb,apphub:/usr/share/nginx/html/pkgs/slurm-rpm",
    parse=parsers.package_paths,
    help="the *.deb and *.rpm that copy-slurm copies and indexes: SERVICE:/DIRECTORY=HUB:/DIRECTORY; HUB:/DIRECTORY "
    "indexes those already there; SERVICE:/DIRECTORY/*.tar.gz=HUB:/DIRECTORY copies other files",
)
APPHUB_BASE_IMAGE = Key(
    name="APPHUB_BASE_IMAGE",
    default="",
    parse=parsers.image,
    build_arg=True,
    help="base image of apphub, such as nginx:stable; empty: debian:bookworm-slim",
)
APPHUB_MODE = Key(
    name="APPHUB_MODE",
    default="copy",
    parse=parsers.one_of("copy", "unified"),
    build_arg=True,
    help="how Slurm's packages get into apphub: copy (by copy-slurm, a step of build-all) or unified (by its build)",
)
APPHUB_KEEP_VERSIONS = Key(
    name="APPHUB_KEEP_VERSIONS",
    default="3",
    parse=parsers.count,
    help="how many versions of a Debian package apphub keeps, including the current one",
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
    help="address of the engine; empty: that of the docker context",
)
DOCKER_CONTEXT = Key(
    name="DOCKER_CONTEXT",
    default="",
    parse=parsers.text,
    help="the docker context to use; empty: the current one",
)
