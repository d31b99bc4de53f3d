"""The Helm chart: rendered with several values, valid for Kubernetes, hardened, and true to our settings and images."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
import pytest
from bake_file import read_bake
from dockerfiles import REPOSITORY
from helm_template import Chart

from embedder.settings import EmbedderSettings
from immich_facesets.runtime.health import HEALTHZ, READYZ
from immich_facesets.runtime.settings import known_names
from service.settings import Settings

FOLDER = REPOSITORY / "docker/helm/immich-facesets"
CHART = Chart(FOLDER)
SCHEMA = json.loads((FOLDER / "values.schema.json").read_text(encoding="utf-8"))
RELEASE = "faces"
OLDEST, NEWEST = "1.25", "1.37"

Tree = dict[str, Any]

FULL: Tree = {
    "image": {"prefix": "registry.example/me/immich-facesets-", "tag": "9", "pullSecrets": [{"name": "pull"}]},
    "usersFile": "users.toml",
    "basePath": "/faces",
    "service": {
        "env": {"FACESETS_MIN_FACES": "6", "FACESETS_EXPORT_PROFILES": 'a "quoted" $text'},
        "photos": [{"claim": "photos.nas", "path": "/photos"}, {"claim": "photos.nas", "path": "/again"}],
        "data": {"existingClaim": "old-data"},
        "exports": {"storageClass": "fast"},
    },
    "embedder": {
        "provider": "cuda",
        "replicas": 2,
        "env": {"FACESETS_EMBEDDER_BATCH": "32"},
        "resources": {"limits": {"nvidia.com/gpu": 1}},
        "models": {"existingClaim": "models"},
        "nodeSelector": {"gpu": "true"},
        "tolerations": [{"key": "gpu", "operator": "Exists"}],
    },
    "ingress": {"enabled": True, "className": "nginx", "tlsSecret": "certificate", "annotations": {"a/b": "c"}},
    "networkPolicy": {"webFrom": [{"namespaceSelector": {}}], "egressPorts": [2283, 5432]},
}
VALUES: Mapping[str, Tree] = {"default": {}, "full": FULL, "without policy": {"networkPolicy": {"enabled": False}}}

every_way = pytest.mark.parametrize("values", VALUES.values(), ids=VALUES.keys())


def pods(values: Tree) -> Iterator[tuple[str, Tree, Tree]]:
    """The component, the pod and the container of each deployment."""
    for (kind, _), tree in CHART.objects(RELEASE, values).items():
        if kind == "Deployment":
            pod = tree["spec"]["template"]
            (container,) = pod["spec"]["containers"]
            assert container["name"] == pod["metadata"]["labels"]["app.kubernetes.io/component"]
            yield container["name"], pod["spec"], container


@every_way
@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_kubernetes_takes_every_object(values: Tree, version: str) -> None:
    kubernetes = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    for tree in CHART.objects(RELEASE, values).values():
        kubernetes.validate(tree, version, strict=True)


def test_a_misspelt_field_is_noticed() -> None:
    kubernetes = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    tree = CHART.objects(RELEASE, {})["Deployment", RELEASE]
    tree["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes.ValidationError, match="readinesProbe"):
        kubernetes.validate(tree, NEWEST, strict=True)


@every_way
def test_the_schema_takes_the_values_and_names_each_of_them(values: Tree) -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(CHART.values, SCHEMA)
    jsonschema.validate({**CHART.values, **values}, SCHEMA)

    def named(given: Tree, schema: Tree) -> None:
        schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        for key, value in given.items():
            assert key in schema["properties"], key
            if isinstance(value, dict) and value:
                inner = schema["properties"][key]
                if "properties" in inner or "$ref" in inner:
                    named(value, inner)

    named(CHART.values, SCHEMA)


@pytest.mark.parametrize(
    "wrong",
    [
        {"existingSecret": ""},
        {"basePath": "/faces/"},
        {"service": {"env": {"FACESETS_MAX_FILE_BYTES": 536870912}}},  # Helm would write it as 5.36870912e+08
        {"service": {"envs": {}}},
        {"securityContext": {"user": 0}},
        {"embedder": {"provider": "rocm"}},
    ],
)
def test_the_schema_refuses_what_would_not_work(wrong: Tree) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**CHART.values, **wrong}, SCHEMA)


def test_every_value_is_used() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (FOLDER / "templates").iterdir())

    def check(values: Tree, path: str) -> None:
        for key, value in values.items():
            if isinstance(value, dict) and value and key != "resources":
                check(value, f"{path}.{key}")
            else:
                assert re.search(rf"{re.escape(path)}\.{key}\b", text), f"{path}.{key}"

    check(CHART.values, ".Values")


@every_way
def test_no_container_has_more_than_it_needs(values: Tree) -> None:
    found = list(pods(values))
    assert [name for name, _, _ in found] == ["embedder", "service"]
    for _, pod, container in found:
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False, "FACESETS_SERVICE_HOST would be an unknown setting"
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]
        mounts = {mount["name"]: mount.get("readOnly", False) for mount in container["volumeMounts"]}
        writable = {name for name, is_closed in mounts.items() if not is_closed}
        assert writable <= {"data", "exports", "tmp"}
        assert set(mounts) == {volume["name"] for volume in pod["volumes"]}
        claims = {volume["name"]: volume["persistentVolumeClaim"] for volume in pod["volumes"]
                  if "persistentVolumeClaim" in volume}  # fmt: skip
        # A claim that is not read-only as a volume would have its group changed: photos keep theirs.
        assert {name for name, claim in claims.items() if not claim.get("readOnly")} <= {"data", "exports"}


@every_way
def test_the_variables_of_a_container_are_settings_and_secrets_come_from_files(values: Tree) -> None:
    for name, pod, container in pods(values):
        known = known_names(Settings if name == "service" else EmbedderSettings) | {"TZ"}
        variables = {entry["name"]: entry["value"] for entry in container["env"]}
        assert len(variables) == len(container["env"]), "each name once"
        assert set(variables) <= known
        assert all(isinstance(value, str) for value in variables.values())
        secrets = {key: value for key, value in variables.items() if re.search("TOKEN|API_KEY|USERS", key)}
        assert all(key.endswith("_FILE") for key in secrets)
        (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "secrets"]
        assert all(value.startswith(f"{mount['mountPath']}/") for value in secrets.values())
        (secret,) = [volume["secret"] for volume in pod["volumes"] if volume["name"] == "secrets"]
        assert secret["secretName"] == "immich-facesets"
    (key,) = secret_keys_of_the_embedder(values)
    assert key == "embedder_token"


def secret_keys_of_the_embedder(values: Tree) -> list[str]:
    ((_, pod, _),) = [found for found in pods(values) if found[0] == "embedder"]
    (secret,) = [volume["secret"] for volume in pod["volumes"] if volume["name"] == "secrets"]
    return [item["key"] for item in secret["items"]]


@every_way
def test_probes_ports_and_addresses_agree_with_the_images(values: Tree) -> None:
    objects = CHART.objects(RELEASE, values)
    for name, _, container in pods(values):
        exposed = re.search(
            r"^EXPOSE (\d+)$", (REPOSITORY / f"docker/{name}.Dockerfile").read_text("utf-8"), re.MULTILINE
        )
        assert exposed is not None
        (port,) = container["ports"]
        assert port["containerPort"] == int(exposed[1])
        probes = {kind: container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
        assert {kind: probe["path"] for kind, probe in probes.items()} == {
            "startup": HEALTHZ, "liveness": HEALTHZ, "readiness": READYZ,
        }  # fmt: skip
        assert {probe["port"] for probe in probes.values()} == {port["name"]}
        service = objects["Service", RELEASE if name == "service" else f"{RELEASE}-{name}"]
        assert [(entry["port"], entry["targetPort"]) for entry in service["spec"]["ports"]] == [
            (port["containerPort"], port["name"])
        ]
        (deployment,) = [tree for (kind, _), tree in objects.items() if kind == "Deployment"
                         and tree["spec"]["selector"]["matchLabels"] == service["spec"]["selector"]]  # fmt: skip
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert service["spec"]["selector"].items() <= labels.items()
    assert objects["Service", RELEASE]["spec"]["publishNotReadyAddresses"] is True
    variables = {entry["name"]: entry["value"] for _, _, container in pods(values) for entry in container["env"]}
    assert variables["FACESETS_EMBEDDER_URLS"] == f"http://{RELEASE}-embedder:8786"


def test_the_images_are_those_of_the_buildx_file() -> None:
    bake = read_bake((REPOSITORY / "docker/docker-bake.hcl").read_text(encoding="utf-8"))
    built = {tag for target in bake["target"].values() for tag in target.get("tags", ())}
    used = {
        container["image"]
        for provider in SCHEMA["properties"]["embedder"]["properties"]["provider"]["enum"]
        for _, _, container in pods({"embedder": {"provider": provider}})
    }
    assert used == built
    assert {container["image"] for _, _, container in pods(FULL)} == {
        "registry.example/me/immich-facesets-service:9", "registry.example/me/immich-facesets-embedder:9-cuda",
    }  # fmt: skip
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{CHART.about["appVersion"]}"' in project
    assert CHART.about["version"] == CHART.about["appVersion"]


def test_the_embedder_reaches_nothing_and_only_the_service_reaches_it() -> None:
    objects = CHART.objects(RELEASE, {})
    policy = objects["NetworkPolicy", f"{RELEASE}-embedder"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert policy["egress"] == []
    (rule,) = policy["ingress"]
    (caller,) = rule["from"]
    service = objects["Deployment", RELEASE]["spec"]["template"]["metadata"]["labels"]
    assert caller["podSelector"]["matchLabels"].items() <= service.items()
    assert caller["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "service"
    assert ("NetworkPolicy", RELEASE) not in CHART.objects(RELEASE, {"networkPolicy": {"enabled": False}})


def test_claims_are_made_only_where_none_is_named_and_the_decisions_outlast_the_release() -> None:
    claims = {
        name: tree for (kind, name), tree in CHART.objects(RELEASE, {}).items() if kind == "PersistentVolumeClaim"
    }
    assert set(claims) == {f"{RELEASE}-data", f"{RELEASE}-exports"}
    assert claims[f"{RELEASE}-data"]["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert {name for kind, name in CHART.objects(RELEASE, FULL) if kind == "PersistentVolumeClaim"} == {"faces-exports"}


def test_each_folder_of_pictures_is_mounted_where_it_is_named() -> None:
    ((_, pod, container),) = [found for found in pods(FULL) if found[0] == "service"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    assert len(volumes) == len(pod["volumes"]), "each name once"
    assert all(re.fullmatch(r"[a-z0-9-]{1,63}", name) for name in volumes), (
        "a claim's name may be longer, and have dots"
    )
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
    assert {mounts[path]["persistentVolumeClaim"]["claimName"] for path in ("/photos", "/again")} == {"photos.nas"}


def test_the_ingress_has_the_path_that_the_service_answers_below() -> None:
    rule = CHART.objects(RELEASE, FULL)["Ingress", RELEASE]["spec"]["rules"][0]
    (path,) = rule["http"]["paths"]
    variables = {entry["name"]: entry["value"] for _, _, container in pods(FULL) for entry in container["env"]}
    assert path["path"] == variables["FACESETS_BASE_PATH"] == "/faces"
    assert path["pathType"] == "Prefix"


@pytest.mark.parametrize("text", ["{{ lookup 1 }}", "{{ if .Values }}", "{{ .Values.nothing }}", "{{ end }}"])
def test_what_the_renderer_does_not_know_is_an_error(text: str, tmp_path: Any) -> None:
    (tmp_path / "templates").mkdir()
    for name in ("Chart.yaml", "values.yaml"):
        (tmp_path / name).write_text((FOLDER / name).read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "templates/x.yaml").write_text(text, encoding="utf-8")
    with pytest.raises((ValueError, KeyError)):
        Chart(tmp_path).render(RELEASE, {})
