"""Passwords in the values of settings, in places where they do not belong, appear in nothing that a command writes."""

from pathlib import Path

import pytest

from build_lib.errors import SettingsError
from build_lib.settings import Settings, masked, masked_value, without_password_of
from tests.hostile.attempts import NOWHERE
from tests.support.commands import run_inv
from tests.support.projects import needs, write

FIRST, LAST = "GEHE1M", "S3CR3T"
PASSWORDS = {  # what stands between the two parts of the password
    "plain": "",
    "at": "@",
    "slash": "/",
    "colon": ":",
    "comma": ",",
    "space": " ",
    "quote": "'",
    "question": "?",
    "digest": "@sha256:",
    "slash and at": "/@",
}
SETTINGS = {
    "PRIVATE_REGISTRY": "user:{}@registry.invalid/team",
    "REGISTRY_MIRRORS": "docker.io=mirror.invalid https://user:{}@mirror.invalid",
    "INSECURE_REGISTRIES": "127.0.0.1:5000,user:{}@127.0.0.1:5001",
    "EXTRA_IMAGES": "redis:7 user:{}@registry.invalid/a:1",
    "SLURM_BASE_IMAGE": "user:{}@registry.invalid/a:1",
    "IMAGE_PREFIX": "user:{}@registry.invalid/a-",
    "APT_MIRROR": "http://user:{}@mirror.invalid/debian",
    "DOCKER_HOST": "tcp://user:{}@127.0.0.1:1",
    "HTTPS_PROXY": "http://user:{}@127.0.0.1:1",
    "BUILD_ARG_REGISTRY": "user:{}@registry.invalid",
    "PRIVATE_REGISTRY_PASSWORD": "{}",
}
COMMANDS = (  # each way in which settings become text
    ("deps",),
    ("--dry", "prefetch"),
    ("deps-push",),
    ("deps-save",),
    ("-d", "mirrors"),
    ("doctor", "--json"),
    ("status",),
    ("clean",),
    ("engine-up",),
)
COMPOSE = """\
    services:
      cache:
        image: ${PRIVATE_REGISTRY:-a}/redis:7
    """


def value(form: str, password: str) -> str:
    return form.format(f"{FIRST}{PASSWORDS[password]}{LAST}")


def left_in(text: str) -> list[str]:
    """The lines with a part of the password."""
    return [line for line in text.splitlines() if FIRST in line or LAST in line]


def written_below(directory: Path) -> str:
    return "\n".join(path.read_text(errors="replace") for path in directory.rglob("*") if path.is_file())


@pytest.mark.parametrize("setting", SETTINGS)
def test_no_command_shows_it(setting: str, project: Path) -> None:
    text = value(SETTINGS[setting], "slash and at")
    dockerfile = "ARG REGISTRY=quay.invalid\nFROM ${REGISTRY}/a:1\n"
    write(
        project,
        {
            "src/web/Dockerfile": dockerfile,
            "compose.yaml": COMPOSE,
            ".env": f'{setting}="{text}"\nTRIES=1\nSTALL_SECONDS=1\n',
        },
    )
    environment = {"HOME": str(project)}
    environment |= {setting: text} if setting == "HTTPS_PROXY" else {}
    environment |= {} if setting == "DOCKER_HOST" else {"DOCKER_HOST": NOWHERE}
    for command in COMMANDS:
        done = run_inv(project, command, environment)
        assert "Traceback" not in done.stderr, done.stderr
        assert left_in(done.stdout + done.stderr) == [], command
    assert left_in(written_below(project / ".build")) == []


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("setting", [name for name in SETTINGS if name.isupper() and "PASSWORD" not in name])
def test_no_text_of_a_wrong_setting_shows_it(setting: str, password: str, tmp_path: Path) -> None:
    settings = Settings.load(tmp_path, environ={setting: value(SETTINGS[setting], password)})
    for error in settings.wrong:
        assert left_in(f"{error.message}\n{error.hint}\n{error}\n{error!r}") == []
        assert error.message.startswith(f"{setting} in the environment is ")
    refused = ("DOCKER_HOST", "HTTPS_PROXY", "BUILD_ARG_REGISTRY")
    assert bool(settings.wrong) == (setting not in refused)


@pytest.mark.parametrize("password", PASSWORDS)
def test_no_flag_shows_it(password: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.load(tmp_path, {"registry": value("user:{}@registry.invalid/team", password)})
    assert left_in(f"{raised.value.message}\n{raised.value.hint}") == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:a@b/c@host/x", "https://user:***@host/x"),
        ("https://token@host/x", "https://***@host/x"),
        ("ssh://user@host", "ssh://user@host"),
        ("ssh://user:a@host", "ssh://user:***@host"),
        ("quay.io=user:a@host", "quay.io=user:***@host"),
        ("user:a,b@host", "user:***@host"),
        ("redis:7 user:a@host", "redis:7 user:***@host"),
        ("redis:7@sha256:ab", "redis:7@sha256:ab"),
        ("user:a@redis:7@sha256:ab", "user:***@redis:7@sha256:ab"),
        ("nginx@latest", "nginx@latest"),
        ("git@host:a/b.git", "git@host:a/b.git"),
        ("", ""),
    ],
)
def test_what_is_shown_instead(text: str, shown: str) -> None:
    assert masked_value(text) == shown


def test_a_sentence_keeps_its_words() -> None:
    said = "src/web/Dockerfile:7: 'nginx@latest' of user:a@b@host has an invalid digest"
    assert masked(said) == "src/web/Dockerfile:7: 'nginx@latest' of user:***@host has an invalid digest"


def test_the_words_about_a_value_lose_the_parts_of_its_password() -> None:
    assert (
        without_password_of("http://user:ab/cd@host", "'user:ab' is no port of host") == "'user:***' is no port of host"
    )
    assert without_password_of("tcp://engine:port", "'port' is no number") == "'port' is no number"


def test_a_long_text_is_masked_in_time() -> None:
    assert masked(f"{'a:' * 1_000_000}@{'b@' * 100_000}").endswith("@")


@pytest.mark.parametrize("debug", ["-d", "INVOKE_DEBUG"])
def test_debug_output_of_a_classic_build_has_no_proxy(
    debug: str, machine: Settings, tiny: str, prefix: str, project: Path
) -> None:
    needs(project, "web", tiny, 'CMD ["/web"]')
    environment = {
        **machine.environment,
        "BUILDER_BACKEND": "classic",
        "IMAGE_PREFIX": prefix,
        "HTTP_PROXY": value("http://user:{}@127.0.0.1:1", "plain"),
        "INVOKE_DEBUG": "1" if debug == "INVOKE_DEBUG" else "",
    }
    done = run_inv(project, ("-d",) * (debug == "-d") + ("build", "-s", "web"), environment)
    assert done.returncode == 0, done.stderr
    assert "invoke." in done.stderr, "there is debug output"
    assert left_in(done.stdout + done.stderr) == []
    assert left_in(written_below(project / ".build")) == []
