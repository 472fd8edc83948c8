"""Packages into hubs that know nothing of this program: the plan's own pair, and stranger ones."""

import gzip
import json
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from build_lib.engine import Engine, saved_images
from build_lib.reference import Reference
from build_lib.settings import Settings
from tests.support.commands import run_inv
from tests.support.engines import remove_images, tiny_image
from tests.support.hubs import Hub, deb, docker, in_client, running, signing_key

SERVED = "/usr/share/nginx/html/pkgs/slurm-deb"
ENTRYPOINT = f"""\
#!/bin/sh
cd {SERVED}
if ls *.deb >/dev/null 2>&1; then
    apt-ftparchive packages . > Packages
    gzip -c Packages > Packages.gz
fi
nginx -g 'daemon off;'
"""
PLANS_HUB = f"""\
FROM debian:bookworm-slim
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends nginx-light apt-utils >/dev/null 2>&1
RUN mkdir -p {SERVED} && rm /etc/nginx/sites-enabled/default
COPY nginx.conf /etc/nginx/conf.d/hub.conf
COPY entrypoint.sh /entrypoint.sh
ENV HUB="of the plan"
LABEL kept=yes
EXPOSE 80
ONBUILD RUN false
ENTRYPOINT ["/bin/sh", "/entrypoint.sh"]
"""
NGINX = "server { listen 80; root /usr/share/nginx/html; location /pkgs/ { autoindex on; } }\n"


@dataclass(frozen=True)
class Job:
    """A repository with a slurm-build that has packages in /out, and a hub of its own."""

    project: Path
    prefix: str
    engine: Engine

    def inv(self, *arguments: str, **more: str) -> str:
        done = self.tried(*arguments, **more)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def tried(self, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
        return run_inv(self.project, (*arguments, "-t", "v1"), {"IMAGE_PREFIX": self.prefix, **more})

    def service(self, name: str, *lines: str) -> None:
        """A service whose Dockerfile has these lines after a FROM of the tiny image."""
        directory = self.project / "src" / name
        directory.mkdir(exist_ok=True)
        (directory / "Dockerfile").write_text("\n".join([f"FROM {self.prefix}base:1", *lines, ""]))

    def packages(self, *made: tuple[str, str]) -> None:
        """What slurm-build makes: packages of these names and versions, and nothing else."""
        directory = self.project / "src/slurm-build"
        for path in directory.glob("*.deb"):
            path.unlink()
        for name, version in made:
            deb(self.project / "debs" / secrets.token_hex(4), name, version).rename(
                directory / f"{name}_{version}_all.deb"
            )

    def hub(self, dockerfile: str, **files: str) -> None:
        directory = self.project / "src/apphub"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "Dockerfile").write_text(dockerfile)
        for name, text in files.items():
            (directory / name.replace("__", ".")).write_text(text)

    @property
    def image(self) -> str:
        return f"{self.prefix}apphub:v1"

    def images(self) -> dict[str, str]:
        """The ids of the images of this test, by their names."""
        found = self.engine.images.by_name().items()
        return {name: image.id for name, image in found if name.startswith(f"docker.io/library/{self.prefix}")}

    def config(self, image: str) -> dict[str, Any]:
        """The image's config as the engine keeps it."""
        config: dict[str, Any] = json.loads(saved_images.config(Reference.parse(image), self.engine))
        return config

    def served(self, directory: str = SERVED) -> dict[str, bytes]:
        with self.engine.containers.temporary(self.image, owner="test") as container:
            found = container.files(directory)
            return {member.name.partition("/")[2]: content.read() for member, content in found if content}


@pytest.fixture
def job(engine: Engine, machine: Settings, project: Path) -> Iterator[Job]:
    made = Job(project, f"blt-{secrets.token_hex(4)}-", engine)
    (project / "src/slurm-build").mkdir()
    tiny_image(engine, f"{made.prefix}base:1", machine)
    (project / "src/slurm-build/Dockerfile").write_text(f"FROM {made.prefix}base:1\nCOPY *.deb /out/\n")
    (project / "debs").mkdir()
    yield made
    remove_images(engine, made.prefix)


def _client(hub: Hub, *packages: str, trust: str = "trusted=yes", before: str = "") -> str:
    line = f"deb [{trust}] http://{hub.address}/pkgs/slurm-deb ./"
    return in_client(
        f"{before}echo '{line}' >/etc/apt/sources.list\napt-get -qq -o APT::Update::Error-Mode=any update\n"
        f"apt-get -qq install -y {' '.join(packages)} >/dev/null 2>&1\n"
        f"dpkg-query --show {' '.join(package.partition('=')[0] for package in packages)}\n"
    )


def test_the_plans_pair_serves_a_clean_client_before_and_after_the_hubs_restart(job: Job, debian: str) -> None:
    job.packages(("tool", "1.0"), ("other", "2:1~rc1"))
    job.hub(PLANS_HUB, entrypoint__sh=ENTRYPOINT, nginx__conf=NGINX)
    said = job.inv("build-all")
    assert "  2 packages copied into apphub and read back\n" in said
    before, after = job.config(f"{job.image}-without-slurm"), job.config(job.image)
    assert len(after["rootfs"].pop("diff_ids")) == len(before["rootfs"].pop("diff_ids")) + 1
    assert len(after.pop("history")) == len(before.pop("history")) + 1
    assert after == before
    with running(job.image, hardened=False, ready="/pkgs/", port=80) as hub:
        assert _client(hub, "tool", "other").splitlines() == ["other\t2:1~rc1", "tool\t1.0"]
        docker("restart", hub.name)  # its entrypoint makes an index of its own again
        address = json.loads(docker("inspect", hub.name).stdout)[0]["NetworkSettings"]["IPAddress"]
        again = Hub(hub.name, address, 80)
        again.wait("/pkgs/")
        assert _client(again, "tool", "other").splitlines() == ["other\t2:1~rc1", "tool\t1.0"]
    assert job.inv("copy-slurm") == "nothing to do: 2 packages already present in apphub\n"


def test_a_newer_version_is_offered_and_the_former_one_stays(job: Job, debian: str) -> None:
    job.packages(("tool", "1.0"))
    job.hub(PLANS_HUB, entrypoint__sh=ENTRYPOINT, nginx__conf=NGINX)
    job.inv("build-all")
    first = job.served()
    job.packages(("tool", "1.1"))
    job.inv("build-all")
    then = job.served()
    assert {"old/tool_1.0_all.deb", "tool_1.1_all.deb"} <= set(then)
    assert "tool_1.0_all.deb" not in then
    assert {name for name in first if name.startswith("by-hash/")} < set(then)  # for clients in the middle of an update
    with running(job.image, hardened=False, ready="/pkgs/", port=80) as hub:
        assert _client(hub, "tool") == "tool\t1.1\n"
        assert _client(hub, "tool=1.0") == "tool\t1.0\n"


def test_a_signed_index_is_trusted_by_its_key_alone_and_goes_when_there_is_no_key(
    job: Job, debian: str, machine: Settings
) -> None:
    job.packages(("tool", "1.0"))
    job.hub(PLANS_HUB, entrypoint__sh=ENTRYPOINT, nginx__conf=NGINX)
    key = signing_key(job.project, machine)
    job.inv("build-all", APT_SIGNING_KEY=str(key))
    with running(job.image, hardened=False, ready="/pkgs/", port=80) as hub:
        place = f"http://{hub.address}/pkgs/slurm-deb/apphub.asc"
        get = f"/usr/lib/apt/apt-helper download-file {place} /tmp/key.asc >/dev/null\n"
        assert _client(hub, "tool", trust="signed-by=/tmp/key.asc", before=get) == "tool\t1.0\n"
    for content in job.served().values():
        assert b"PRIVATE KEY" not in content
    job.inv("copy-slurm")
    assert not {"InRelease", "Release.gpg", "apphub.asc"} & set(job.served())


@pytest.mark.parametrize("kind", ["without a shell", "without the directory", "with packages of its own", "by a link"])
def test_a_hub_of_any_kind_keeps_what_it_has(kind: str, job: Job, machine: Settings) -> None:
    job.packages(("tool", "1.0"))
    own = deb(job.project / "debs" / "own", "own", "3")
    lines = {
        "without a shell": f"FROM scratch\nCOPY kept {SERVED}/kept\nUSER 7:8\n",
        "without the directory": f"FROM {job.prefix}base:1\nUSER 7:8\n",
        "with packages of its own": f"FROM scratch\nCOPY --chown=7:8 own_3_all.deb {SERVED}/\n",
        "by a link": f"FROM {job.prefix}base:1\nRUN mkdir -p /srv/pkgs /usr/share/nginx/html "
        "&& ln -s ../../../../srv/pkgs /usr/share/nginx/html/pkgs && chmod 751 /srv\n",
    }
    job.hub(lines[kind], kept="kept\n")
    own.rename(job.project / "src/apphub/own_3_all.deb")
    if kind == "by a link":
        (job.project / "src/apphub/Dockerfile").write_text(lines[kind].replace("RUN mkdir", "RUN /bin/busybox mkdir"))
    job.inv("build-all")
    served = job.served() if kind != "by a link" else {}
    if kind == "without a shell":
        assert served["kept"] == b"kept\n"
    if kind == "with packages of its own":
        assert b"Package: own\n" in served["Packages"]
    if kind != "by a link":
        assert b"Package: tool\n" in served["Packages"]
        assert served["tool_1.0_all.deb"]
    with job.engine.containers.temporary(job.image, owner="test") as container:
        if kind == "by a link":
            link, top = container.entry("/usr/share/nginx/html/pkgs"), container.entry("/srv")
            assert link is not None
            assert link.issym()
            assert top is not None
            assert top.mode & 0o777 == 0o751
            assert container.entry("/srv/pkgs/slurm-deb/tool_1.0_all.deb") is not None
    assert job.inv("copy-slurm").startswith("nothing to do: 1 package")


NOT_A_FILE = ", which is not a regular file; "
TOOL = "/out/tool_1.0_all.deb"
NO_PACKAGES = {  # what slurm-build does in the packages' directory, and what is said
    "damaged": ("echo no package >/out/bad.deb", "error: bad.deb is damaged: "),
    "empty": (": >/out/bad.deb", "error: bad.deb is damaged: "),
    "half a package": (f"/bin/busybox head -c 300 {TOOL} >/out/bad.deb", "error: bad.deb is damaged: "),
    "a link": ("/bin/busybox ln -s tool_1.0_all.deb /out/bad.deb", f"/out/bad.deb{NOT_A_FILE}"),
    "a link out of it": ("/bin/busybox ln -s ../../../etc/shadow /out/bad.deb", f"/out/bad.deb{NOT_A_FILE}"),
    "a link to itself": ("/bin/busybox ln -s bad.deb /out/bad.deb", f"/out/bad.deb{NOT_A_FILE}"),
    "a hard link": (f"/bin/busybox ln {TOOL} /out/zzz.deb", f"/out/zzz.deb{NOT_A_FILE}"),
    "a directory": ("mkdir /out/bad.deb && touch /out/bad.deb/x", f"/out/bad.deb{NOT_A_FILE}"),
    "a pipe": ("/bin/busybox mkfifo /out/bad.deb", f"/out/bad.deb{NOT_A_FILE}"),
    "a device": ("/bin/busybox mknod /out/bad.deb c 1 5", f"/out/bad.deb{NOT_A_FILE}"),
    "the directory a link": (
        "/bin/busybox mv /out /far && /bin/busybox ln -s /far /out",
        " has no .deb or .rpm in /out; ",
    ),
    "the directory a file": ("/bin/busybox rm -r /out && : >/out", " has no .deb or .rpm in /out; "),
}


@pytest.mark.parametrize("attack", NO_PACKAGES)
def test_what_is_no_package_is_refused_by_name_and_the_hub_stays(attack: str, job: Job) -> None:
    line, told = NO_PACKAGES[attack]
    job.packages(("tool", "1.0"))
    job.hub(f"FROM scratch\nCOPY kept {SERVED}/kept\n", kept="kept\n")
    with (job.project / "src/slurm-build/Dockerfile").open("a") as file:
        file.write(f"RUN {line}\n")
    job.inv("build")
    before = job.images()
    done = job.tried("copy-slurm", "--json")
    assert done.returncode == 1
    assert told in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    document = json.loads(done.stdout)
    assert document["result"] == []
    assert f"error: {document['error']['message']}\n" in done.stderr
    after = job.images()
    after.pop(f"docker.io/library/{job.image}-without-slurm", None)
    assert after == before


def test_several_services_give_to_one_hub_packages_and_other_files(job: Job, project: Path) -> None:
    job.packages(("tool", "1.0"))
    job.hub("FROM scratch\nCOPY kept /kept\n", kept="kept\n")
    deb(project / "debs" / "more", "more", "2").rename(job.project / "src/more_2_all.deb")
    job.service("more", "RUN mkdir -p /made && echo 1 >/made/one.tar.gz && echo 2 >/made/two.txt")
    job.service("extra", "COPY more_2_all.deb /debs/")
    (job.project / "src/more_2_all.deb").rename(job.project / "src/extra/more_2_all.deb")
    entries = f"slurm-build:/out=apphub:{SERVED}\nextra:/debs=apphub:{SERVED},more:/made/*.tar.gz=apphub:/srv/files"
    said = job.inv("build-all", HUB_PACKAGES=entries)
    assert "  3 files copied into apphub and read back\n" in said
    assert job.served("/srv/files") == {"one.tar.gz": b"1\n"}
    assert {"tool_1.0_all.deb", "more_2_all.deb"} <= set(job.served())
    assert job.inv("copy-slurm", HUB_PACKAGES=entries) == "nothing to do: 3 files already present in apphub\n"
    [copied] = json.loads(job.inv("copy-slurm", "--json", HUB_PACKAGES=entries))
    assert (copied["hub"], copied["changed"], len(copied["packages"])) == ("apphub", False, 3)
    job.service("more", "RUN mkdir -p /made && echo 3 >/made/one.tar.gz")
    assert job.inv("build-all", HUB_PACKAGES=entries).count("files copied into apphub and read back") == 1
    assert job.served("/srv/files") == {"one.tar.gz": b"3\n"}


def test_two_hubs_each_get_their_own(job: Job) -> None:
    job.packages(("tool", "1.0"))
    job.hub("FROM scratch\nCOPY kept /kept\n", kept="kept\n")
    job.service("mirror")
    entries = f"slurm-build:/out=apphub:{SERVED} slurm-build:/out=mirror:/srv"
    said = job.inv("build-all", HUB_PACKAGES=entries)
    assert "  1 package copied into apphub and read back\n  1 package copied into mirror and read back\n" in said


def test_rpm_packages_get_an_index_and_a_damaged_one_is_refused(job: Job, rpm: Path) -> None:
    job.service("slurm-build", f"COPY {rpm.name} /out/")
    shutil.copy(rpm, job.project / "src/slurm-build")
    job.hub("FROM scratch\nCOPY kept /kept\n", kept="kept\n")
    entries = "slurm-build:/out=apphub:/srv"
    assert "  1 package copied into apphub and read back\n" in job.inv("build-all", HUB_PACKAGES=entries)
    served = job.served("/srv")
    [primary] = [content for name, content in served.items() if name.endswith("-primary.xml.gz")]
    assert b'<location href="own-rpm-2-1.noarch.rpm"/>' in gzip.decompress(primary)
    assert job.inv("copy-slurm", HUB_PACKAGES=entries).startswith("nothing to do: 1 package")
    content = bytearray(rpm.read_bytes())
    content[-40:] = bytes(40)
    (job.project / "src/slurm-build" / rpm.name).write_bytes(content)
    done = job.tried("build-all", HUB_PACKAGES=entries)
    assert done.returncode == 1
    assert f"error: {rpm.name} is damaged: its payload does not match its digest\n" in done.stderr


def test_slurm_as_a_stage_of_the_hub_is_indexed_and_verified(job: Job) -> None:
    shutil.rmtree(job.project / "src/slurm-build")
    deb(job.project / "debs" / "own", "tool", "1.0").rename(job.project / "src/tool.deb")
    job.hub(
        f"FROM {job.prefix}base:1 AS build\nCOPY *.deb /out/\nFROM scratch\nCOPY --from=build /out/*.deb {SERVED}/\n"
    )
    (job.project / "src/tool.deb").rename(job.project / "src/apphub/tool.deb")
    job.inv("build")
    assert "packages not indexed: its index does not match its packages: tool.deb" in job.inv("status")
    said = job.inv("build-all")
    assert "  1 package indexed in apphub and read back\n" in said
    assert b"Filename: ./tool.deb\n" in job.served()["Packages"]
    assert job.inv("copy-slurm") == "nothing to do: 1 package already present in apphub\n"


def test_without_the_services_of_the_default_there_is_nothing_to_do(job: Job) -> None:
    said = job.inv("build-all")
    assert "  not needed: there is no service apphub\n" in said
    assert job.inv("copy-slurm") == "nothing to do: there is no service apphub\n"
    shutil.rmtree(job.project / "src/slurm-build")
    job.service("web")
    assert "  not needed: there are no services slurm-build and apphub\n" in job.inv("build-all")
    job.hub("FROM scratch\nCOPY kept /kept\n", kept="kept\n")
    told = "nothing to do: apphub has no packages, and there is no service slurm-build\n"
    assert f"  {told}" in job.inv("build-all")
    assert job.inv("copy-slurm") == told
    done = job.tried("copy-slurm", HUB_PACKAGES=f"slurm-biuld:/out=apphub:{SERVED}")
    assert done.returncode == 1
    assert done.stderr.startswith("error: HUB_PACKAGES: there is no service 'slurm-biuld'\n")


def test_a_mode_that_the_dockerfile_does_not_know_is_refused_with_what_to_write(job: Job) -> None:
    job.packages(("tool", "1.0"))
    job.hub("FROM scratch\nCOPY kept /kept\n", kept="kept\n")
    for command in ("build-all", "build", "copy-slurm"):
        done = job.tried(command, APPHUB_MODE="unified")
        assert done.returncode == 1
        assert "src/apphub/Dockerfile has no ARG APPHUB_MODE\n" in done.stderr
        assert f"COPY --from=slurm-build /out/*.deb {SERVED}/" in done.stderr
    assert job.tried("build", "-s", "slurm-build", APPHUB_MODE="unified").returncode == 0


def test_packages_that_are_not_newer_are_told(job: Job) -> None:
    job.packages(("tool", "2"), ("same", "1"), ("new", "1"))
    job.hub("FROM scratch\nCOPY kept /kept\n", kept="kept\n")
    job.inv("build-all")
    job.packages(("tool", "1"), ("new", "2"))
    other = deb(job.project / "debs" / "other", "same", "1", content=b"changed")
    other.rename(job.project / "src/slurm-build/same_1_all.deb")
    told = (
        "  3 packages copied into apphub and read back; not newer than before, so clients that have them do not upgrade"
    )
    assert f"{told}: same 1, whose content differs; tool 1, after 2\n" in job.inv("build-all")


@pytest.mark.parametrize(
    ("file", "remark"),
    [
        ("tool_1_all.deb", ""),
        (
            "tool_2_all.deb",
            "; not kept from the last copy: tool_1_all.deb is damaged: it ends in the middle of data.tar.xz",
        ),
    ],
)
def test_a_damaged_package_of_the_last_copy_does_not_hold_up_the_next(job: Job, file: str, remark: str) -> None:
    job.packages(("tool", "1"))
    job.hub("FROM scratch\nCOPY kept /kept\n", kept="kept\n")
    job.inv("build-all")
    whole = job.project / "src/slurm-build/tool_1_all.deb"
    (job.project / "tool_1_all.deb").write_bytes(whole.read_bytes()[:-30])
    (job.project / "Dockerfile.damaged").write_text(f"FROM {job.image}\nCOPY tool_1_all.deb {SERVED}/\n")
    docker(
        "build", "-q", "-f", str(job.project / "Dockerfile.damaged"), "-t", f"{job.image}-with-slurm", str(job.project)
    )
    whole.unlink()
    deb(job.project / "debs" / "next", "tool", "2").rename(whole.with_name(file))
    assert f"  1 package copied into apphub and read back{remark}\n" in job.inv("build-all")
    assert {name for name in job.served() if name.endswith(".deb")} == {file}


def test_a_replaced_index_stays_for_a_day(job: Job) -> None:
    job.packages(("tool", "1"))
    job.service("apphub")
    job.inv("build-all")
    in_use = {name for name in job.served() if name.startswith("by-hash/")}
    hashes, unused = f"{SERVED}/by-hash/SHA256", "0" * 64
    (job.project / "aged").mkdir()
    (job.project / "aged/Dockerfile").write_text(
        f"FROM {job.image}-with-slurm\nRUN touch {hashes}/{unused} && cd {hashes} && touch -d '2020-01-01 00:00' *\n"
    )
    docker("build", "--tag", f"{job.image}-with-slurm", str(job.project / "aged"))
    job.packages(("tool", "2"))
    job.inv("build-all")
    later = {name for name in job.served() if name.startswith("by-hash/")}
    assert in_use < later
    assert f"by-hash/SHA256/{unused}" not in later
