"""`modelyard tokens`: who may call."""

from __future__ import annotations

import click

from modelyard.cli.connect import connect
from modelyard.cli.output import as_dict, json_option, print_json, print_table
from modelyard.client.tokens import Tokens


@click.group("tokens")
def command() -> None:
    """Create, list and revoke access tokens."""


@command.command("create")
@click.argument("description")
@click.option("--scope", "scopes", multiple=True, help="Such as Predict or Models:Get; all where none is given.")
@click.option("--app", "app_ids", multiple=True, help="Bind it to this app; all where none is given.")
@json_option
def create(description: str, scopes: tuple[str, ...], app_ids: tuple[str, ...], *, as_json: bool) -> None:
    """Make a token and print it: it is shown this once."""
    with connect() as transport:
        key = Tokens(transport).create(description, scopes=scopes, app_ids=app_ids)
    if as_json:
        print_json(as_dict(key))
    else:
        click.echo(key.id)


@command.command("list")
@json_option
def list_tokens(*, as_json: bool) -> None:
    """List tokens by their public ids; never what they are."""
    with connect() as transport:
        found = list(Tokens(transport).list())
    if as_json:
        print_json([as_dict(one) for one in found])
        return
    rows = [
        (
            one.id,
            one.description,
            ", ".join(one.scopes),
            one.expires_at.ToDatetime().strftime("%Y-%m-%d") if one.HasField("expires_at") else "never",
        )
        for one in found
    ]
    print_table(("TOKEN", "DESCRIPTION", "SCOPES", "EXPIRES"), rows)


@command.command("revoke")
@click.argument("token")
@json_option
def revoke(token: str, *, as_json: bool) -> None:
    """Revoke a token, by its public id or its text. It is dead within a second."""
    with connect() as transport:
        Tokens(transport).revoke(token)
    if as_json:
        print_json({"revoked": True})
    else:
        click.echo("revoked")
