"""Charts: rendered by helm where there is one, and by their values where there is none."""

import os
import shutil
from pathlib import Path

import pytest

from build_lib.image_files import charts
from tests.image_files.repositories import images, look, places, told

CHART = {
    "chart/Chart.yaml": "apiVersion: v2\nname: demo\nversion: 0.1.0\nappVersion: '1.27'\n",
    "chart/values.yaml": """\
        image: {repository: nginx, tag: ""}
        cache:
          enabled: false
          image: {repository: redis, tag: '7'}
        """,
    "chart/values-prod.yaml": "cache:\n  enabled: true\n  image: {tag: '8'}\n",
    "chart/values.schema.json": '{"properties": {"image": {"type": "object"}}}',
    "chart/templates/_helpers.tpl": "{{- define `x` }}{{ end }}\n",
    "chart/templates/NOTES.txt": "installed\n",
    "chart/templates/web.yaml": """\
        apiVersion: apps/v1
        kind: Deployment
        metadata: {name: {{ .Release.Name }}}
        spec:
          template:
            spec:
              containers:
              - name: web
                image: "{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}"
        """,
    "chart/templates/cache.yaml": """\
        {{- if .Values.cache.enabled }}
        apiVersion: v1
        kind: Pod
        metadata: {name: cache}
        spec:
          containers: [{name: cache, image: "{{ .Values.cache.image.repository }}:{{ .Values.cache.image.tag }}"}]
        {{- end }}
        """,
}
NOT_RENDERED = "the templates of this chart were not rendered, only its values were read"
WITHOUT_HELM = [f"remark chart/Chart.yaml:0 {NOT_RENDERED}: there is no helm on the PATH"]


@pytest.mark.parametrize("pattern", ["chart", "chart/", "*", "chart/Chart.yaml", "**/Chart.yaml", "chart/templates/*"])
def test_without_helm_the_values_are_read_and_one_remark_says_so(tmp_path: Path, pattern: str) -> None:
    found = look(tmp_path, pattern, CHART)
    assert places(tmp_path, found) == ["chart/values.yaml:1 nginx:1.27", "chart/values.yaml:4 redis:7"]
    assert told(tmp_path, found) == WITHOUT_HELM


def test_everything_in_a_chart_is_part_of_it(tmp_path: Path) -> None:
    found = look(tmp_path, "chart/**", CHART)
    assert told(tmp_path, found) == WITHOUT_HELM


def test_values_of_charts_in_a_chart_are_read_too(tmp_path: Path) -> None:
    inner = {
        "chart/charts/db/Chart.yaml": "name: db\nappVersion: 15\n",
        "chart/charts/db/values.yaml": "image: {repository: postgres}\n",
    }
    (tmp_path / "chart/charts").mkdir(parents=True)
    (tmp_path / "chart/charts/packed-1.0.0.tgz").write_bytes(b"\x1f\x8b")
    found = look(tmp_path, "chart", {**CHART, **inner})
    assert "chart/charts/db/values.yaml:1 postgres:15" in places(tmp_path, found)
    assert told(tmp_path, look(tmp_path, "chart,chart/charts/*.tgz")) == WITHOUT_HELM


def test_values_of_no_chart_are_read_for_themselves(tmp_path: Path) -> None:
    assert images(tmp_path, "*/values*.yaml", {"x/values-a.yaml": "image: {repository: redis}\n"}) == [
        "x/values-a.yaml:1 redis:latest"
    ]


def test_what_is_wrong_in_a_chart_is_an_error(tmp_path: Path) -> None:
    broken = {"chart/Chart.yaml": "name: [\n", "chart/values.yaml": "a: 1\nimage: {\n"}
    errors = [line for line in told(tmp_path, look(tmp_path, "chart", {**CHART, **broken})) if line.startswith("error")]
    assert [line.partition(" this is")[0] for line in errors] == [
        "error chart/Chart.yaml:2",
        "error chart/values.yaml:3",
    ]


@pytest.mark.skipif(not shutil.which("helm"), reason="needs helm")
def test_helm_renders_what_the_values_enable(tmp_path: Path) -> None:
    path = os.environ["PATH"]
    assert images(tmp_path, "chart", CHART, PATH=path) == [
        "chart/templates/web.yaml:0 nginx:1.27",
        "chart/values.yaml:1 nginx:1.27",
    ]
    assert images(tmp_path, "chart/values-prod.yaml", PATH=path) == [
        "chart/templates/cache.yaml:0 redis:8",
        "chart/templates/web.yaml:0 nginx:1.27",
        "chart/values.yaml:1 nginx:1.27",
    ]
    (tmp_path / "chart/templates/broken.yaml").write_text("{{ .Values.missing.deeply.so }}\n")
    found = look(tmp_path, "chart", PATH=path)
    assert places(tmp_path, found) == ["chart/values.yaml:1 nginx:1.27", "chart/values.yaml:4 redis:7"]
    [remark] = told(tmp_path, found)
    assert remark.startswith(f"remark chart/Chart.yaml:0 {NOT_RENDERED}: helm template failed: ")
    assert "broken.yaml" in remark


def stand_in(tmp_path: Path, script: str) -> str:
    """A PATH with a program in helm's place, for machines without one, and for what the real one does not do."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/helm").write_text(f"#!/bin/sh\n{script}\n")
    (tmp_path / "bin/helm").chmod(0o755)
    return f"{tmp_path / 'bin'}:{os.environ['PATH']}"


def test_the_manifests_that_are_printed_have_the_places_of_their_templates(tmp_path: Path) -> None:
    script = f"""\
        echo "$@" >{tmp_path}/arguments
        cat <<'END'
        ---
        # Source: demo/templates/web.yaml
        spec: {{containers: [{{image: nginx:1.27}}]}}
        ---
        # Source: demo/templates/web.yaml
        data: {{text: "---"}}
        ---
        # Source: demo/charts/packed/templates/x.yaml
        spec:
          containers:
          - image: other:1
          - image: NOT AN IMAGE
        ---
        # Source: ../../../../etc/passwd
        image: evil:1
        END""".replace("        ", "")
    path = stand_in(tmp_path, script)
    found = look(tmp_path, "chart/values-prod.yaml", CHART, PATH=path)
    assert places(tmp_path, found) == [
        "chart/Chart.yaml:0 other:1",
        "chart/Chart.yaml:0 evil:1",
        "chart/templates/web.yaml:0 nginx:1.27",
        "chart/values.yaml:1 nginx:1.27",
    ]
    assert told(tmp_path, found) == ["remark chart/Chart.yaml:0 'NOT AN IMAGE' is not an image name"]
    chart = tmp_path / "chart"
    assert (tmp_path / "arguments").read_text() == f"template {chart} --values {chart}/values-prod.yaml\n"


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'Error: missing in charts/ directory: redis' >&2; echo 'Use --debug' >&2; exit 1", "missing in charts/"),
        ("echo what >&2; exit 1", "what"),
        ("exit 1", "without a message"),
    ],
)
def test_a_chart_that_helm_cannot_render_is_read_by_its_values(tmp_path: Path, script: str, reason: str) -> None:
    found = look(tmp_path, "chart", CHART, PATH=stand_in(tmp_path, script))
    assert places(tmp_path, found) == ["chart/values.yaml:1 nginx:1.27", "chart/values.yaml:4 redis:7"]
    [remark] = told(tmp_path, found)
    assert remark.startswith(f"remark chart/Chart.yaml:0 {NOT_RENDERED}: helm template failed: {reason}")


def test_a_chart_that_renders_without_end_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charts, "_PATIENCE_SECONDS", 0.2)
    found = look(tmp_path, "chart", CHART, PATH=stand_in(tmp_path, "exec sleep 600"))
    assert told(tmp_path, found) == [f"remark chart/Chart.yaml:0 {NOT_RENDERED}: helm template took more than 0.2 s"]


def test_a_chart_that_renders_too_much_is_stopped(tmp_path: Path) -> None:
    found = look(tmp_path, "chart", CHART, PATH=stand_in(tmp_path, "exec yes"))
    [remark] = told(tmp_path, found)
    assert remark.endswith("helm template printed more than 16777216 bytes")
