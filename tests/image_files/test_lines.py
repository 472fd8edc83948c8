"""Images in lists and in templates."""

from pathlib import Path

import pytest

from tests.image_files.repositories import images, look, places, told


def test_a_list_has_an_image_on_each_line(tmp_path: Path) -> None:
    text = "# for the site\n\nredis:7\n  quay.io/a/b:1  # the tool\r\n\nminio/minio\n#nginx\n"
    assert images(tmp_path, "images.txt", {"images.txt": text}) == [
        "images.txt:3 redis:7",
        "images.txt:4 quay.io/a/b:1",
        "images.txt:6 minio/minio:latest",
    ]


def test_a_line_that_is_no_image_is_told_and_the_rest_is_taken(tmp_path: Path) -> None:
    found = look(tmp_path, "list", {"list": "redis:7\nNot An Image\n{{MISSING}}:1\nnginx\n"})
    assert places(tmp_path, found) == ["list:1 redis:7", "list:4 nginx:latest"]
    assert told(tmp_path, found) == [
        "remark list:2 'Not An Image' is not an image name",
        "remark list:3 '{{MISSING}}:1' cannot be filled: write in .env: MISSING=…",
    ]


def test_a_file_that_is_something_else_gives_no_image(tmp_path: Path) -> None:
    script = "if true; then\n  echo yes\nfi\n" * 20
    found = look(tmp_path, "run.sh", {"run.sh": script})
    assert found.images == ()
    assert told(tmp_path, found) == [
        "remark run.sh:0 this is not a list of images: most of its lines are something else"
    ]


def test_many_remarks_on_a_file_are_cut_short(tmp_path: Path) -> None:
    text = "".join(f"redis:{number}\nNOT {number}\n" for number in range(50)) + "redis:last\n"
    found = look(tmp_path, "list", {"list": text})
    assert len(found.images) == 51
    assert [problem.line for problem in found.problems] == [*range(2, 42, 2), 0]
    assert told(tmp_path, found)[-1] == "remark list:0 further remarks are left out"


def test_a_file_that_cannot_be_read_as_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "list").write_bytes(b"redis:7\n\xff\xfe\n")
    assert told(tmp_path, look(tmp_path, "list")) == ["error list:2 the file is not UTF-8"]


def test_a_template_of_a_list_is_filled_from_env_file_and_settings(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("GITEA_VERSION=1.25.3\nPREFIX=chaitin\nREGION=\nIMAGE_TAG=v9\n")
    text = "# images\ngitea/gitea:{{GITEA_VERSION}}\n{{ PREFIX }}/waf{{REGION}}:${IMAGE_TAG}\n"
    assert images(tmp_path, "*.tpl", {"dependency.conf.tpl": text}) == [
        "dependency.conf.tpl:2 gitea/gitea:1.25.3",
        "dependency.conf.tpl:3 chaitin/waf:v9",
    ]
    assert images(tmp_path, "*.tpl", GITEA_VERSION="2", IMAGE_TAG="v8") == [
        "dependency.conf.tpl:2 gitea/gitea:2",
        "dependency.conf.tpl:3 chaitin/waf:v8",
    ]


@pytest.mark.parametrize("name", ["x.yml.tpl", "x.yaml.j2", "x.json.template", "docker-compose.yml.example"])
def test_a_template_of_yaml_gives_the_images_on_its_lines(tmp_path: Path, name: str) -> None:
    text = """\
        # image: commented:1
        {{#each services}}
        services:
          db:
            image: postgres:15-alpine
          store:
            image: {{STORE_IMAGE}}:{{STORE_VERSION}}  # the store
            environment: {TEXT: "a: {{b}}", image_x: no:1}
          argo:
            image: "quay.io/argoproj/argocd:${ARGOCD_VERSION:-v2.13.3}"
          - image: 'one:1'
          {% if more %}
          "image": "two:2",
          waf:
            image: {{ WAF_PREFIX }}/waf{{WAF_SUFFIX}}:1
          none:
            image: ""
          values:
            image:
              repository: redis
        """
    found = look(tmp_path, name, {name: text}, STORE_IMAGE="chrislusf/seaweedfs", STORE_VERSION="3.80")
    assert [place.removeprefix(f"{name}:") for place in places(tmp_path, found)] == [
        "5 postgres:15-alpine",
        "7 chrislusf/seaweedfs:3.80",
        "10 quay.io/argoproj/argocd:v2.13.3",
        "11 one:1",
        "13 two:2",
    ]
    assert told(tmp_path, found) == [
        f"remark {name}:15 '{{{{ WAF_PREFIX }}}}/waf{{{{WAF_SUFFIX}}}}:1' cannot be filled: "
        "write in .env: WAF_PREFIX=… WAF_SUFFIX=…",
        f"remark {name}:19 the name of the image is not on this line: name the file that is made from the template",
    ]


def test_a_value_that_makes_no_image_is_shown_with_what_was_written(tmp_path: Path) -> None:
    found = look(tmp_path, "x.yml.tpl", {"x.yml.tpl": "image: {{IMAGE}}:{{TAG}}\n"}, IMAGE="", TAG="3")
    assert told(tmp_path, found) == [
        "remark x.yml.tpl:1 ':3', written '{{IMAGE}}:{{TAG}}', is not an image name",
    ]


def test_a_password_fills_nothing(tmp_path: Path) -> None:
    found = look(tmp_path, "x", {"x": "a/{{PRIVATE_REGISTRY_PASSWORD}}:1\n"}, PRIVATE_REGISTRY_PASSWORD="geheim")
    assert told(tmp_path, found) == [
        "remark x:1 'a/{{PRIVATE_REGISTRY_PASSWORD}}:1' cannot be filled: write in .env: PRIVATE_REGISTRY_PASSWORD=…"
    ]
