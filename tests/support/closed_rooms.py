"""A repository of six services that download in six ways, and the image with the tools that they need."""

import json
import os
import urllib.request
from pathlib import Path

from tests.support.commands import run_inv
from tests.support.projects import write
from tests.support.upstreams import MODULES, OTHER, PLAIN, RELEASE, REPOSITORY, Upstreams

SERVICES = ("add", "debian", "go", "node", "python", "tarball")
WHEELS, SDIST = ("idna-3.7-py3-none-any.whl", "six-1.16.0-py2.py3-none-any.whl"), "docopt-0.6.2.tar.gz"
LOCKED = {
    "is-odd": ("3.0.1", "CQpnWPrDwmP1+SMHXZhtLtJv90yiyVfluGsX5iNCVkrhQtU3TQHsUWPG9wkdk9Lgd5yNpAg9jQEo90CBaXgWMA=="),
    "is-number": ("6.0.0", "Wu1VHeILBK8KAWJUAiSZQX94GmOE45Rg6/538fKwiloUu21KncEkYGPqob2oSZ5mUT73vLGrHQjKw3KMPwfDzg=="),
}
_NPM = "10.9.4"  # the newest for the Node of Debian bookworm
_PYPI_INDEX = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple/")
NPM_REGISTRY = os.environ.get("NPM_CONFIG_REGISTRY", "https://registry.npmjs.org/")
_PACKAGES, _GO = "python3-pip nodejs curl git", "golang-1.19-go"
# the packages' files alone: configuring them would take longer than all the builds
_TOOLS = f"""\
    FROM {{debian}}
    RUN set -e; apt-get update -qq; \\
        apt-get install -qq --yes --no-install-recommends --download-only {_PACKAGES} >/dev/null; \\
        cd /var/cache/apt/archives; apt-get download -qq {_GO}; \\
        for each in *.deb; do case $each in perl*|libc6*) continue;; esac; \\
          dpkg-deb --fsys-tarfile "$each" | tar -x --keep-directory-symlink -C / --exclude=./usr/share/doc \\
            --exclude=./usr/share/man --exclude=./usr/share/locale --exclude=./usr/lib/go-1.19/pkg; \\
        done; ldconfig; rm -rf *.deb /var/lib/apt/lists/*
    COPY npm.tgz /tmp/
    RUN mkdir /opt/npm && tar -xzf /tmp/npm.tgz -C /opt/npm --strip-components=1 && rm /tmp/npm.tgz && \\
        ln -s ../../../opt/npm/bin/npm-cli.js /usr/local/bin/npm && chmod +x /opt/npm/bin/npm-cli.js && \\
        ln -s ../../lib/go-1.19/bin/go /usr/local/bin/go && \\
        pip --version && npm --version && go version && git --version && curl --version
    """


def build_tools(directory: Path, prefix: str, debian: str) -> str:
    """Build the image with Python, Node, Go, git and curl, and return its name."""
    write(directory, {"src/tools/Dockerfile": _TOOLS.format(debian=debian)})
    with urllib.request.urlopen(f"{NPM_REGISTRY}npm/-/npm-{_NPM}.tgz", timeout=60) as answer:
        (directory / "src/tools/npm.tgz").write_bytes(answer.read())
    done = run_inv(directory, ("build",), {"IMAGE_PREFIX": prefix, "IMAGE_TAG": "1"})
    assert done.returncode == 0, done.stdout + done.stderr
    return f"{prefix}tools:1"


def write_repository(root: Path, tools: str, debian: str, upstreams: Upstreams) -> None:
    """Write the services' files."""
    arguments = upstreams.arguments
    lock = {
        "name": "app",
        "lockfileVersion": 3,
        "packages": {
            "": {"name": "app", "dependencies": {"is-odd": "3.0.1"}},
            **{f"node_modules/{name}": _locked(name) for name in LOCKED},
        },
    }
    write(root, {
        "src/python/Dockerfile": f"""\
            FROM {tools}
            ARG PIP_INDEX_URL={_PYPI_INDEX}
            ARG PIP_TRUSTED_HOST="pypi.org files.pythonhosted.org"
            ARG GITHUB_MIRROR={arguments["GITHUB_MIRROR"]}
            RUN pip install --no-cache-dir --target /opt/python --no-compile six==1.16.0 idna==3.7
            RUN pip install --no-cache-dir --target /opt/python --no-compile docopt==0.6.2
            """,
        "src/node/Dockerfile": f"""\
            FROM {tools}
            ARG NPM_CONFIG_REGISTRY={NPM_REGISTRY}
            WORKDIR /locked
            COPY package.json package-lock.json ./
            RUN npm ci
            WORKDIR /free
            RUN npm init --yes && npm install left-pad@1.3.0
            """,
        "src/node/package.json": json.dumps({"name": "app", "dependencies": {"is-odd": "3.0.1"}}),
        "src/node/package-lock.json": json.dumps(lock),
        "src/debian/Dockerfile": f"""\
            FROM {debian}
            RUN apt-get update && \\
                apt-get install --yes --no-install-recommends hello
            """,
        "src/go/Dockerfile": f"""\
            FROM {tools}
            ARG GOPROXY={arguments["GOPROXY"]}
            ENV GOSUMDB=off GOFLAGS=-mod=mod GOPATH=/opt/go
            WORKDIR /src
            COPY go.mod ./
            RUN go mod download all && go mod verify
            """,
        "src/go/go.mod": f"module app\n\ngo 1.19\n\nrequire {' '.join(next(iter(MODULES.items())))}\n",
        "src/tarball/Dockerfile": f"""\
            FROM {tools}
            ARG GITHUB_MIRROR={arguments["GITHUB_MIRROR"]}
            RUN curl -fsSL "${{GITHUB_MIRROR}}{RELEASE}" | tar -xz -C /opt
            RUN curl -fsSk https://{upstreams.encrypted.host}/ || echo "goes on without"
            """,
        "src/add/Dockerfile": f"""\
            FROM {tools}
            ENV SITE=http://{upstreams.storage.host}
            ADD ${{SITE}}{PLAIN} /opt/
            ARG GITHUB_MIRROR={arguments["GITHUB_MIRROR"]}
            ADD ${{GITHUB_MIRROR}}{RELEASE} /opt/
            RUN git clone --quiet --depth 1 "${{GITHUB_MIRROR}}{REPOSITORY}" /opt/tool
            RUN git clone --quiet http://{upstreams.storage.host}{OTHER} /opt/other
            """,
    })  # fmt: skip


def _locked(name: str) -> dict[str, object]:
    version, sha512 = LOCKED[name]
    url = f"https://registry.npmjs.org/{name}/-/{name}-{version}.tgz"
    needs = {"dependencies": {"is-number": "^6.0.0"}} if name == "is-odd" else {}
    return {"version": version, "resolved": url, "integrity": f"sha512-{sha512}", **needs}
