"""What the instructions of a Dockerfile download besides images, and from where."""

from collections.abc import Mapping

import pytest

from build_lib.dockerfile.outside import Reach, reaches
from build_lib.dockerfile.reading import read

DEBIAN, UBUNTU = ("deb.debian.org",), ("archive.ubuntu.com", "security.ubuntu.com")
PYPI, NPM = ("pypi.org", "files.pythonhosted.org"), ("registry.npmjs.org",)
GO, CRATES = ("proxy.golang.org", "sum.golang.org"), ("index.crates.io", "static.crates.io")
GITHUB = ("github.com",)


def found(text: str, args: Mapping[str, str] = {}, target: str | None = None) -> tuple[Reach, ...]:
    return reaches(text, read(text, args, target), args)


def of(*instructions: str, base: str = "debian:12", **args: str) -> tuple[Reach, ...]:
    """What these instructions download in the only stage."""
    return found("\n".join((f"FROM {base}", *instructions)) + "\n", args)


def run(command: str, *above: str, base: str = "debian:12", **args: str) -> list[tuple[str, tuple[str, ...]]]:
    """The tools of a RUN, with their hosts."""
    return [
        (f"{item.tool} {item.action}".rstrip(), item.hosts) for item in of(*above, f"RUN {command}", base=base, **args)
    ]


def curl(command: str) -> list[int]:
    """The lines on which a RUN calls curl."""
    return [item.line for item in of(f"RUN {command}") if item.tool == "curl"]


URL = "https://a.example/x"


@pytest.mark.parametrize(
    "command",
    [
        f"curl -O {URL}",
        f"true && curl {URL}",
        f"true || curl {URL}",
        f"true; curl {URL}",
        f"true | curl {URL}",
        f"true & curl {URL}",
        f"(curl {URL})",
        f"( cd /x && curl {URL} )",
        f"{{ curl {URL}; }}",
        f"if true; then curl {URL}; fi",
        f"if curl {URL}; then true; fi",
        f"if true; then true; elif curl {URL}; then true; fi",
        f"if true; then true; else curl {URL}; fi",
        f"while ! curl {URL}; do sleep 1; done",
        f"until curl {URL}; do sleep 1; done",
        f"for i in 1 2; do curl {URL}; done",
        f"! curl {URL}",
        f"sudo curl {URL}",
        f"sudo -u me -E curl {URL}",
        f"env A=B curl {URL}",
        f"env -i -u X A=B C=D curl {URL}",
        f"A=x B='y z' curl {URL}",
        f"exec curl {URL}",
        f"time curl {URL}",
        f"timeout 10 curl {URL}",
        f"timeout -k 5 10s curl {URL}",
        f"nice -n 5 curl {URL}",
        f"nohup curl {URL} &",
        f"command curl {URL}",
        f"sudo env A=B timeout 5 curl {URL}",
        f"xargs -n 1 curl {URL} < list",
        f"find . -exec curl {URL} \\;",
        f"sh -c 'curl {URL}'",
        f'bash -lc "curl {URL}"',
        f"bash -euxo pipefail -c 'true && curl {URL}'",
        f"su - user -c 'curl {URL}'",
        f"sh -c 'sh -c \"curl {URL}\"'",
        f"eval 'curl {URL}'",
        f"eval curl {URL}",
        f"A=$(curl {URL})",
        f'A="$(curl {URL})"',
        f'echo "is $(curl {URL} | head -n 1)"',
        f"A=`curl {URL}`",
        f'A="`curl {URL}`"',
        f"A=${{B:-$(curl {URL})}}",
        f"bash <(curl {URL})",
        f'bash -c "$(curl {URL})"',
        f"/usr/bin/curl {URL}",
        f"c() {{ curl {URL}; }}; c",
        f"function c {{ curl {URL}; }}; c",
        f"case $x in a) true ;; b|c) curl {URL} ;; esac",
        f"case $x in (a) curl {URL};; *) true;; esac",
        f"case $x in a) true ;; esac; curl {URL}",
        f"[ -f x ] || curl {URL}",
        f"[[ a < b && ( c == d ) ]] && curl {URL}",
        f'"curl" {URL}',
        f"echo 'it'\\''s' && curl {URL}",
        f"echo \\# && curl {URL}",
        f"echo a#b && curl {URL}",
        f"echo $((1 << 2)) && curl {URL}",
        f"a=(1 2); curl {URL}",
        f"curl -fsSL --retry 5 -H 'X: curl' -o /x {URL}",
        f"curl --url {URL}",
        f"curl --url={URL}",
        f"curl {URL} | tar xz",
        f"busybox curl {URL}",
        f"--mount=type=cache,target=/c curl {URL}",
        f'["curl", "-O", "{URL}"]',
        f'["sh", "-c", "true && curl {URL}"]',
    ],
)
def test_a_command_is_found_wherever_a_shell_runs_one(command: str) -> None:
    assert curl(command) == [2]


@pytest.mark.parametrize(
    "command",
    [
        f'echo "use curl {URL}"',
        f"echo curl {URL}",
        f"echo 'a; curl {URL}'",
        f"echo a \\; curl {URL}",
        f"true # && curl {URL}",
        f"true; # curl {URL}",
        f"printf '%s' '$(curl {URL})'",
        f"echo '`curl {URL}`'",
        "case $x in curl) true ;; wget|curl) true ;; esac",
        "case curl in a) true ;; esac",
        "for curl in a b; do true; done",
        f"apt-get() {{ true; }}; curls {URL}",
        "command -v curl",
        "which curl && type curl",
        "curl --version",
        "curl file:///etc/hosts",
        "curl http://localhost:8080/health",
        "curl http://127.0.0.1/x && wget -qO- http://[::1]/",
        "wget --version",
        f"git config --global url.{URL}.insteadOf git://x",
        "git init && git add . && git commit -m x && git checkout v1 && git status",
        "git clone /src/x y && git clone ./x && git clone file:///x",
        "git archive HEAD",
        "git remote add origin https://github.com/x/y",
        "git submodule init && git submodule status",
        "tools=(curl wget git npm)",
        f"[[ $x =~ ^(curl|{URL})$ ]]",
        f"cat > x <<< 'curl {URL}'",
        "apt-get clean && apt-get autoremove -y && apt-get --version && apt-cache policy && apt-mark hold x",
        "apt list && dpkg -i x.deb && apt-get purge -y x && apt-get remove x",
        "dnf clean all && yum clean all && dnf list installed && microdnf clean all && dnf config-manager --enable crb",
        "apk del x && apk info && apk --version && apk add --no-network --repository /r x",
        "pip --version && pip list && pip freeze && pip uninstall -y x && pip cache purge && pip check",
        "pip install ./x && pip install /wheels/x.whl && pip install x-1.0-py3-none-any.whl",
        "pip install --no-index --find-links /wheels x",
        "python -m venv /v && python -m compileall . && python setup.py build && python -c 'import pip'",
        "uv venv && uv --version && uv pip list && uv pip install --offline x && uv run x",
        "pipx list && poetry run x && poetry config virtualenvs.create false && poetry --version && poetry build",
        "npm run build && npm test && npm --version && npm config set x y && npm cache clean --force && npm ls",
        "npm ci --offline && npm install --offline && npm install ./x.tgz && npm pack && npm start",
        "npx --version && npx --no-install tsc && pnpm run build && pnpm install --offline && pnpm store prune",
        "yarn build && yarn run x && yarn --version && yarn cache clean && yarn install --offline && yarn test",
        "go version && go env && go fmt ./... && go clean -cache && go mod init x && go mod edit -x && go help",
        "go build -mod=vendor ./... && go build -o x -mod vendor . && GOFLAGS=-mod=vendor go build .",
        "GOPROXY=off go build .",
        "cargo --version && cargo clean && cargo fmt && cargo build --offline && cargo build --frozen",
        "conda clean -afy && conda activate x && conda install --offline x && conda config --set x y && conda env list",
        "gem list && gem install ./x.gem && gem install x.gem && bundle exec x && bundle config set x y",
        "composer dump-autoload && composer --version && composer run-script x",
        "mvn -o package && mvn --version && mvn -B --offline verify && ./gradlew --offline build && gradle --version",
        "rpm -i /x.rpm && rpm --version && gpg --import key.asc && apt-key add key.asc",
        "--network=none apt-get update",
        "rustup --version && rustup show && rustup target list",
    ],
)
def test_what_only_looks_like_it_is_not(command: str) -> None:
    assert of(f"RUN {command}") == ()


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("apt-get update", [("apt-get update", DEBIAN)]),
        ("apt-get update && apt-get -y -qq install a b", [("apt-get update", DEBIAN), ("apt-get install", DEBIAN)]),
        ("apt-get -o Acquire::Retries=3 install -y a", [("apt-get install", DEBIAN)]),
        ("DEBIAN_FRONTEND=noninteractive apt install -yqq a", [("apt install", DEBIAN)]),
        ("apt-get dist-upgrade && apt-get build-dep x", [("apt-get dist-upgrade", DEBIAN), ("apt-get build-dep", DEBIAN)]),
        ("mk-build-deps -i debian/control", [("mk-build-deps", DEBIAN)]),
        ("add-apt-repository -y ppa:a/b", [("add-apt-repository", ("ppa.launchpadcontent.net",))]),
        ("pip install x", [("pip install", PYPI)]),
        ("pip3 install -r requirements.txt", [("pip install", PYPI)]),
        ("pip3.11 install --no-cache-dir 'x>=1'", [("pip install", PYPI)]),
        ("python -m pip install x", [("pip install", PYPI)]),
        ("python3.12 -I -m pip install x", [("pip install", PYPI)]),
        ("/opt/venv/bin/pip install x", [("pip install", PYPI)]),
        ("pip install .", [("pip install", PYPI)]),
        ("pip install -e .[dev]", [("pip install", PYPI)]),
        ("pip download x && pip wheel x", [("pip download", PYPI), ("pip wheel", PYPI)]),
        ("pip install -i https://m.example/simple x", [("pip install", ("m.example",))]),
        ("pip install -ihttps://m.example/simple x", [("pip install", ("m.example",))]),
        ("pip install --index-url=https://m.example/simple x", [("pip install", ("m.example",))]),
        ("pip install --extra-index-url https://m.example/s x", [("pip install", (*PYPI, "m.example"))]),
        ("pip install -f https://m.example/s x", [("pip install", (*PYPI, "m.example"))]),
        ("pip install --no-deps https://m.example/x.whl", [("pip install", ("m.example",))]),
        ("pip install git+https://github.com/a/b@v1", [("pip install", GITHUB), ("pip install", PYPI)]),
        ("pip install git+ssh://git@github.com/a/b", [("pip install", GITHUB), ("pip install", PYPI)]),
        ("pip install -r https://m.example/r.txt", [("pip install", ("m.example",)), ("pip install", PYPI)]),
        ("PIP_INDEX_URL=https://m.example/s pip install x", [("pip install", ("m.example",))]),
        ("export PIP_INDEX_URL=https://m.example/s; pip install x", [("pip install", ("m.example",))]),
        ("pip config set global.index-url https://m.example/s && pip install x", [("pip install", ("m.example",))]),
        ("uv pip install --system x", [("uv pip install", PYPI)]),
        ("uv sync --frozen", [("uv sync", PYPI)]),
        ("uv pip install --default-index https://m.example/s x", [("uv pip install", ("m.example",))]),
        ("uvx ruff && pipx install poetry", [("uvx", PYPI), ("pipx install", PYPI)]),
        ("poetry install --no-root", [("poetry install", PYPI)]),
        ("npm ci && npm i -g x", [("npm ci", NPM), ("npm i", NPM)]),
        ("npm --prefix /app install", [("npm install", NPM)]),
        ("npm install --registry=https://m.example x", [("npm install", ("m.example",))]),
        ("npm config set registry https://m.example && npm ci", [("npm ci", ("m.example",))]),
        ("npm config set registry=https://m.example/ -g; npm ci", [("npm ci", ("m.example",))]),
        ("npm_config_registry=https://m.example npm ci", [("npm ci", ("m.example",))]),
        ("npx create-x && pnpm install && pnpm dlx y", [("npx", NPM), ("pnpm install", NPM), ("pnpm dlx", NPM)]),
        ("corepack prepare pnpm@9 --activate", [("corepack prepare", NPM)]),
        ("yarn", [("yarn install", ("registry.yarnpkg.com",))]),
        ("yarn --frozen-lockfile", [("yarn install", ("registry.yarnpkg.com",))]),
        ("yarn global add x", [("yarn global add", ("registry.yarnpkg.com",))]),
        ("yarn config set registry https://m.example; yarn", [("yarn install", ("m.example",))]),
        ("go mod download && go build -o /x .", [("go mod download", GO), ("go build", GO)]),
        ("go install a.example/x@latest", [("go install", GO)]),
        ("CGO_ENABLED=0 GOOS=linux go build -ldflags '-s -w' -o x", [("go build", GO)]),
        ("GOPROXY=https://m.example,direct go get x", [("go get", ("m.example", "sum.golang.org"))]),
        ("GOPROXY='https://m.example|https://n.example' go get x", [("go get", ("m.example", "n.example", "sum.golang.org"))]),
        ("go env -w GOPROXY=https://m.example,direct && go mod tidy", [("go mod tidy", ("m.example", "sum.golang.org"))]),
        ("export GOSUMDB=off && go mod download", [("go mod download", ("proxy.golang.org",))]),
        ("GOPROXY=direct go mod download", [("go mod download", ("sum.golang.org",))]),
        ("cargo build --release", [("cargo build", CRATES)]),
        ("cargo install --locked x", [("cargo install", CRATES)]),
        ("cargo install --git https://github.com/a/b", [("cargo install", GITHUB)]),
        ("rustup target add x", [("rustup target add", ("static.rust-lang.org",))]),
        ("mamba env update -f e.yml", [("mamba env update", ("conda.anaconda.org", "repo.anaconda.com"))]),
        ("conda install -y -c https://m.example/c x", [("conda install", ("conda.anaconda.org", "repo.anaconda.com", "m.example"))]),
        ("gem install x && bundle install", [("gem install", ("rubygems.org",)), ("bundle install", ("rubygems.org",))]),
        ("gem install --source https://m.example x", [("gem install", ("m.example",))]),
        ("composer install --no-dev", [("composer install", ("repo.packagist.org",))]),
        ("mvn -B -DskipTests package", [("mvn", ("repo.maven.apache.org",))]),
        ("./gradlew build", [("gradlew", ("plugins.gradle.org", "repo.maven.apache.org"))]),
        ("git clone https://github.com/a/b.git", [("git clone", GITHUB)]),
        ("git clone -b v1 --depth 1 https://github.com/a/b /x", [("git clone", GITHUB)]),
        ("git -c http.proxy=x clone git@github.com:a/b.git", [("git clone", GITHUB)]),
        ("git clone git://g.example/a && git clone ssh://git@h.example/a", [("git clone", ("g.example",)), ("git clone", ("h.example",))]),
        ("git fetch https://github.com/a/b main", [("git fetch", GITHUB)]),
        ("git fetch origin", [("git fetch", ())]),
        ("git submodule update --init --recursive", [("git submodule", ())]),
        ("git submodule add https://github.com/a/b", [("git submodule", GITHUB)]),
        ("git ls-remote --tags https://github.com/a/b", [("git ls-remote", GITHUB)]),
        ("wget -qO- https://a.example/x | sh", [("wget", ("a.example",))]),
        ("wget https://a.example/x https://b.example/y", [("wget", ("a.example",)), ("wget", ("b.example",))]),
        ("wget -i list.txt", [("wget", ())]),
        ("echo x | xargs wget", [("wget", ())]),
        ("curl -x http://p.example:3128 https://a.example", [("curl", ("a.example",))]),
        ("curl a.example/x", [("curl", ("a.example",))]),
        ("curl 'https://me:pw@a.example:8443/x'", [("curl", ("a.example",))]),
        ("curl -e https://r.example -o x https://a.example", [("curl", ("a.example",))]),
        ("curl ftp://f.example/x", [("curl", ("f.example",))]),
        ("curl http://apphub/x", [("curl", ("apphub",))]),
        ("gpg --keyserver hkps://k.example --recv-keys ABC", [("gpg", ("k.example",))]),
        ("rpm --import https://k.example/key", [("rpm", ("k.example",))]),
        ("for u in https://a.example/x https://b.example/y; do curl -O $u; done", [("curl", ("a.example", "b.example"))]),
        ("urls=(https://a.example/x https://b.example/y); curl ${urls}", [("curl", ("a.example", "b.example"))]),
        ("H=a.example; curl https://$H/x", [("curl", ("a.example",))]),
        ("if x; then U=https://a.example; else U=https://b.example; fi; curl $U", [("curl", ("a.example", "b.example"))]),
        ("U=$(cat x); curl $U", [("curl", ())]),
        ("read U; curl https://$U/x", [("curl", ("$U",))]),
        ("curl https://${UNKNOWN}/x", [("curl", ("${UNKNOWN}",))]),
        ("curl ${X:-https://a.example}/x", [("curl", ("a.example",))]),
        ("X=ab.example; curl https://${X#a}/x", [("curl", ("b.example",))]),
        ("git config --global url.https://m.example/.insteadOf https://github.com/ && git clone https://github.com/a/b",
         [("git clone", ("m.example",))]),
    ],
)  # fmt: skip
def test_each_tool_has_its_hosts(command: str, expected: list[tuple[str, tuple[str, ...]]]) -> None:
    assert run(command) == expected


@pytest.mark.parametrize(
    ("base", "command", "hosts"),
    [
        ("debian:bookworm-slim", "apt-get update", DEBIAN),
        ("python:3.12-slim", "apt-get update", DEBIAN),
        ("node:22-bookworm", "apt-get update", DEBIAN),
        ("golang", "apt-get update", DEBIAN),
        ("harbor.example/x/node:22", "apt-get update", DEBIAN),
        ("ubuntu:22.04", "apt-get update", UBUNTU),
        ("nvidia/cuda:12.4.1-devel-ubuntu22.04", "apt-get update", UBUNTU),
        ("eclipse-temurin:21-jammy", "apt-get update", UBUNTU),
        ("harbor.example/x/base:1", "apt-get update", ()),
        ("alpine:3", "apk add --no-cache x", ("dl-cdn.alpinelinux.org",)),
        ("python:3-alpine", "apk add x", ("dl-cdn.alpinelinux.org",)),
        ("cgr.dev/chainguard/wolfi-base", "apk add x", ("packages.wolfi.dev",)),
        ("alpine:3", "apk add -X https://m.example/edge x", ("dl-cdn.alpinelinux.org", "m.example")),
        ("rockylinux:9", "dnf install -y x", ("mirrors.rockylinux.org",)),
        ("almalinux:9-minimal", "microdnf install x", ("mirrors.almalinux.org",)),
        ("fedora:40", "dnf -y upgrade", ("mirrors.fedoraproject.org",)),
        ("registry.access.redhat.com/ubi9/ubi", "yum install -y x", ("cdn-ubi.redhat.com",)),
        ("scratch", "dnf makecache", ()),
    ],
)
def test_the_base_image_tells_the_sources_of_its_packages(base: str, command: str, hosts: tuple[str, ...]) -> None:
    assert [item for _, item in run(command, base=base)] == [hosts]


def test_so_it_does_through_stages_and_arguments() -> None:
    text = "ARG V=22.04\nFROM ubuntu:${V} AS a\nFROM a AS b\nFROM b\nRUN apt-get update\n"
    assert [item.hosts for item in found(text)] == [UBUNTU]


def test_sources_that_cannot_be_told_are_named_so() -> None:
    [item] = of("RUN apt-get update", base="harbor.example/x/base:1")
    assert (item.url, item.hosts, item.checksum) == ("the image's apt sources", (), None)


@pytest.mark.parametrize(
    ("instructions", "hosts", "mirror"),
    [
        (["RUN apt-get update"], DEBIAN, ""),
        (["ARG APT_MIRROR", "RUN apt-get update"], DEBIAN, ""),
        (["ARG APT_MIRROR", "RUN sed -i s/deb.debian.org/$APT_MIRROR/ /etc/apt/sources.list && apt-get update"], DEBIAN, "APT_MIRROR"),
        (["ARG APT_MIRROR=", 'RUN [ -z "$APT_MIRROR" ] || sed -i "s|deb.debian.org|${APT_MIRROR}|g" /etc/apt/sources.list; apt-get update'], DEBIAN, "APT_MIRROR"),
        (["ARG APT_MIRROR=m.example", 'RUN sed -i "s|deb.debian.org|${APT_MIRROR}|g" /etc/apt/sources.list.d/debian.sources', "RUN apt-get update"], ("m.example",), "APT_MIRROR"),
        (["RUN sed -i 's@deb.debian.org@m.example@' /etc/apt/sources.list && apt-get update"], ("m.example",), ""),
        (["ARG M=m.example", "RUN echo \"deb http://$M/debian bookworm main\" > /etc/apt/sources.list && apt-get update"], ("m.example",), "M"),
        (["ARG M=m.example", "RUN { echo a; echo \"deb http://$M/debian x main\"; } > /etc/apt/sources.list; apt-get update"], ("m.example",), "M"),
        (["ARG M=m.example", "RUN ( echo \"deb http://$M/debian x main\" ) >/etc/apt/sources.list; apt-get update"], ("m.example",), "M"),
        (["RUN echo 'deb http://m.example/x ./' > /etc/apt/sources.list.d/x.list && apt-get update"], (*DEBIAN, "m.example"), ""),
        (["RUN echo 'deb http://m.example/x ./' | tee /etc/apt/sources.list.d/x.list && apt-get update"], (*DEBIAN, "m.example"), ""),
        (["RUN cat > /etc/apt/sources.list <<E && apt-get update", "deb http://m.example/debian x main", "E"], ("m.example",), ""),
        (["RUN sed -i s/deb.debian.org/m.example/ /etc/apt/sources.list && mv /b/sources.list /etc/apt/sources.list && apt-get update"], ("m.example", *DEBIAN), ""),
        (["ARG PIP_INDEX_URL", "RUN pip install x"], PYPI, "PIP_INDEX_URL"),
        (["ARG PIP_INDEX_URL=https://m.example/simple", "RUN pip install x"], ("m.example",), "PIP_INDEX_URL"),
        (["ENV PIP_INDEX_URL=https://m.example/simple", "RUN pip install x"], ("m.example",), ""),
        (["ARG PYPI_INDEX_URL=https://m.example/s", "ENV PIP_INDEX_URL=${PYPI_INDEX_URL}", "RUN pip install x"], ("m.example",), "PYPI_INDEX_URL"),
        (["ARG PYPI_INDEX_URL=https://m.example/s", "RUN pip install x"], PYPI, ""),
        (["ARG PYPI_INDEX_URL=https://m.example/s", "RUN pip install -i $PYPI_INDEX_URL x"], ("m.example",), "PYPI_INDEX_URL"),
        (["ARG I", "RUN pip install ${I:+-i $I} x"], PYPI, ""),
        (["ARG PIP_MIRROR", "RUN pip install ${PIP_MIRROR:+-i $PIP_MIRROR} x"], PYPI, "PIP_MIRROR"),
        (["ARG U=https://m.example/s", "RUN echo \"index-url = $U\" >> ~/.pip/pip.conf; pip install x"], ("m.example",), "U"),
        (["ENV PIP_EXTRA_INDEX_URL=https://m.example/s", "RUN pip install x"], (*PYPI, "m.example"), ""),
        (["ARG NPM_REGISTRY", 'RUN npm config set registry "${NPM_REGISTRY:-https://m.example}" && npm ci'], ("m.example",), "NPM_REGISTRY"),
        (["ARG NPM_CONFIG_REGISTRY", "RUN npm ci"], NPM, "NPM_CONFIG_REGISTRY"),
        (["ARG npm_config_registry=https://m.example", "RUN npm ci"], ("m.example",), "npm_config_registry"),
        (["ARG GO_PROXY=https://m.example,direct", "ENV GOPROXY=$GO_PROXY", "RUN go build"], ("m.example", "sum.golang.org"), "GO_PROXY"),
        (["ARG GOPROXY", "RUN go build"], GO, "GOPROXY"),
        (["ARG APT_MIRROR=m.example GOPROXY=https://n.example", "RUN echo $APT_MIRROR && go build"], ("n.example", "sum.golang.org"), "GOPROXY"),
        (["ARG GITHUB_MIRROR", "RUN curl -O ${GITHUB_MIRROR}https://github.com/a"], GITHUB, "GITHUB_MIRROR"),
        (["ARG GITHUB_MIRROR=", "RUN curl -O ${GITHUB_MIRROR}https://github.com/a"], GITHUB, "GITHUB_MIRROR"),
        (["ARG GITHUB_MIRROR=https://m.example/", "RUN curl -O ${GITHUB_MIRROR}https://github.com/a"], ("m.example",), "GITHUB_MIRROR"),
        (["ARG G=https://m.example", "RUN git clone ${G:-https://github.com}/a/b"], ("m.example",), "G"),
        (["ARG G", "RUN git clone ${G:-https://github.com}/a/b"], GITHUB, "G"),
        (["ARG H=h.example", "RUN curl https://$H/x"], ("h.example",), "H"),
        (["ARG VERSION=1", "RUN curl https://github.com/a/$VERSION/b-$VERSION"], GITHUB, ""),
        (["ARG VERSION=1", "RUN U=https://github.com/a/$VERSION; curl $U"], GITHUB, ""),
        (["ARG G", "RUN U=${G}https://github.com/a; curl $U"], GITHUB, "G"),
        (["ARG URL=https://a.example/x", "RUN curl $URL"], ("a.example",), "URL"),
        (["ARG URL", "RUN curl $URL"], (), "URL"),
        (["ENV URL=https://a.example/x", "RUN curl $URL"], ("a.example",), ""),
        (["ARG TARGETARCH", "RUN curl https://$TARGETARCH.a.example/x"], None, ""),
        (["ARG PROXY", "RUN curl -x $PROXY https://a.example"], ("a.example",), "PROXY"),
        (["ARG P", "RUN https_proxy=$P curl https://a.example"], ("a.example",), "P"),
        (["ARG P", "RUN export https_proxy=$P; git clone https://github.com/a/b"], GITHUB, "P"),
        (["ARG P", "RUN export https_proxy=$P; unset https_proxy; git clone https://github.com/a/b"], GITHUB, ""),
        (["ARG GO_PROXY", "RUN echo $GO_PROXY; GOPROXY=https://m.example go mod download"], ("m.example", "sum.golang.org"), ""),
        (["ARG PIP_MIRROR", "RUN echo $PIP_MIRROR; pip install -i https://m.example/s x"], ("m.example",), ""),
        (["ARG TOKEN=x", "RUN git clone https://$TOKEN@github.com/a/b"], GITHUB, ""),
        (["ARG M=m.example", "RUN sed -i s,^baseurl=.*,baseurl=https://$M/x, /etc/yum.repos.d/rocky.repo && dnf makecache"], ("m.example",), "M"),
        (["COPY a/sources.list /etc/apt/sources.list", "RUN apt-get update"], (), ""),
        (["COPY package.json .npmrc ./", "RUN npm ci"], (), ""),
        (["COPY key.gpg /etc/apt/keyrings/", "RUN apt-get update"], DEBIAN, ""),
        (["ARG M", 'RUN git config --global url."${M}https://github.com/".insteadOf https://github.com/', "RUN git clone https://github.com/a/b"], GITHUB, "M"),
    ],
)  # fmt: skip
def test_a_way_to_a_mirror_is_an_argument(instructions: list[str], hosts: tuple[str, ...] | None, mirror: str) -> None:
    [item] = of(*instructions)
    assert item.mirror == mirror
    assert hosts is None or item.hosts == hosts


def test_build_arguments_replace_the_defaults() -> None:
    [item] = of("ARG G=https://github.com", "RUN curl $G/a", G="https://m.example")
    assert (item.url, item.hosts, item.mirror) == ("https://m.example/a", ("m.example",), "G")


def test_an_argument_above_the_first_from_counts_where_it_is_declared_again() -> None:
    text = "ARG G=https://m.example\nFROM debian\nRUN curl $G/a\nARG G\nRUN curl $G/a\n"
    assert [(item.line, item.url, item.mirror) for item in found(text)] == [
        (3, "$G/a", ""),
        (5, "https://m.example/a", "G"),
    ]


def test_a_stage_has_the_arguments_and_sources_of_the_one_below_it() -> None:
    text = "FROM debian AS a\nARG M=m.example\nRUN sed -i s/deb.debian.org/$M/ /etc/apt/sources.list\nFROM a\nRUN apt-get update\n"
    assert [(item.hosts, item.mirror) for item in found(text)] == [(("m.example",), "M")]


def test_only_stages_that_the_target_reaches_count() -> None:
    text = (
        "FROM debian AS a\nRUN curl https://a.example\nFROM debian AS b\nRUN curl https://b.example\n"
        "FROM debian\nCOPY --from=a /x /\nRUN curl https://c.example\n"
    )
    assert [item.line for item in found(text)] == [2, 7]
    assert [item.line for item in found(text, target="b")] == [4]


def test_onbuild_does_not() -> None:
    assert found("FROM debian AS a\nONBUILD RUN curl https://a.example\nFROM a\n") == ()


def test_what_comes_before_a_problem_and_after_it_is_read() -> None:
    text = "FROM debian\nRUN curl https://a.example\nRUNN x\nCOPY --nope a b\nRUN curl https://b.example\n"
    assert [item.line for item in found(text)] == [2, 5]


@pytest.mark.parametrize(
    ("instruction", "url", "host", "checksum"),
    [
        ("ADD https://a.example/x.tgz /", "https://a.example/x.tgz", "a.example", False),
        (f"ADD --checksum=sha256:{'0' * 64} https://a.example/x.tgz /", "https://a.example/x.tgz", "a.example", True),
        ('ADD ["https://a.example/x y", "/"]', "https://a.example/x y", "a.example", False),
        ("ADD https://github.com/a/b.git#v1 /b", "https://github.com/a/b.git#v1", "github.com", False),
        (f"ADD https://github.com/a/b.git#{'a' * 40}:dir /b", f"https://github.com/a/b.git#{'a' * 40}:dir", "github.com", True),
        ("ADD git@github.com:a/b.git /b", "git@github.com:a/b.git", "github.com", False),
        ("ADD git://g.example/a /b", "git://g.example/a", "g.example", False),
        ("ADD --keep-git-dir=true https://github.com/a/b.git /b", "https://github.com/a/b.git", "github.com", False),
        ("ADD \"https://a.example/x\" /", "https://a.example/x", "a.example", False),
    ],
)  # fmt: skip
def test_add_downloads_urls_and_repositories(instruction: str, url: str, host: str, checksum: bool) -> None:
    [item] = of(instruction)
    assert (item.kind, item.tool, item.url, item.hosts, item.checksum) == ("add", "ADD", url, (host,), checksum)


def test_add_of_files_downloads_nothing() -> None:
    assert of("ADD a.tgz b /", "ADD . /", "ADD <<E /x\nhttps://a.example/x\nE", "COPY https://a.example/x /") == ()


def test_add_has_arguments_too() -> None:
    [item] = of("ARG G=https://github.com", "ARG V=1", "ADD ${G}/a/$V.tgz /")
    assert (item.url, item.mirror) == ("https://github.com/a/1.tgz", "G")


@pytest.mark.parametrize(
    ("command", "checksum"),
    [
        (f"curl -O {URL}", False),
        (f"curl -O {URL} && echo '0 x' | sha256sum -c", True),
        (f"curl -O {URL} && sha512sum --check sums", True),
        (f"curl -O {URL} && shasum -a 256 -c -s sums", True),
        (f"curl -O {URL} && sha256sum -sc sums", True),
        (f"curl -O {URL} && sha256sum x > sums", False),
        (f"sha256sum -c sums; curl -O {URL}", False),
        (f"curl -O {URL} && gpg --batch --verify x.asc x", True),
        (f"curl -O {URL} && cosign verify-blob x", True),
        (f"aria2c --checksum=sha-256=0 {URL}", True),
        ("pip install --require-hashes -r r.txt", True),
        ("pip install x", None),
        ("apt-get update", None),
        (f"git clone {URL}", False),
        (f"git fetch {URL} {'b' * 40}", True),
    ],
)
def test_whether_the_content_is_checked(command: str, checksum: bool | None) -> None:
    assert [item.checksum for item in of(f"RUN {command}")] == [checksum]


def test_the_line_is_that_of_the_command() -> None:
    text = """\
FROM debian
RUN set -eux; \\
    # a comment that says curl https://no.example \\
    apt-get update; \\

    echo "use \\
wget" \\
    && curl -fsSL \\
      https://a.example/x \\
    | tar xz; \\
    sh -c 'true; \\
      wget https://b.example'
RUN <<E
# curl https://no.example
apt-get update

cat > f <<'IN'
curl https://no.example
IN
git clone \\
  https://github.com/a/b
E
RUN bash <<E > /log && curl https://c.example
wget https://d.example
E
RUN cat <<E > f
curl https://no.example
$(curl https://e.example)
E
RUN <<E
#!/usr/bin/env python3
curl https://no.example
E
RUN <<-'E'
	#!/bin/bash -e
	curl https://f.example
	E
"""
    assert [(item.line, item.tool) for item in found(text)] == [
        (4, "apt-get"),
        (8, "curl"),
        (12, "wget"),
        (15, "apt-get"),
        (20, "git"),
        (23, "curl"),
        (24, "wget"),
        (28, "curl"),
        (36, "curl"),
    ]


def test_the_escape_directive_and_line_ends_are_those_of_the_file() -> None:
    text = "# escape=`\r\nFROM debian\r\nRUN true `\r\n  && curl https://a.example `\r\n  -o x\r\n"
    assert [(item.line, item.url) for item in found(text)] == [(4, "https://a.example")]


def test_urls_are_shown_as_far_as_they_are_known() -> None:
    [item] = of("ARG V=1.2", "RUN curl -O https://a.example/$V/${V%.*}/$(uname -m)/${arch}.tgz")
    assert item.url == "https://a.example/1.2/1/$(uname -m)/${arch}.tgz"


def test_a_source_is_shown_as_its_url() -> None:
    lines = (
        "ARG M=m.example",
        "RUN sed -i s,^baseurl=.*,baseurl=https://$M/x, /etc/yum.repos.d/a.repo",
        "RUN dnf makecache",
    )
    assert [item.url for item in of(*lines)] == ["https://m.example/x"]
    assert [item.url for item in of("COPY .npmrc ./", "RUN npm ci")] == ["as .npmrc says"]
    unset = ("ARG APT_MIRROR", "RUN sed -i s/deb.debian.org/$APT_MIRROR/ /etc/apt/sources.list; apt-get update")
    assert [item.url for item in of(*unset)] == ["http://deb.debian.org/debian"]


def test_the_values_of_secrets_are_not_shown() -> None:
    lines = ("ARG API_TOKEN=hunter2", "ENV MY_PASSWORD=hunter2", "RUN curl https://a.example/$API_TOKEN/$MY_PASSWORD")
    assert [item.url for item in of(*lines, API_TOKEN="hunter2")] == ["https://a.example/$API_TOKEN/$MY_PASSWORD"]


def test_values_that_are_made_of_values_do_not_grow() -> None:
    lines = ["ARG A0=https://a.example/" + "x" * 50, *(f"ARG A{n + 1}=$A{n}$A{n}$A{n}" for n in range(30))]
    [item] = of(*lines, "RUN curl $A30")
    assert item.hosts == ("a.example",)
    assert len(item.url) < 10_000


def test_a_variable_that_is_made_of_itself_ends() -> None:
    [item] = of("RUN A=$A/x; B=$C; C=$B; curl https://a.example/$A/$B")
    assert item.hosts == ("a.example",)
