"""Package managers: where they download from, the flags and variables that change that, and which subcommands do."""

import re
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """Package managers with one source of packages."""

    name: str
    hosts: tuple[str, ...]  # "" stands for the image's sources, which its base image tells
    url: str
    environment: tuple[str, ...] = ()  # variables that they read the source from, in lower case
    more_environment: tuple[str, ...] = ()  # variables that name further ones
    index: tuple[str, ...] = ()  # flags that name the source
    more: tuple[str, ...] = ()  # flags that name further ones
    valued: tuple[str, ...] = ()  # other flags that take a value
    offline: tuple[str, ...] = ()  # flags with which nothing is downloaded
    combined: bool = True  # whether short flags may be combined: `-yq`
    names: re.Pattern[str] = re.compile("(?!)")  # ARGs that an instruction uses to set the source


_END = r"(?:_?(?:MIRRORS?|PROXY|REPO(?:SITORY)?|REGISTRY|INDEX|SOURCES?|URL|HOST|ARCHIVE|DOMAIN|CHANNEL))"


def _names(*of: str) -> re.Pattern[str]:
    """ARGs such as `APT_MIRROR` or `USE_CN_MIRROR`."""
    return re.compile(
        rf"(?i).*(?:{'|'.join(of)}).*{_END}.*|(?:USE_|CN_|CHINA_|INTERNAL_|LOCAL_)*MIRROR(?:_URL|_HOST|S)?"
    )


APT = Family(
    name="apt",
    hosts=("",),
    url="the image's apt sources",
    valued=("-t", "-o", "-c", "-a", "--option", "--target-release", "--default-release", "--config-file"),
    offline=("--no-download", "--print-uris", "-s", "--simulate", "--dry-run"),
    names=_names("APT", "DEB", "UBUNTU"),
)
_DNF = Family(
    name="dnf",
    hosts=("",),
    url="the image's dnf sources",
    more=("--repofrompath",),
    valued=("-c", "-x", "--setopt", "--enablerepo", "--disablerepo", "--repo", "--exclude", "--releasever"),
    offline=("-C", "--cacheonly"),
    names=_names("DNF", "YUM", "RPM", "CENTOS", "ROCKY", "ALMA", "FEDORA", "EPEL"),
)
_APK = Family(
    name="apk",
    hosts=("",),
    url="the image's apk sources",
    more=("-X", "--repository"),
    valued=("-t", "--virtual", "-p", "--root", "--arch", "--repositories-file"),
    offline=("--no-network",),
    names=_names("APK", "ALPINE"),
)
PIP = Family(
    name="pip",
    hosts=("pypi.org", "files.pythonhosted.org"),
    url="https://pypi.org/simple",
    environment=("pip_index_url", "uv_index_url", "uv_default_index", "pipenv_pypi_mirror"),
    more_environment=("pip_extra_index_url", "uv_extra_index_url", "uv_index", "pip_find_links"),
    index=("-i", "--index-url", "--default-index", "--index", "--pypi-mirror", "--pip-args"),
    more=("--extra-index-url", "-f", "--find-links"),
    valued=(
        *("-r", "--requirement", "-c", "--constraint", "-e", "--editable", "-t", "--target", "--prefix", "--root"),
        *("--python", "-p", "--trusted-host", "--timeout", "--retries", "--no-binary", "--only-binary", "--platform"),
        *("--python-version", "--cache-dir", "--proxy", "-d", "--dest", "-w", "--wheel-dir", "--abi", "--progress-bar"),
        *("--spec", "--with", "-E", "--extras", "--only", "--without", "--upgrade-strategy", "-C", "--config-settings"),
    ),
    offline=("--no-index", "--offline"),
    names=_names("PIP", "PYPI", "PYTHON"),
)
NPM = Family(
    name="npm",
    hosts=("registry.npmjs.org",),
    url="https://registry.npmjs.org/",
    environment=("npm_config_registry", "yarn_registry", "yarn_npm_registry_server", "corepack_npm_registry"),
    index=("--registry",),
    valued=(
        "-C",
        "--prefix",
        "--cache",
        "-w",
        "--workspace",
        "-p",
        "--package",
        "--cwd",
        "--omit",
        "--only",
        "--loglevel",
    ),
    offline=("--offline",),
    names=_names("NPM", "NODE", "YARN", "PNPM"),
)
YARN = Family(
    name="npm",
    hosts=("registry.yarnpkg.com",),
    url="https://registry.yarnpkg.com/",
    environment=NPM.environment,
    index=NPM.index,
    valued=NPM.valued,
    offline=NPM.offline,
    names=NPM.names,
)
GO = Family(
    name="go",
    hosts=("proxy.golang.org",),
    url="https://proxy.golang.org",
    environment=("goproxy",),
    valued=("-o", "-ldflags", "-tags", "-gcflags", "-asmflags", "-p", "-C", "-mod", "-modfile", "-installsuffix"),
    combined=False,
    names=_names("GO", "GOLANG"),
)
_CARGO = Family(
    name="cargo",
    hosts=("index.crates.io", "static.crates.io"),
    url="https://index.crates.io/",
    environment=("cargo_registries_crates_io_index", "cargo_source_crates_io_registry"),
    index=("--index", "--registry"),
    valued=("--version", "--vers", "--features", "--target", "--path", "--root", "-p", "--bin", "--profile", "-j"),
    offline=("--offline", "--frozen"),
    names=_names("CARGO", "CRATES", "RUST"),
)
_CONDA = Family(
    name="conda",
    hosts=("conda.anaconda.org", "repo.anaconda.com"),
    url="https://conda.anaconda.org",
    environment=("conda_channels", "conda_channel_alias"),
    index=("--channel-alias",),
    more=("-c", "--channel"),
    valued=("-n", "--name", "-p", "--prefix", "-f", "--file"),
    offline=("--offline", "--use-local"),
    names=_names("CONDA", "MAMBA", "ANACONDA"),
)
GEM = Family(
    name="gem",
    hosts=("rubygems.org",),
    url="https://rubygems.org/",
    environment=("bundle_mirror__all", "bundle_mirror__https://rubygems__org"),
    index=("-s", "--source"),
    valued=("-v", "--version", "--jobs", "--retry", "--without"),
    offline=("--local", "-l"),
    names=_names("GEM", "RUBY", "BUNDLE"),
)
_COMPOSER = Family(
    name="composer",
    hosts=("repo.packagist.org",),
    url="https://repo.packagist.org",
    index=("--repository", "--repository-url"),
    valued=("-d", "--working-dir"),
    names=_names("COMPOSER", "PACKAGIST"),
)
MAVEN = Family(
    name="maven",
    hosts=("repo.maven.apache.org",),
    url="https://repo.maven.apache.org/maven2",
    valued=("-f", "-s", "-P", "-pl", "-T", "--file", "--settings"),
    offline=("-o", "--offline", "-v", "--version", "-version", "--help"),
    combined=False,
    names=_names("MAVEN", "MVN"),
)
GRADLE = Family(
    name="gradle",
    hosts=("plugins.gradle.org", "repo.maven.apache.org"),
    url="https://plugins.gradle.org/m2",
    valued=("-p", "-b", "-c", "-I"),
    offline=("--offline", "-v", "--version", "--help", "--stop"),
    combined=False,
    names=_names("GRADLE", "MAVEN"),
)
_RUSTUP = Family(
    name="rustup",
    hosts=("static.rust-lang.org",),
    url="https://static.rust-lang.org",
    environment=("rustup_dist_server",),
    names=_names("RUSTUP", "RUST"),
)
_APT_DOES = frozenset(
    "install update upgrade dist-upgrade full-upgrade build-dep source download reinstall satisfy".split()  # noqa: SIM905
)
_DNF_DOES = frozenset(
    "install localinstall update upgrade makecache reinstall groupinstall group module swap builddep download"  # noqa: SIM905
    " distro-sync check-update debuginfo-install repoquery search".split()
)
_NPM_DOES = frozenset(
    "add audit ci clean-install create dlx exec fetch i import init install install-clean it outdated up update upgrade"  # noqa: SIM905
    " view x global".split()
)
_PIP_DOES = frozenset(["download", "install", "sync", "wheel", "compile"])
_GO_DOES = frozenset(["build", "generate", "get", "install", "list", "mod", "run", "test", "vet", "work"])
_CARGO_DOES = frozenset(
    "add b bench build binstall check chef clippy doc fetch generate-lockfile install r run search t test update"  # noqa: SIM905
    " vendor".split()
)
_ANY: frozenset[str] = frozenset()
TOOLS: Mapping[str, tuple[Family, frozenset[str]]] = {
    **dict.fromkeys(("apt", "apt-get", "aptitude"), (APT, _APT_DOES)),
    "mk-build-deps": (APT, _ANY),
    **dict.fromkeys(("dnf", "dnf5", "yum", "microdnf", "tdnf"), (_DNF, _DNF_DOES)),
    "apk": (_APK, frozenset(["add", "fetch", "update", "upgrade"])),
    "pip": (PIP, _PIP_DOES),
    "pipx": (PIP, frozenset(["inject", "install", "run", "upgrade", "upgrade-all"])),
    "pipenv": (PIP, frozenset(["install", "lock", "sync", "update", "upgrade"])),
    "poetry": (PIP, frozenset(["add", "install", "lock", "self", "sync", "update"])),
    "pdm": (PIP, frozenset(["add", "install", "lock", "sync", "update"])),
    "uv": (PIP, frozenset(["add", "lock", "pip", "sync", "tool"])),
    "uvx": (PIP, _ANY),
    **dict.fromkeys(("npm", "pnpm"), (NPM, _NPM_DOES)),
    "bun": (NPM, frozenset(["add", "i", "install", "update", "x"])),
    **dict.fromkeys(("npx", "pnpx", "bunx"), (NPM, _ANY)),
    "corepack": (NPM, frozenset(["install", "prepare", "up", "use"])),
    "yarn": (YARN, _NPM_DOES | {"plugin", "set", "upgrade-interactive"}),
    "yarnpkg": (YARN, _NPM_DOES),
    "go": (GO, _GO_DOES),
    "cargo": (_CARGO, _CARGO_DOES),
    **dict.fromkeys(
        ("conda", "mamba", "micromamba"),
        (_CONDA, frozenset(["create", "env", "install", "search", "update", "upgrade"])),
    ),
    "rustup": (_RUSTUP, frozenset(["component", "default", "install", "target", "toolchain", "update"])),
    "gem": (GEM, frozenset(["fetch", "install", "update"])),
    "bundle": (GEM, frozenset(["install", "lock", "outdated", "update"])),
    "bundler": (GEM, frozenset(["install", "update"])),
    "composer": (_COMPOSER, frozenset(["create-project", "global", "install", "require", "update", "i", "u", "r"])),
    **dict.fromkeys(("mvn", "mvnw"), (MAVEN, _ANY)),
    **dict.fromkeys(("gradle", "gradlew"), (GRADLE, _ANY)),
}
SECOND = {  # subcommands that have subcommands
    ("bun", "x"): None,
    ("composer", "global"): frozenset(["install", "require", "update"]),
    ("conda", "env"): frozenset(["create", "update"]),
    ("dnf", "group"): frozenset(["install", "update", "upgrade"]),
    ("dnf", "module"): frozenset(["enable", "install", "reset", "switch-to"]),
    ("go", "mod"): frozenset(["download", "tidy", "vendor", "why", "graph"]),
    ("go", "work"): frozenset(["sync", "vendor"]),
    ("mamba", "env"): frozenset(["create", "update"]),
    ("micromamba", "env"): frozenset(["create"]),
    ("poetry", "self"): frozenset(["add", "install", "update"]),
    ("rustup", "component"): frozenset(["add"]),
    ("rustup", "target"): frozenset(["add"]),
    ("rustup", "toolchain"): frozenset(["install", "update"]),
    ("uv", "pip"): _PIP_DOES,
    ("uv", "tool"): frozenset(["install", "run", "upgrade"]),
    ("yarn", "global"): frozenset(["add", "upgrade"]),
    ("yarn", "plugin"): frozenset(["import"]),
    ("yarn", "set"): frozenset(["version"]),
    ("yum", "group"): frozenset(["install", "update"]),
    ("yum", "module"): frozenset(["enable", "install", "reset"]),
}
