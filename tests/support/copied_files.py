"""Which files of a context are a reason to build again: Dockerfiles, a file that changes, and what follows.

The column `rebuilt` is held against this program without an engine, and against BuildKit's cache with one.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

BASE = "base-of-the-test:1"  # stands for an image with a shell
FILES = (
    ".git/HEAD", "lib/c.txt", "lib/d.py", "other/e.txt", "src/a.txt", "src/deep/b.txt", "top.md", "top.txt", "x*y.txt"
)  # fmt: skip
LINKS = {
    "absolute": "/src",
    "chain": "link",
    "link": "src",
    "lib/back": "../src/a.txt",
    "other/loop": "loop",
    "out": "../../src",
}

Cache = Literal["same", "hit", "unknown"]


@dataclass(frozen=True, slots=True)
class Row:
    """A Dockerfile below its FROM, a path that is written, and whether that is a reason to build again.

    BuildKit's cache does the same; or has a hit where we take the safe side; or is not asked, because the BuildKit of
    older engines does not know the instruction.
    """

    text: str
    path: str
    rebuilt: bool
    cache: Cache = "same"
    ignored: str = ""  # the content of the ignore file

    @property
    def dockerfile(self) -> str:
        """The whole text."""
        return self.text if "FROM " in self.text else f"FROM {BASE}\n{self.text}"

    def write(self, context: Path, base: str = BASE) -> None:
        """Write the Dockerfile and the files before the change."""
        for name in FILES:
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            (context / name).write_text(f"{name}\n")
        for name, target in LINKS.items():
            (context / name).symlink_to(target)
        (context / "Dockerfile").write_text(f"{self.dockerfile.replace(BASE, base)}\n")
        if self.ignored:
            (context / ".dockerignore").write_text(self.ignored)

    def change(self, context: Path) -> None:
        """Write the path, a new one or with other content."""
        path = context / self.path
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            file.write("changed\n")

    def __str__(self) -> str:
        """The name of the test."""
        return f"{self.text!r}, {self.path}"


_STAGES = f"FROM {BASE} AS one\nCOPY lib /x\nFROM {BASE}\n"
_PARENT = f"FROM {BASE} AS parent\nONBUILD COPY lib /x\n"
_MOUNT = "RUN --mount=type=bind,{}target=/m ls /m >/y"

ROWS = [
    # directories and files
    Row("COPY src /x", "src/a.txt", True),
    Row("COPY src /x", "src/deep/b.txt", True),
    Row("COPY src /x", "src/deep/new/file", True),
    Row("COPY src /x", "lib/c.txt", False),
    Row("COPY src /x", ".git/HEAD", False),
    Row("COPY src /x", "srcs/file", False),
    Row("COPY src /x", "new", False),
    Row("COPY src/a.txt /x/", "src/deep/b.txt", False),
    Row("COPY src lib /x/", "lib/d.py", True),
    Row("COPY src lib /x/", "other/e.txt", False),
    Row("COPY src /x\nCOPY lib /x", "lib/d.py", True),
    Row('COPY ["src/a.txt", "/x/"]', "src/a.txt", True),
    Row('COPY ["src/a.txt", "/x/"]', "src/deep/b.txt", False),
    Row("COPY --chown=1:1 src /x", "other/e.txt", False),
    Row("copy \\\n  src \\\n  # lib\n  /x", "lib/c.txt", False),
    Row("copy \\\n  src \\\n  # lib\n  /x", "src/a.txt", True),
    Row("RUN true", "src/a.txt", False),
    # the whole context
    Row("COPY . /x", ".git/HEAD", True),
    Row("COPY . /x", "new", True),
    Row("ADD . /x", "other/e.txt", True),
    Row("COPY / /x", "other/e.txt", True),
    Row("COPY src/.. /x", "other/e.txt", True),
    Row("COPY src ./ /x/", "other/e.txt", True),
    # other ways to write a path
    Row("COPY /lib /x", "lib/c.txt", True),
    Row("COPY ./src/../lib/ /x", "lib/c.txt", True),
    Row("COPY ./src/../lib/ /x", "src/a.txt", False),
    Row("COPY ../../lib /x", "lib/c.txt", True),
    Row("COPY ../../lib /x", "src/a.txt", False),
    # wildcards
    Row("COPY *.txt /x/", "top.txt", True),
    Row("COPY *.txt /x/", "new.txt", True),
    Row("COPY *.txt /x/", "top.md", False),
    Row("COPY *.txt /x/", "src/a.txt", False),
    Row("COPY top.??? /x/", "top.txt", True),
    Row("COPY top.??? /x/", "top.md", False),
    Row("COPY [r-s]* /x/", "src/deep/b.txt", True),
    Row("COPY [r-s]* /x/", "lib/c.txt", False),
    Row("COPY */*.txt /x/", "src/a.txt", True),
    Row("COPY */*.txt /x/", "src/deep/b.txt", False),
    Row("COPY */*.txt /x/", "lib/d.py", False),
    Row("COPY */deep /x/", "src/deep/b.txt", True),
    Row("COPY */deep /x/", "src/a.txt", False),
    Row("COPY **/*.txt /x/", "src/a.txt", True),
    Row("COPY **/*.txt /x/", "src/deep/b.txt", False),
    Row("COPY .g* /x/", ".git/HEAD", True),
    Row("COPY * /x/", ".git/HEAD", True),
    Row("COPY [^a-r]rc /x/", "src/a.txt", True),
    Row("COPY [^a-r]rc /x/", "lib/c.txt", True, "hit"),  # such a class may match a slash
    # links
    Row("COPY link/a.txt /x/", "src/a.txt", True),
    Row("COPY link/a.txt /x/", "src/deep/b.txt", False),
    Row("COPY link /x", "src/deep/b.txt", True),
    Row("COPY link /x", "lib/c.txt", False),
    Row("COPY chain/deep /x", "src/deep/b.txt", True),
    Row("COPY chain/deep /x", "src/a.txt", False),
    Row("COPY absolute/a.txt /x/", "src/a.txt", True),
    Row("COPY absolute/a.txt /x/", "lib/c.txt", False),
    Row("COPY out/a.txt /x/", "src/a.txt", True),
    Row("COPY out/a.txt /x/", "lib/c.txt", False),
    Row("COPY l*/*.txt /x/", "lib/c.txt", True),
    Row("COPY lib /x", "src/a.txt", False),
    # stages
    Row(f"FROM {BASE} AS unused\nCOPY . /x\nFROM {BASE}\nCOPY src /x", "lib/c.txt", False),
    Row(f"{_STAGES}COPY --from=one /x /x", "lib/c.txt", True),
    Row(f"{_STAGES}COPY --from=one /x /x", "src/a.txt", False),
    Row(f"{_STAGES}COPY --from=0 /x /x", "lib/c.txt", True),
    Row(f"{_STAGES}RUN --mount=from=one,target=/m ls /m >/y", "lib/c.txt", True),
    Row(f"{_STAGES}RUN --mount=from=one,target=/m ls /m >/y", "src/a.txt", False),
    Row(f"{_STAGES}COPY src /x", "lib/c.txt", False),
    Row(f"FROM {BASE} AS one\nCOPY lib /x\nFROM one\nRUN true", "lib/c.txt", True),
    Row(f"{_PARENT}FROM parent", "lib/c.txt", True),
    Row(f"{_PARENT}FROM parent", "src/a.txt", False),
    Row(f"{_PARENT}FROM {BASE}\nCOPY src /x", "lib/c.txt", False),
    # mounts
    Row(_MOUNT.format("source=src,"), "src/deep/b.txt", True),
    Row(_MOUNT.format("source=src,"), "lib/c.txt", False),
    Row(_MOUNT.format("src=/src/deep,"), "src/a.txt", False),
    Row("RUN --mount=source=src/a.txt,target=/m cat /m >/y", "src/a.txt", True),
    Row("RUN --mount=source=src/a.txt,target=/m cat /m >/y", "src/deep/b.txt", False),
    Row(_MOUNT.format("source=link,"), "src/a.txt", True),
    Row(_MOUNT.format("source=link,"), "lib/c.txt", False),
    Row(_MOUNT.format(""), "other/e.txt", True),
    Row("RUN --mount=type=cache,target=/m true", "other/e.txt", False),
    Row("RUN --mount=type=tmpfs,target=/m true", "other/e.txt", False),
    Row("RUN --mount=type=secret,id=a true", "other/e.txt", False),
    # arguments
    Row("ARG DIR=src\nCOPY ${DIR} /x", "src/a.txt", True),
    Row("ARG DIR=src\nCOPY ${DIR} /x", "lib/c.txt", False),
    Row(f"ARG DIR=lib\nFROM {BASE}\nARG DIR\nCOPY $DIR/*.py /x/", "lib/d.py", True),
    Row(f"ARG DIR=lib\nFROM {BASE}\nARG DIR\nCOPY $DIR/*.py /x/", "src/a.txt", False),
    Row("ARG A=sr\nARG DIR=${A}c\nCOPY ${DIR}/${A:+deep} /x/", "src/deep/b.txt", True),
    Row("ARG A=sr\nARG DIR=${A}c\nCOPY ${DIR}/${A:+deep} /x/", "src/a.txt", False),
    Row("ARG DIR=src\nCOPY $DIR /x\nARG DIR=lib", "lib/c.txt", False),
    Row("ARG DIR=lib\nENV DIR=src\nCOPY $DIR /x", "src/a.txt", True),
    Row("ARG DIR=lib\nENV DIR=src\nCOPY $DIR /x", "lib/c.txt", True, "hit"),  # an ENV is not read
    Row("COPY ${DIR:-src} /x", "lib/c.txt", True, "hit"),  # the base image may set DIR
    Row(
        f"FROM {BASE} AS one\nARG DIR=src\nFROM one\nCOPY ${{DIR:-lib}} /x", "src/a.txt", True
    ),  # not so the classic one
    # the ignore file
    Row("COPY src /x", "src/deep/b.txt", False, ignored="src/deep\n"),
    Row("COPY src /x", "src/deep/b.txt", True, ignored="src/*\n!src/deep\n"),
    Row("COPY src /x", "src/a.txt", False, ignored="src/*\n!src/deep\n"),
    Row("COPY src /x", ".dockerignore", False, ignored="lib\n"),
    Row("COPY . /x", ".dockerignore", True, ignored="lib\n"),
    Row("COPY . /x", ".git/HEAD", False, ignored=".git\n"),
    # what the BuildKit of older engines does not know
    Row('COPY ["x\\\\\\\\*y.txt", "/x/"]', "x*y.txt", True, "unknown"),
    Row('COPY ["x\\\\\\\\*y.txt", "/x/"]', "x-y.txt", False, "unknown"),
    Row("COPY <<one <<two /x/\na\none\nb\ntwo", "src/a.txt", False, "unknown"),
    Row("COPY <<one src /x/\na\none", "src/a.txt", True, "unknown"),
    Row("COPY --parents src/deep/*.txt /x/", "src/deep/b.txt", True, "unknown"),
    Row("COPY --parents src/deep/*.txt /x/", "src/a.txt", False, "unknown"),
    Row("COPY --parents ./src/./**/*.txt /x/", "src/deep/b.txt", True, "unknown"),
    Row("COPY --parents ./src/./**/*.txt /x/", "lib/c.txt", False, "unknown"),
    Row("COPY --exclude=deep src /x/", "src/deep/b.txt", True, "unknown"),
    Row("COPY --exclude=deep src /x/", "lib/c.txt", False, "unknown"),
    Row("COPY --link src /x/", "lib/c.txt", False, "unknown"),
    Row("COPY --unheard-of src /x", "lib/c.txt", True, "unknown"),
    Row("RUN --mount=source=${DIR},target=/m true", "lib/c.txt", True, "unknown"),
    Row("ADD https://harbor.example/a.tar /x/", "src/a.txt", False, "unknown"),
    Row("ARG TARGETARCH=src\nCOPY $TARGETARCH /x", "lib/c.txt", True, "unknown"),
    Row("FROM {{IMAGE}}\nCOPY src /x", "lib/c.txt", True, "unknown"),
    Row(f"# syntax=docker/dockerfile:1\nFROM {BASE}\nCOPY src /x", "lib/c.txt", False, "unknown"),
    Row(f"# syntax=harbor.example/own:1\nFROM {BASE}\nCOPY src /x", "lib/c.txt", True, "unknown"),
]
