"""What doctor finds, on a real engine and with real registries."""

import os
import secrets
import socket
import subprocess
from pathlib import Path

import pytest

from build_lib.settings import Settings
from tests.support.commands import Inv, inv_command, items_of
from tests.support.faults import ALWAYS, Fault, proxied
from tests.support.mistakes import give_away
from tests.support.projects import needs
from tests.support.registries import Registry, free_place


def found(inv: Inv, *, code: int = 0, **environment: str) -> dict[str, dict[str, str]]:
    """The findings by what they are about; of several, the last."""
    done = inv("doctor", "--json", **environment)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return {item["what"]: item for item in items_of(done)}


def test_a_machine_on_which_all_is_well(
    machine: Settings, project: Path, private: Registry, registry: Registry, inv: Inv
) -> None:
    needs(project, "one", f"{registry.host}/a:1")
    (project / ".env").write_text("IMAGE_TAG=v1\nBUILD_ARG_X=1\n")
    items = found(inv, PRIVATE_REGISTRY=f"{private.host}/p", REGISTRY_MIRRORS=private.host)
    names = ("engine", "builder", "memory", ".env", "services", "private registry", f"mirror {private.host}")
    assert {items[name]["level"] for name in names} == {"good"}
    assert items[f"registry {registry.host}"]["level"] == "good"
    assert items["private registry"]["detail"].startswith(f"{private.host} answers in ")


def test_settings_that_are_none_and_a_password_that_others_may_read(machine: Settings, project: Path, inv: Inv) -> None:
    env = project / ".env"
    env.write_text("IMAGE_TAGG=v1\n")
    items = found(inv)
    assert (items[".env"]["level"], items[".env"]["detail"]) == ("warning", "IMAGE_TAGG is not a setting")
    assert items[".env"]["fix"] == "did you mean IMAGE_TAG?"
    password = secrets.token_urlsafe(12)
    env.write_text(f"PRIVATE_REGISTRY_USERNAME=user\nPRIVATE_REGISTRY_PASSWORD={password}\n")
    env.chmod(0o644)
    items = found(inv, code=1)
    assert (items[".env"]["level"], items[".env"]["fix"]) == ("bad", f"chmod 600 {env}")
    assert password not in str(items)
    env.write_text("PRIVATE_REGISTRY_USERNAME=user\n")
    assert found(inv, PRIVATE_REGISTRY_PASSWORD=password)[".env"]["level"] == "good", "it is not in the file"
    env.write_text(f"PRIVATE_REGISTRY_USERNAME=user\nPRIVATE_REGISTRY_PASSWORD={password}\n")
    env.chmod(0o600)
    assert found(inv)[".env"]["level"] == "good"


def test_no_engine_is_bad_and_the_rest_is_looked_at(project: Path, inv: Inv) -> None:
    items = found(inv, code=1, DOCKER_HOST="unix:///nowhere.sock")
    assert items["engine"]["level"] == "bad"
    assert "./inv engine-up" in items["engine"]["fix"]
    assert "services" in items


def test_every_wrong_setting_is_told_once_and_the_rest_is_looked_at(project: Path, inv: Inv) -> None:
    (project / ".env").write_text("JOBS=many\nBUILDER_BACKEND=make\nPRIVATE_REGISTRY=http://harbor.example/x\n")
    done = inv("doctor", "--json", DOCKER_HOST="unix:///nowhere.sock")
    items = items_of(done)
    said = [(item["level"], item["detail"]) for item in items if item["what"] == "settings"]
    wrong = ("PRIVATE_REGISTRY in .env is 'http://harbor.example/x'", "JOBS in .env is 'many'")
    assert said == [("bad", text) for text in (*wrong, "BUILDER_BACKEND in .env is 'make'")]
    assert done.returncode == 1
    assert {"services", "memory", "engine"} <= {item["what"] for item in items}


def without_engine(inv: Inv, **environment: str) -> list[dict[str, str]]:
    done = inv("doctor", "--json", DOCKER_HOST="unix:///nowhere.sock", **environment)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    found: list[dict[str, str]] = items_of(done)
    return found


def test_a_file_in_the_place_of_the_state_directory_is_told_once_and_the_rest_is_looked_at(
    project: Path, inv: Inv
) -> None:
    (project / ".build").touch()
    items = without_engine(inv)
    [told] = [item for item in items if item["level"] == "bad" and item["what"] != "engine"]
    assert (told["what"], told["detail"]) == (".build", f"{project}/.build is not a directory")
    assert {"memory", "disk of .build", "engine"} <= {item["what"] for item in items}


def test_a_state_directory_of_another_user_is_told(tmp_path: Path) -> None:
    (tmp_path / ".build/logs").mkdir(parents=True)
    try:
        bound = give_away(tmp_path / ".build")
    except PermissionError:
        pytest.skip("needs root")
    command = [*bound, *inv_command("doctor", "--json")]
    environment = {**os.environ, "PROJECT_ROOT": str(tmp_path), "DOCKER_HOST": "unix:///nowhere.sock"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    [told] = [item for item in items_of(done) if item["what"] == ".build"]
    assert (told["level"], told["detail"]) == ("bad", f"this user cannot write {tmp_path}/.build")


def test_a_setting_that_is_set_twice_is_told_with_the_line_that_counts(project: Path, inv: Inv) -> None:
    (project / ".env").write_text("JOBS=1\nIMAGE_TAG=v1\nJOBS=2\n")
    [told] = [item for item in without_engine(inv) if item["what"] == ".env"]
    assert (told["level"], told["detail"]) == ("warning", "JOBS is set more than once: line 3 counts")


def test_proxies_are_connected_to_and_their_passwords_not_shown(project: Path, inv: Inv) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        good = f"http://user:geheim@127.0.0.1:{listening.getsockname()[1]}"
        items = without_engine(inv, HTTPS_PROXY=good, https_proxy=good, HTTP_PROXY=f"user:geheim@{free_place()}")
    told = [(item["level"], item["detail"]) for item in items if item["what"] == "proxy"]
    assert told == [
        ("good", "HTTPS_PROXY, https_proxy: 127.0.0.1: accepts connections"),
        ("bad", "HTTP_PROXY: 127.0.0.1: Connection refused"),
    ]
    assert "geheim" not in str(items)


def test_a_user_without_a_password_is_told(project: Path, inv: Inv) -> None:
    needs(project, "one", "scratch")
    registry = {"PRIVATE_REGISTRY": "127.0.0.1:1/p", "PRIVATE_REGISTRY_USERNAME": "u"}
    done = inv("doctor", "--json", DOCKER_HOST="unix:///nowhere.sock", **registry)
    [told] = [item for item in items_of(done) if item["what"] == "registries"]
    assert (told["level"], told["detail"]) == ("bad", "PRIVATE_REGISTRY_PASSWORD is empty")
    assert done.returncode == 1


def test_a_registry_that_does_not_answer_is_bad_only_if_something_has_to_come_from_it(
    machine: Settings, project: Path, tiny: str, private: Registry, inv: Inv
) -> None:
    nobody = free_place()
    needs(project, "one", f"{nobody}/a:1")
    needs(project, "two", tiny)
    items = found(inv, code=1)
    assert items[f"registry {nobody}"]["level"] == "bad"
    assert "refused" in items[f"registry {nobody}"]["detail"]
    items = found(inv, PRIVATE_REGISTRY=f"{private.host}/p")
    assert items[f"registry {nobody}"]["level"] == "warning"


def test_a_name_that_cannot_be_resolved(machine: Settings, project: Path, inv: Inv) -> None:
    items = found(inv, code=1, PRIVATE_REGISTRY="harbor.invalid/p", HTTPS_PROXY="", https_proxy="", HTTP_PROXY="")
    assert items["DNS"]["detail"].startswith("harbor.invalid cannot be resolved: ")


def test_a_wrong_password_and_a_wrong_clock(machine: Settings, project: Path, private: Registry, inv: Inv) -> None:
    refused = Fault(
        method="GET", path="/v2/", status=401, headers={"WWW-Authenticate": 'Basic realm="a test"'}, times=ALWAYS
    )
    password = secrets.token_urlsafe(12)
    login = {"PRIVATE_REGISTRY_USERNAME": "user", "PRIVATE_REGISTRY_PASSWORD": password}
    with proxied(private.host, refused) as proxy:
        items = found(inv, code=1, PRIVATE_REGISTRY=f"{proxy.host}/p", **login)
        assert items["private registry"]["detail"] == f"{proxy.host} refused the login as 'user'"
        assert items["private registry"]["fix"].startswith("correct PRIVATE_REGISTRY_USERNAME and ")
        assert password not in str(items)
    late = Fault(method="GET", path="/v2/", status=200, headers={"Date": "Wed, 01 Jan 2020 00:00:00 GMT"})
    with proxied(private.host, late) as proxy:
        item = found(inv, PRIVATE_REGISTRY=f"{proxy.host}/p")["private registry"]
        assert item["level"] == "warning"
        assert "this machine's clock is" in item["detail"]
        assert f"ahead of {proxy.host}'s" in item["detail"]


def test_what_cannot_be_understood_is_bad_with_its_place(machine: Settings, project: Path, inv: Inv) -> None:
    needs(project, "one", "Not An Image")
    items = found(inv, code=1)
    assert items["services"]["level"] == "bad"
    assert "src/one/Dockerfile:1" in items["services"]["detail"]


def test_for_people_each_line_says_how_it_is_and_what_to_do(machine: Settings, project: Path, inv: Inv) -> None:
    done = inv("doctor")
    assert done.returncode == 0, done.stderr
    assert "warning  .env: no such file; the defaults apply\n         next: ./inv init\n" in done.stdout
    assert "\x1b" not in done.stdout
