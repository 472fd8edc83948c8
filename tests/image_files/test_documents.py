"""Images in YAML: manifests, values, lists."""

from pathlib import Path

import pytest

from tests.image_files.repositories import images, look, places, told

DIGEST = f"sha256:{'0' * 64}"


def in_file(root: Path, text: str, name: str = "x.yaml", **environment: str) -> list[str]:
    """`LINE IMAGE` of each image in a file with this text, which has no problem."""
    return [place.removeprefix(f"{name}:") for place in images(root, name, {name: text}, **environment)]


def test_all_containers_of_a_pod_and_the_images_that_it_mounts(tmp_path: Path) -> None:
    text = """\
        apiVersion: v1
        kind: Pod
        metadata: {name: image, labels: {app: redis}}
        spec:
          initContainers:
          - image: busybox:1.36
            name: first
          containers:
          - name: web
            image: "nginx:1.27"
            env: [{name: IMAGE, value: other:1}]
          - {name: side, image: quay.io/a/b}
          ephemeralContainers:
          - name: debug
            image: alpine
          volumes:
          - name: data
            image:
              reference: quay.io/data/set:v2
              pullPolicy: IfNotPresent
          - name: none
            emptyDir: {}
        """
    assert in_file(tmp_path, text) == [
        "6 busybox:1.36",
        "10 nginx:1.27",
        "12 quay.io/a/b:latest",
        "15 alpine:latest",
        "19 quay.io/data/set:v2",
    ]


def test_any_kind_in_several_documents_and_in_lists(tmp_path: Path) -> None:
    text = """\
        apiVersion: batch/v1
        kind: CronJob
        spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: a, image: a:1}]}}}}}
        ---
        # nothing here
        ---
        apiVersion: v1
        kind: List
        items:
        - apiVersion: apps/v1
          kind: StatefulSet
          spec:
            template:
              spec:
                containers:
                - image: b:1
        - apiVersion: argoproj.io/v1alpha1
          kind: Rollout
          spec: {template: {spec: {containers: [{image: c:1}]}}}
        ---
        apiVersion: v1
        kind: Service
        spec: {ports: [{port: 80}]}
        ---
        apiVersion: monitoring.coreos.com/v1
        kind: Prometheus
        spec:
          image: quay.io/prometheus/prometheus
          version: v2.55.0
        """
    assert in_file(tmp_path, text) == ["3 a:1", "16 b:1", "19 c:1", "28 quay.io/prometheus/prometheus:v2.55.0"]


def test_the_schema_of_a_custom_resource_names_no_image(tmp_path: Path) -> None:
    text = """\
        apiVersion: apiextensions.k8s.io/v1
        kind: CustomResourceDefinition
        spec:
          properties:
            image: {type: string, description: "an image such as redis:7"}
            sidecarImage:
              properties: {repository: {type: string}, tag: {type: string}}
        """
    found = look(tmp_path, "x.yaml", {"x.yaml": text})
    assert (found.images, told(tmp_path, found)) == (
        (),
        ["remark x.yaml:0 IMAGE_FILES names it, but there is no image in it"],
    )


@pytest.mark.parametrize(
    ("values", "image"),
    [
        ("image: redis:7", "redis:7"),
        ("image: redis", "redis:latest"),
        ("image: {repository: redis, tag: 7}", "redis:7"),
        ("image: {repository: redis, tag: '7.0', pullPolicy: Always}", "redis:7.0"),
        ("image: {registry: quay.io, repository: a/redis, tag: '7'}", "quay.io/a/redis:7"),
        ("image: {registry: harbor.example/hub/, repository: redis, tag: '7'}", "harbor.example/hub/redis:7"),
        ("image: {registry: '', repository: redis, tag: '7', digest: ''}", "redis:7"),
        (f"image: {{repository: redis, tag: '7', digest: '{DIGEST}'}}", f"redis:7@{DIGEST}"),
        (f"image: {{repository: redis, digest: '{DIGEST}'}}", f"redis@{DIGEST}"),
        ("image: {repository: 'redis:7'}", "redis:7"),
        ("image: {name: redis, tag: '7'}", "redis:7"),
        # as in ingress-nginx
        ("image: {registry: r.example, image: a/controller, tag: v1}", "r.example/a/controller:v1"),
        ("image: redis\nimageTag: '7'", "redis:7"),
        ("image: redis\ntag: '7'", "redis:7"),
        ("metrics:\n  sidecarImage: {repository: redis, tag: '7'}", "redis:7"),
        ("metrics:\n  anything: {repository: redis, tag: '7'}", "redis:7"),
        ("initImage: redis:7", "redis:7"),
        ("REDIS_IMAGE: redis:7", "redis:7"),
        ("images: [redis:7]", "redis:7"),
        ("images: {cache: redis:7, pullPolicy: Always, registry: harbor.example/hub}", "redis:7"),
        ("images: {cache: {repository: redis, tag: '7'}}", "redis:7"),
        ("images: [{name: cache, repository: redis, tag: '7'}]", "redis:7"),
        # a kustomization
        ("images: [{name: redis, newTag: '7'}]", "redis:7"),
        ("images: [{name: cache, newName: quay.io/a/redis, newTag: '7'}]", "quay.io/a/redis:7"),
    ],
)
def test_an_image_in_values(tmp_path: Path, values: str, image: str) -> None:
    line = len(values.splitlines()) if values.startswith("metrics") else 1
    for text in (values, f"other: true\n{values}"):
        shifted = line + (text != values)
        assert in_file(tmp_path, text, "values.yaml") == [f"{shifted} {image}"]


@pytest.mark.parametrize(
    "values",
    [
        "image: ''",
        "image: null",
        "image: true",
        "image: {repository: '', tag: v1}",
        "image: {tag: v1}",
        "image: {enabled: true, size: 3}",
        "logoImage: logo.png",
        "images: {pullPolicy: Always, registry: 'harbor.example:5000/hub'}",
        "source: {repository: 'https://git.example/a/b', tag: v1}",
        "dependencies: [{name: redis, version: 1.0.0, repository: 'https://charts.example'}]",
        "replicas: 3\nname: web",
    ],
)
def test_what_is_no_image_in_values(tmp_path: Path, values: str) -> None:
    found = look(tmp_path, "values.yaml", {"values.yaml": values})
    assert (found.images, len(found.problems)) == ((), 1)
    assert found.problems[0].reason == "IMAGE_FILES names it, but there is no image in it"


def test_merge_keys_and_aliases(tmp_path: Path) -> None:
    text = """\
        base: &base
          image: {repository: redis, tag: '7'}
        web:
          <<: *base
          image: {repository: nginx, tag: '1'}
        again: *base
        """
    assert in_file(tmp_path, text, "values.yaml") == ["2 redis:7", "5 nginx:1"]


def test_a_list_of_images_with_their_versions_in_settings(tmp_path: Path) -> None:
    text = """\
        common_images:
          redis:
            image: redis
            version_env: REDIS_VERSION
            default_version: "7-alpine"
          kafka:
            image: confluentinc/cp-kafka
            version_env: KAFKA_VERSION
            default_version: "7.5.0"
          waf:
            image: "{PREFIX}/waf{SUFFIX}"
            version: "15.2"
        """
    filled = {"KAFKA_VERSION": "8.0.0", "PREFIX": "a", "SUFFIX": ""}
    assert in_file(tmp_path, text, **filled) == ["3 redis:7-alpine", "7 confluentinc/cp-kafka:8.0.0", "11 a/waf:15.2"]
    found = look(tmp_path, "x.yaml")
    assert told(tmp_path, found) == [
        "remark x.yaml:11 '{PREFIX}/waf{SUFFIX}:15.2' cannot be filled: write in .env: PREFIX=… SUFFIX=…"
    ]
    assert len(found.images) == 2


def test_a_list_of_names_with_their_versions(tmp_path: Path) -> None:
    text = """\
        # databases
        postgres: "15-alpine"
        node: 22
        kafka: confluentinc/cp-kafka:7.5.0
        """
    assert in_file(tmp_path, text) == ["2 postgres:15-alpine", "3 node:22", "4 confluentinc/cp-kafka:7.5.0"]


@pytest.mark.parametrize("text", ["logLevel: info\nname: web", "name: web\ndebug: true", "name: web\nports: [80]"])
def test_other_files_are_no_lists_of_names_with_versions(tmp_path: Path, text: str) -> None:
    assert look(tmp_path, "x.yaml", {"x.yaml": text}).images == ()


def test_a_list_of_images(tmp_path: Path) -> None:
    assert in_file(tmp_path, "- redis:7\n- quay.io/a/b@" + DIGEST) == ["1 redis:7", f"2 quay.io/a/b@{DIGEST}"]


def test_json_is_yaml(tmp_path: Path) -> None:
    assert in_file(tmp_path, '{"spec": {"containers": [{"image": "a:1"}]}}', "x.json") == ["1 a:1"]


def test_placeholders_in_yaml_are_filled(tmp_path: Path) -> None:
    text = "a:\n  image: '{{ REG }}/x:${TAG:-1}'\nb:\n  image: $REG/y:{{IMAGE_TAG}}\n"
    assert in_file(tmp_path, text, REG="quay.io/a") == ["2 quay.io/a/x:1", "4 quay.io/a/y:v0.3.6-dev"]


def test_what_is_no_image_reference_is_told_with_its_place_and_the_rest_is_taken(tmp_path: Path) -> None:
    text = "a:\n  image: NOT AN IMAGE\nb:\n  image: redis:7\nc:\n  image: '{{ .Values.image }}'\n"
    found = look(tmp_path, "x.yaml", {"x.yaml": text})
    assert places(tmp_path, found) == ["x.yaml:4 redis:7"]
    assert told(tmp_path, found) == [
        "remark x.yaml:2 'NOT AN IMAGE' is not an image name",
        "remark x.yaml:6 '{{ .Values.image }}' is not an image name",
    ]


def test_a_file_that_is_not_valid_yaml_is_an_error(tmp_path: Path) -> None:
    files = {"bad.yaml": "a: 1\nimage: {{IMAGE}}:1\n", "good.yaml": "image: redis:7\n"}
    found = look(tmp_path, "*.yaml", files)
    assert places(tmp_path, found) == ["good.yaml:1 redis:7"]
    [problem] = told(tmp_path, found)
    assert problem.startswith("error bad.yaml:2 this is not valid YAML: ")


def test_a_bomb_of_aliases_is_read_once_and_one_of_merge_keys_is_an_error(tmp_path: Path) -> None:
    aliases = [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 40)]
    files = {"aliases.yaml": "\n".join(["a0: &a0 {image: redis:7}", *aliases])}
    assert images(tmp_path, "aliases.yaml", files) == ["aliases.yaml:1 redis:7"]
    merges = [f"m{level}: &m{level} {{<<: [{', '.join([f'*m{level - 1}'] * 900)}]}}" for level in range(1, 400)]
    found = look(tmp_path, "merges.yaml", {"merges.yaml": "\n".join(["m0: &m0 {image: redis:7}", *merges])})
    assert told(tmp_path, found) == [
        "error merges.yaml:0 the aliases and variables of these files expand to more than 250000 values"
    ]


def test_a_huge_file_is_refused_and_so_is_a_huge_number_of_images(tmp_path: Path) -> None:
    found = look(tmp_path, "huge.yaml", {"huge.yaml": "image: redis:7\n" + "#" * (1 << 22)})
    assert told(tmp_path, found) == ["error huge.yaml:0 the file is larger than 4194304 bytes"]
    found = look(tmp_path, "many.txt", {"many.txt": "redis:7\n" * 10_001})
    assert told(tmp_path, found) == ["error many.txt:10001 the file names more than 10000 images"]
    assert len(found.images) == 10_000
