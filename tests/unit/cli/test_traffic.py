"""Commands that say how a model answers: what they ask of the server, and what they print."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modelyard.errors import InvalidRequest, ModelNotDeployed
from modelyard.wire.messages import (
    Deployment,
    ModelVersion,
    MultiDeploymentResponse,
    MultiModelVersionResponse,
    SingleDeploymentResponse,
    SingleModelResponse,
    StatusCode,
)
from modelyard.wire.status import success


def deployment(*, is_moving: bool = False, message: str = "", **weights: int) -> Deployment:
    made = Deployment(id="main~digits", autoscale_config={"min_replicas": 1, "max_replicas": 2})
    made.deployment_metrics.rollout_in_progress = is_moving
    made.deployment_metrics.live_replicas = made.deployment_metrics.desired_replicas = 1
    traffic = [{"version": int(name[1:]), "weight": weight} for name, weight in weights.items()]
    made.metadata.update({"modelyard": {"traffic": traffic, "rules": [], "message": message}})
    return made


@pytest.fixture
def server(answers: Any) -> Any:
    """One that takes two looks to move the traffic."""
    looks = iter([deployment(v2=100, is_moving=True), *[deployment(v1=90, v2=10)] * 9])
    answers.by_name |= {
        "GetModel": lambda _: SingleModelResponse(status=success(), model={"id": "digits", "app_id": "main"}),
        "GetDeployment": lambda _: SingleDeploymentResponse(status=success(), deployment=next(looks)),
        "PatchDeployments": lambda _: MultiDeploymentResponse(status=success(), deployments=[deployment(v2=100)]),
    }
    return answers


def patch_of(server: Any) -> Deployment:
    return server.asked_of("PatchDeployments")[-1].deployments[0]


def test_traffic_is_asked_for_and_waited_for(server: Any, run: Any) -> None:
    done = run("traffic", "digits", "v1=90", "2=10")
    assert done.stdout.startswith("digits answers with version 1 (90%) and version 2 (10%) (")
    patch = patch_of(server)
    assert patch.id == "main~digits"
    shares = [(one["version"], one["weight"]) for one in patch.metadata["modelyard"]["traffic"]]
    assert shares == [("v1", 90), ("2", 10)]
    assert len(server.asked_of("GetDeployment")) == 2


def test_traffic_without_shares_tells_how_it_is(server: Any, run: Any) -> None:
    assert run("traffic", "main/digits").stdout == "main/digits answers with version 2\n"
    assert server.asked_of("PatchDeployments") == []
    assert server.asked_of("GetModel") == [], "the app is known"


def test_header_rules_replace_those_there_were(server: Any, run: Any) -> None:
    assert run("traffic", "digits", "--header", "x-group=a=b:c:v2").exit_code == 0
    (rule,) = patch_of(server).metadata["modelyard"]["rules"]
    assert (rule["header"], rule["value"], rule["version"]) == ("x-group", "a=b:c", "v2")
    assert run("traffic", "digits", "--no-headers").exit_code == 0
    assert list(patch_of(server).metadata["modelyard"]["rules"]) == []


@pytest.mark.parametrize(
    "words", [["v1"], ["v1=x"], ["=1"], ["v1=1", "v1=2"], ["--header", "x-group"], ["--header", "x-group=beta"]]
)
def test_what_is_no_share_and_no_rule_is_told_before_anything_is_sent(server: Any, run: Any, words: list[str]) -> None:
    assert isinstance(run("traffic", "digits", *words).exception, InvalidRequest)
    assert server.asked == []


def test_promote_and_rollback_want_one_version(server: Any, run: Any) -> None:
    document = json.loads(run("promote", "digits", "3", "--json").stdout)
    assert document["taken_s"] >= 0
    assert [one["version"] for one in patch_of(server).metadata["modelyard"]["traffic"]] == ["3"]
    run("rollback", "digits")
    assert [one["version"] for one in patch_of(server).metadata["modelyard"]["traffic"]] == ["previous"]
    run("rollback", "digits", "v1")
    assert [one["version"] for one in patch_of(server).metadata["modelyard"]["traffic"]] == ["v1"]


def test_traffic_that_stays_where_it_was_is_an_error_that_says_why(server: Any, run: Any) -> None:
    failed = deployment(v2=100, message="version 1 cannot be started: load_model raised")
    server.by_name["GetDeployment"] = lambda _: SingleDeploymentResponse(status=success(), deployment=failed)
    done = run("promote", "digits", "1")
    assert isinstance(done.exception, ModelNotDeployed)
    assert "version 1 cannot be started: load_model raised" in str(done.exception)


def test_scale_changes_what_is_said_and_leaves_the_rest(server: Any, run: Any) -> None:
    _, row = run("scale", "digits", "--min", "3").stdout.splitlines()
    assert row.split()[0] == "digits"
    scale = patch_of(server).autoscale_config
    assert (scale.min_replicas, scale.max_replicas) == (3, 3)
    run("scale", "digits", "--min", "0", "--idle", "60")
    scale = patch_of(server).autoscale_config
    assert (scale.min_replicas, scale.max_replicas, scale.scale_to_zero_delay_seconds) == (0, 2, 60)


def test_scale_without_options_tells_how_it_is(server: Any, run: Any) -> None:
    header, row = run("scale", "digits").stdout.splitlines()
    assert header.split() == ["MODEL", "MIN", "MAX", "STOPS", "AFTER", "REPLICAS"]
    assert row.split() == ["digits", "1", "2", "never", "1/1"]
    assert server.asked_of("PatchDeployments") == []


def test_what_the_server_says_of_a_version_stands_in_the_table(answers: Any, run: Any) -> None:
    version = ModelVersion(id="new", status={"code": StatusCode.MODEL_TRAINED}, description="faster\nand smaller")
    told = {"number": 7, "digest": "d" * 64, "traffic": 12.5, "replicas": 1, "desired_replicas": 2}
    version.metadata.update({"modelyard": told, "git_registry": {"commit": "c" * 40, "is_clean": False}})
    answers.by_name["ListModelVersions"] = lambda _: MultiModelVersionResponse(
        status=success(), model_versions=[version]
    )
    row = run("versions", "digits").stdout.splitlines()[1].split()
    assert row[:2] == ["7", "new"]
    assert row[4:] == ["12.5%", "1/2", "d" * 12, "c" * 11 + "+", "MODEL_TRAINED", "faster", "and", "smaller"]
