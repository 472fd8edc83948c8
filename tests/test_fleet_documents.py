"""The manifests and pipelines of docs/fleet: by the schemas of their readers, and against each other."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from dotenv import dotenv_values

from tests.support.commands import ROOT

FLEET = ROOT / "docs/fleet"
MANIFESTS = {item["kind"]: item for item in yaml.safe_load_all((FLEET / "buildkitd.yaml").read_text())}
OLDEST = "1.30"  # the first Kubernetes whose securityContext has appArmorProfile
PIPELINES = {"gitlab-ci.yml": "vendor.gitlab-ci", "github-actions.yml": "vendor.github-workflows"}
OF_THE_CI = {"BUILDERS_CA_PEM", "BUILDERS_CERT_PEM", "BUILDERS_KEY_PEM", "RUNNER_TEMP"}


def pod() -> Any:
    return MANIFESTS["StatefulSet"]["spec"]["template"]["spec"]


def daemon() -> Any:
    [container] = pod()["containers"]
    return container


def flags() -> list[tuple[str, str]]:
    """The flags of the daemon with their values."""
    pairs = (flag.removeprefix("--").partition("=") for flag in daemon()["args"])
    return [(name, value) for name, _, value in pairs]


def configuration() -> dict[str, Any]:
    return tomllib.loads(MANIFESTS["ConfigMap"]["data"]["buildkitd.toml"])


@pytest.mark.parametrize("version", [OLDEST, kubernetes_validate.latest_version()])
@pytest.mark.parametrize("kind", MANIFESTS)
def test_kubernetes_accepts_each_manifest(kind: str, version: str) -> None:
    assert version.startswith(kubernetes_validate.validate(MANIFESTS[kind], version, strict=True))


def accept(manifests: str) -> None:
    for manifest in yaml.safe_load_all(manifests):
        kubernetes_validate.validate(manifest, OLDEST, strict=True)


@pytest.mark.parametrize(
    ("right", "misspelt"),
    [
        ("clusterIP:", "clusterIp:"),
        ("volumeClaimTemplates:", "volumeClaimTemplate:"),
        ("runAsNonRoot:", "runAsNonroot:"),
        ("maxUnavailable:", "maxUnavailble:"),
        ("policyTypes:", "policyType:"),
    ],
)
def test_a_misspelt_field_is_refused(right: str, misspelt: str) -> None:
    text = (FLEET / "buildkitd.yaml").read_text()
    assert right in text
    with pytest.raises(kubernetes_validate.ValidationError, match=misspelt.removesuffix(":")):
        accept(text.replace(right, misspelt))


def test_everything_is_about_the_same_pods() -> None:
    labels = MANIFESTS["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    assert MANIFESTS["Service"]["spec"]["selector"] == labels
    assert MANIFESTS["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    for kind in ("StatefulSet", "PodDisruptionBudget"):
        assert MANIFESTS[kind]["spec"]["selector"]["matchLabels"] == labels


def test_each_pod_has_a_name_of_its_own() -> None:
    assert MANIFESTS["Service"]["spec"]["clusterIP"] == "None"
    assert MANIFESTS["StatefulSet"]["spec"]["serviceName"] == MANIFESTS["Service"]["metadata"]["name"]


def test_the_port_is_the_same_everywhere() -> None:
    [port] = daemon()["ports"]
    [served] = MANIFESTS["Service"]["spec"]["ports"]
    [incoming] = MANIFESTS["NetworkPolicy"]["spec"]["ingress"]
    assert served["targetPort"] == port["name"]
    assert {served["port"], *(allowed["port"] for allowed in incoming["ports"])} == {port["containerPort"]}
    assert ("addr", f"tcp://0.0.0.0:{port['containerPort']}") in flags()


def test_what_is_mounted_is_there() -> None:
    claims = {claim["metadata"]["name"] for claim in MANIFESTS["StatefulSet"]["spec"]["volumeClaimTemplates"]}
    volumes = claims | {volume["name"] for volume in pod()["volumes"]}
    containers = [*pod()["initContainers"], *pod()["containers"]]
    assert {mount["name"] for container in containers for mount in container["volumeMounts"]} == volumes


def test_the_files_that_the_daemon_reads_are_those_that_are_mounted() -> None:
    mounted = {mount["name"]: mount["mountPath"] for mount in daemon()["volumeMounts"]}
    sources = {volume["name"]: volume for volume in pod()["volumes"]}
    [made, authority] = sources["configuration"]["projected"]["sources"]
    assert made["configMap"]["name"] == MANIFESTS["ConfigMap"]["metadata"]["name"]
    assert flags()[0] == ("config", f"{mounted['configuration']}/buildkitd.toml")
    [registry] = configuration()["registry"].values()
    assert registry["ca"] == [f"{mounted['configuration']}/{authority['configMap']['items'][0]['path']}"]
    assert (
        dict(flags()).items()
        >= {
            "tlscacert": f"{mounted['certificates']}/ca.pem",
            "tlscert": f"{mounted['certificates']}/cert.pem",
            "tlskey": f"{mounted['certificates']}/key.pem",
        }.items()
    )


def test_the_cache_is_below_the_volume_in_a_directory_that_is_made_first() -> None:
    [made] = pod()["initContainers"]
    [cache] = made["volumeMounts"]
    state = Path(configuration()["root"])
    assert state.parent == Path(cache["mountPath"]) == Path(made["workingDir"])
    assert cache in daemon()["volumeMounts"]
    assert made["command"][-1].endswith(f" {state.name}")


def test_a_directory_of_the_cache_does_not_inherit_the_group_of_the_volume(tmp_path: Path) -> None:
    tmp_path.chmod(0o2775)  # what fsGroup makes of a volume
    [made] = pod()["initContainers"]
    for _ in range(2):
        subprocess.run(made["command"], check=True, cwd=tmp_path)
        assert (tmp_path / Path(configuration()["root"]).name).stat().st_mode & 0o7777 == 0o700


def test_the_configuration_has_what_the_documents_say() -> None:
    worker = configuration()["worker"]["oci"]
    assert configuration().keys() == {"root", "worker", "registry"}
    assert worker.keys() == {"max-parallelism", "gcpolicy"}
    assert worker["max-parallelism"] == int(daemon()["resources"]["limits"]["cpu"])
    keys = {"all", "filters", "keepDuration", "reservedSpace", "maxUsedSpace", "minFreeSpace"}
    assert {key for policy in worker["gcpolicy"] for key in policy} == keys
    [claim] = MANIFESTS["StatefulSet"]["spec"]["volumeClaimTemplates"]
    volume = int(claim["spec"]["resources"]["requests"]["storage"].removesuffix("Gi"))
    last = worker["gcpolicy"][-1]
    assert sum(int(last[key].removesuffix("GB")) for key in ("maxUsedSpace", "minFreeSpace")) < volume


def misspelt_pipeline(name: str) -> str:
    right, wrong = {"gitlab-ci.yml": ("artifacts:", "artefacts:"), "github-actions.yml": ("runs-on:", "run-on:")}[name]
    text = (FLEET / name).read_text()
    assert right in text
    return text.replace(right, wrong)


def checked(path: Path, schema: str) -> "subprocess.CompletedProcess[str]":
    """By a schema that the package brings."""
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.mark.parametrize(("name", "schema"), PIPELINES.items())
def test_the_ci_accepts_its_pipeline(name: str, schema: str, tmp_path: Path) -> None:
    done = checked(FLEET / name, schema)
    assert done.returncode == 0, done.stdout
    (tmp_path / name).write_text(misspelt_pipeline(name))
    refused = checked(tmp_path / name, schema)
    assert refused.returncode == 1, refused.stdout + refused.stderr


def steps(name: str) -> list[dict[str, Any]]:
    """The parts of a pipeline's job that have an environment or commands."""
    document = yaml.safe_load((FLEET / name).read_text())
    job = document["build"] if name == "gitlab-ci.yml" else document["jobs"]["build"]
    return [job, *job.get("steps", [])]


def environment(name: str) -> dict[str, str]:
    """The variables that a pipeline sets."""
    found: dict[str, str] = {}
    for step in steps(name):
        found |= step.get("variables", {}) | step.get("env", {})
    return found


def commands(name: str) -> list[str]:
    found: list[str] = []
    for step in steps(name):
        found += [*step.get("before_script", []), *step.get("script", []), *step.get("run", "").splitlines()]
    return found


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_sets_settings(name: str) -> None:
    used = {match for command in commands(name) for match in re.findall(r"\$\{?([A-Z_]+)", command)}
    told = set(re.findall(r"\b(?:BUILD|BUILDERS?|CACHE|PRIVATE)_[A-Z_]+\b", (FLEET / name).read_text()))
    unknown = {*environment(name), *used, *told} - {*dotenv_values(ROOT / ".env.example"), *OF_THE_CI}
    assert unknown == set()
    assert "BUILDERS" in environment(name)


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_builds_on_all_pods_and_keeps_its_report(name: str) -> None:
    service, port = MANIFESTS["Service"]["metadata"]["name"], daemon()["ports"][0]["containerPort"]
    pods = [f"{service}-{number}" for number in range(MANIFESTS["StatefulSet"]["spec"]["replicas"])]
    assert environment(name)["BUILDERS"].split() == [f"tcp://{pod}.{service}.build.svc:{port}" for pod in pods]
    assert "./inv build-all --json --junit build.xml >build.json" in commands(name)
    for file in ("build.json", "build.xml", ".build/report.html"):
        assert file in str(kept_after_a_failure(name))


def kept_after_a_failure(name: str) -> list[Any]:
    """What a pipeline keeps, whatever the outcome."""
    if name == "gitlab-ci.yml":
        return [step["artifacts"] for step in steps(name) if step.get("artifacts", {}).get("when") == "always"]
    uploads = [step for step in steps(name) if step.get("uses", "").startswith("actions/upload-artifact@")]
    # else a file in .build is left out
    return [step["with"] for step in uploads if step["if"] == "always()" and step["with"]["include-hidden-files"]]


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_needs_no_engine(name: str) -> None:
    assert not re.search(r"dind|services:|privileged|docker\.sock", (FLEET / name).read_text())
