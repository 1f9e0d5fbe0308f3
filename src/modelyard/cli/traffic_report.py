"""How a model answers, for people and for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from modelyard.cli.output import as_dict, print_json, print_table
from modelyard.client.names import ModelName
from modelyard.wire.messages import Deployment


def tell(model: ModelName, deployment: Deployment, *, as_json: bool, taken_s: float | None = None) -> None:
    """Where the requests of a model go."""
    if as_json:
        print_json(as_dict(deployment) | ({} if taken_s is None else {"taken_s": round(taken_s, 3)}))
        return
    ours: Mapping[str, Any] = as_dict(deployment)["metadata"]["modelyard"]  # type: ignore[index]
    took = "" if taken_s is None else f" ({taken_s:.2f} s)"
    click.echo(f"{model} answers with {describe_shares(ours.get('traffic', ()))}{took}")
    for rule in ours.get("rules", ()):
        click.echo(f"  {rule['header']}: {rule['value']} goes to version {rule['version']:g}")


def describe_shares(shares: Sequence[Mapping[str, Any]]) -> str:
    """`version 2`, or `version 1 (90%) and version 2 (10%)`."""
    if len(shares) == 1:
        return f"version {shares[0]['version']:g}"
    total = sum(one["weight"] for one in shares) or 1
    return " and ".join(f"version {one['version']:g} ({100 * one['weight'] / total:.4g}%)" for one in shares)


def tell_replicas(model: ModelName, deployment: Deployment, *, as_json: bool) -> None:
    """How many replicas a model may have, and has."""
    if as_json:
        print_json(as_dict(deployment))
        return
    scale, metrics = deployment.autoscale_config, deployment.deployment_metrics
    idle = f"{scale.scale_to_zero_delay_seconds} s" if scale.min_replicas == 0 else "never"
    row = (
        str(model),
        str(scale.min_replicas),
        str(scale.max_replicas),
        idle,
        f"{metrics.live_replicas}/{metrics.desired_replicas}",
    )
    print_table(("MODEL", "MIN", "MAX", "STOPS AFTER", "REPLICAS"), [row])
