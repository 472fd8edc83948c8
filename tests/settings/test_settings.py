import re
import subprocess
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from dotenv import dotenv_values

from build_lib.errors import SettingsError
from build_lib.settings import Settings, check_flags, keys, misspelt_in_env_file, set_again
from build_lib.settings.documents import configuration, env_example
from build_lib.settings.values import described

ROOT = Path(__file__).resolve().parents[2]


def test_a_flag_wins_over_the_environment_over_env_file_over_default(tmp_path: Path) -> None:
    assert Settings.load(tmp_path, environ={}).image_tag == "v0.3.6-dev"
    (tmp_path / ".env").write_text("IMAGE_TAG=from-file\n")
    assert Settings.load(tmp_path, environ={}).image_tag == "from-file"
    assert Settings.load(tmp_path, environ={"IMAGE_TAG": "from-env"}).image_tag == "from-env"
    assert (
        Settings.load(tmp_path, environ={"IMAGE_TAG": "from-env"}, flags={"tag": "from-flag"}).image_tag == "from-flag"
    )


@pytest.mark.parametrize(
    ("path", "made"),
    [(".env.example", env_example), ("docs/configuration.md", configuration)],
    ids=("example", "table"),
)
def test_documents_are_those_of_the_settings(path: str, made: Callable[[], str]) -> None:
    assert (ROOT / path).read_text() == made(), "python -m build_lib.settings.documents writes it anew"


def test_the_example_is_a_file_of_settings_with_their_defaults() -> None:
    found = dotenv_values(ROOT / ".env.example")
    assert found.pop("PROJECT_ROOT") == ""
    assert found == {key.name: key.default for key in described().values()}
    script = f"set -a; . {ROOT}/.env.example; env -0"  # users' own scripts read .env this way
    shown = subprocess.run(["sh", "-euc", script], check=True, capture_output=True, text=True, env={}).stdout
    assert found.items() <= dict(line.split("=", 1) for line in shown.split("\0") if line).items()


def test_the_example_can_be_used_as_it_is(tmp_path: Path) -> None:
    without = Settings.load(tmp_path, environ={})
    (tmp_path / ".env").write_text((ROOT / ".env.example").read_text())
    assert Settings.load(tmp_path, environ={}) == without


def test_every_key_is_a_field_of_its_name() -> None:
    declared = {name: key for name, key in vars(keys).items() if isinstance(key, keys.Key)}
    assert declared == {key.name: key for key in described().values()}
    assert [name.upper() for name in described()] == list(declared)


@pytest.mark.parametrize(
    ("key", "text", "allowed"),
    [
        ("JOBS", "many", "a whole number"),
        ("JOBS", "0", "a whole number"),
        ("PULL_JOBS", "", "a whole number"),
        ("IMAGE_TAG", "a b", "letters, digits"),
        ("IMAGE_TAG", "", "letters, digits"),
        ("IMAGE_TAG", "t" * 129, "128"),
        ("IMAGE_PREFIX", "Upper-", "prefix of image names"),
        ("PRIVATE_REGISTRY", "http://harbor.example/x", "host[:port]/project"),
        ("EXTRA_IMAGES", "redis, BAD", "'BAD'"),
        ("APT_MIRROR", "ftp://mirror", "http or https"),
        ("APT_MIRROR", "a mirror", "a host such as mirror.example"),
        ("APT_MIRROR", "http:///debian", "http or https"),
        ("BUILD_WITH", "slurm-master", "pairs of services"),
        ("BUILD_WITH", "slurm-master=", "such as slurm-master=apphub"),
        ("BUILD_WITH", "a=b=c", "pairs of services"),
        ("SLURM_FROM", "tarball", "source or distro"),
        ("SLURM_BASE_IMAGE", "{{x}}", "lower-case"),
    ],
)
def test_a_wrong_value_is_refused_with_key_value_and_what_is_allowed(
    tmp_path: Path, key: str, text: str, allowed: str
) -> None:
    (tmp_path / ".env").write_text(f"{key}='{text}'\n")
    settings = Settings.load(tmp_path, environ={})
    with pytest.raises(SettingsError) as caught:
        getattr(settings, key.lower())
    assert [error.message for error in settings.wrong] == [caught.value.message]
    assert caught.value.message == f"{key} in .env is {text!r}"
    assert allowed in caught.value.hint


def test_a_wrong_flag_is_refused_before_anything_is_read() -> None:
    with pytest.raises(SettingsError, match="--jobs is 'many'"):
        check_flags({"jobs": "many", "service": ["x"]})


def test_a_wrong_flag_is_refused_by_the_library_too(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--jobs is 'many'"):
        Settings.load(tmp_path, {"jobs": "many"}, environ={})
    assert Settings.load(tmp_path, {"jobs": "2"}, environ={"JOBS": "many"}).wrong == ()


@pytest.mark.parametrize("key", ["PRIVATE_REGISTRY", "APT_MIRROR"])
@pytest.mark.parametrize("scheme", ["http://", ""])
def test_a_password_in_a_refused_value_is_not_repeated(tmp_path: Path, key: str, scheme: str) -> None:
    settings = Settings.load(tmp_path, environ={key: f"{scheme}me:geheim@mirror.example/debian"})
    with pytest.raises(SettingsError) as caught:
        getattr(settings, key.lower())
    assert "geheim" not in caught.value.message + caught.value.hint + repr(settings)


@pytest.mark.parametrize(
    ("mirror", "archive"),
    [
        ("", ""),
        ("mirrors.aliyun.com", "http://mirrors.aliyun.com/debian"),
        ("mirror.example:8080/", "http://mirror.example:8080/debian"),
        ("mirror.example/apt/debian/", "http://mirror.example/apt/debian"),
        ("localhost", "http://localhost/debian"),
        ("[::1]:80", "http://[::1]:80/debian"),
        ("https://mirror.example/debian/", "https://mirror.example/debian"),
        ("http://mirror.example", "http://mirror.example"),
    ],
)
def test_a_mirror_is_a_url_or_a_host_and_an_argument_as_it_was_written(
    tmp_path: Path, mirror: str, archive: str
) -> None:
    settings = Settings.load(tmp_path, environ={"APT_MIRROR": mirror})
    assert settings.apt_archive == archive
    assert settings.build_args({"APT_MIRROR"}) == ({"APT_MIRROR": mirror} if mirror else {})


def test_settings_do_not_change(tmp_path: Path) -> None:
    with pytest.raises(FrozenInstanceError):
        Settings.load(tmp_path, environ={}).jobs = 3


def test_settings_don_t_show_the_environment(tmp_path: Path) -> None:
    assert "geheim" not in repr(Settings.load(tmp_path, environ={"REGISTRY_PASSWORD": "geheim"}))


def test_a_registry_may_end_in_a_slash(tmp_path: Path) -> None:
    settings = Settings.load(tmp_path, {"registry": "harbor.example/aihpc/"}, environ={})
    assert str(settings.private_registry) == "harbor.example/aihpc"


def test_lists_are_separated_by_commas_or_white_space(tmp_path: Path) -> None:
    settings = Settings.load(tmp_path, environ={"EXTRA_IMAGES": "redis:7, minio/minio\n quay.io/a/b:1"})
    assert [str(image) for image in settings.extra_images] == ["redis:7", "minio/minio:latest", "quay.io/a/b:1"]


def test_only_what_is_set_becomes_a_build_argument(tmp_path: Path) -> None:
    settings = Settings.load(tmp_path, environ={"SLURM_FROM": "distro", "SLURM_BASE_IMAGE": "ubuntu:22.04"})
    expected = {"SLURM_FROM": "distro", "SLURM_BASE_IMAGE": "ubuntu:22.04"}
    always = {"IMAGE_PREFIX": "ai-infra-", "IMAGE_TAG": "v0.3.6-dev"}
    always |= {"APPHUB_MODE": "copy"}
    names = {key.name for key in described().values()}
    assert settings.build_args(names) == expected | always
    assert settings.build_args({"SLURM_FROM", "OTHER"}) == {"SLURM_FROM": "distro"}


def test_a_signing_key_reaches_no_build(tmp_path: Path) -> None:
    key = tmp_path / "key.asc"
    key.write_text("hush")
    settings = Settings.load(tmp_path, environ={"APT_SIGNING_KEY": str(key)})
    assert settings.secrets == {}
    assert settings.build_args({"APT_SIGNING_KEY"}) == {}
    assert "hush" not in settings.apt_signing_key_digest + repr(settings)
    before = settings.apt_signing_key_digest
    key.write_text("hush, new")
    assert settings.apt_signing_key_digest not in ("", before)


_DEFAULT = "slurm-build:/out=apphub:/usr/share/nginx/html/pkgs/slurm-deb"


@pytest.mark.parametrize(
    ("text", "source", "target"),
    [
        (_DEFAULT, "slurm-build: /out", "apphub: /usr/share/nginx/html/pkgs/slurm-deb"),
        ("a:/out/*.tar.gz=b:/srv/", "a: /out/*.tar.gz", "b: /srv"),
        ("b:/srv/pkgs", "", "b: /srv/pkgs"),
    ],
)
def test_hub_packages_names_where_packages_come_from_and_go_to(
    tmp_path: Path, text: str, source: str, target: str
) -> None:
    [entry] = Settings.load(tmp_path, environ={"HUB_PACKAGES": text}).hub_packages
    assert (f"{entry.source.service}: {entry.source}" if entry.source else "") == source
    assert f"{entry.target.service}: {entry.target}" == target


def test_hub_packages_may_stand_on_several_lines(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f'HUB_PACKAGES="\n  {_DEFAULT}\n  rpms:/out=apphub:/srv\n"\n')
    assert len(Settings.load(tmp_path, environ={}).hub_packages) == 2


@pytest.mark.parametrize(
    "text", ["a", "a:out=b:/x", "a:/out=b", "a:/out=b:/x/*.deb", ":/a", "a:/x/../y", "a:/x=a:/y", "a:/"]
)
def test_hub_packages_of_another_form_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(f"HUB_PACKAGES in the environment is {text!r}")):
        _ = Settings.load(tmp_path, environ={"HUB_PACKAGES": text}).hub_packages


def test_a_key_given_instead_of_its_file_is_not_shown(tmp_path: Path) -> None:
    settings = Settings.load(tmp_path, environ={"APT_SIGNING_KEY": "-----BEGIN PGP PRIVATE KEY BLOCK----- abc"})
    with pytest.raises(SettingsError) as raised:
        _ = settings.apt_signing_key
    assert (raised.value.message, raised.value.hint) == (
        "APT_SIGNING_KEY in the environment is '***'",
        "allowed: a file that exists",
    )


def test_an_unknown_mode_of_apphub_is_refused(tmp_path: Path) -> None:
    settings = Settings.load(tmp_path, environ={"APPHUB_MODE": "merged"})
    with pytest.raises(SettingsError) as raised:
        _ = settings.apphub_mode
    assert raised.value.message == "APPHUB_MODE in the environment is 'merged'"
    assert raised.value.hint == "allowed: copy or unified"


def test_the_environment_of_child_processes_has_the_engine_of_the_env_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DOCKER_HOST=tcp://build-host.example:2376\nOTHER=x\n")
    assert dict(Settings.load(tmp_path, environ={"PATH": "/bin"}).environment) == {
        "DOCKER_HOST": "tcp://build-host.example:2376",
        "PATH": "/bin",
    }


def test_a_project_root_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="PROJECT_ROOT"):
        Settings.load(tmp_path, environ={"PROJECT_ROOT": str(tmp_path / "nowhere")})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("IMAGE_TAG: v1\n", ".env:1: this is not of the form NAME=VALUE"),
        ("A=1\n\n# release\nIMAGE_TAG\n", ".env:4: this is not of the form NAME=VALUE"),
        ("A=1\r\nFOO IMAGE_TAG=v1\r\n", ".env:2: this is not of the form NAME=VALUE"),
        ("=v1\n", ".env:1: this is not of the form NAME=VALUE"),
        ('A="1\n2"\nB="geheim\n', ".env:3: B: the quotes of the value are not closed, or something follows them"),
        ("A='geheim' geheim\n", ".env:1: A: the quotes of the value are not closed, or something follows them"),
    ],
)
def test_a_line_of_the_env_file_that_cannot_be_understood_is_refused_with_its_number(
    text: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_bytes(text.encode())
    with pytest.raises(SettingsError) as caught:
        Settings.load(tmp_path, environ={})
    assert caught.value.message == said
    assert "geheim" not in caught.value.hint


def test_python_dotenv_reads_the_env_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = "\ufeffexport IMAGE_TAG='v1' # release\nEMPTY=\n\nEXTRA_IMAGES=\"redis:${IMAGE_TAG}\"\n"
    (tmp_path / ".env").write_text(text)
    settings = Settings.load(tmp_path, environ={})
    assert (settings.image_tag, [str(image) for image in settings.extra_images]) == ("v1", ["redis:v1"])
    assert caplog.records == []


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("nowhere")], ids=("directory", "link"))
def test_what_is_no_file_in_place_of_the_env_file_is_refused(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / ".env")
    with pytest.raises(SettingsError, match=r"\.env is not a file"):
        Settings.load(tmp_path, environ={})


def test_names_that_are_nearly_those_of_settings_are_told_from_those_of_others(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("IMAGE_TAGG=1\nTAG=1\nPOSTGRES_PASSWORD=x\nPROJECT_ROOT=\nBUILD_ARG_JOBS_=1\n")
    assert misspelt_in_env_file(tmp_path / ".env") == {"IMAGE_TAGG": "did you mean IMAGE_TAG?"}
    assert set_again(tmp_path / ".env") == {}
    (tmp_path / ".env").write_text("JOBS=1\nA=1\n\nJOBS=2\n")
    assert set_again(tmp_path / ".env") == {"JOBS": 4}


@pytest.mark.parametrize("flags", [{"service": ["a", ""]}, {"with_file": " "}, {"registry": ""}])
def test_an_empty_flag_is_refused_by_name(flags: dict[str, object]) -> None:
    [name] = flags
    with pytest.raises(SettingsError, match=f"^--{name.replace('_', '-')} is empty$"):
        check_flags(flags)
    check_flags({"service": [], "file": None, "keep": 0, "json": False})


def test_an_env_file_that_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"IMAGE_TAG=\xff\xfe\n")
    with pytest.raises(SettingsError, match=r"\.env cannot be read"):
        Settings.load(tmp_path, environ={})
