"""Every noun's V2 methods behind the real checks, over a real store, called as a door calls them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from modelyard.server.api.access import Access
from modelyard.server.api.v2.apps import AppsV2
from modelyard.server.api.v2.call import Envelope, Handler, Incoming
from modelyard.server.api.v2.deployments import DeploymentsV2
from modelyard.server.api.v2.dispatch import V2
from modelyard.server.api.v2.logs import LogsV2
from modelyard.server.api.v2.model_types import ModelTypesV2
from modelyard.server.api.v2.models import ModelsV2
from modelyard.server.api.v2.status_codes import StatusCodesV2
from modelyard.server.api.v2.tokens import TokensV2
from modelyard.server.api.v2.users import UsersV2
from modelyard.server.api.v2.versions import VersionsV2
from modelyard.wire.methods import load_methods
from support.house import House, open_house

Ask = Callable[..., Awaitable[Any]]


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path) as opened:
        yield opened


@pytest.fixture
async def ask(house: House) -> Ask:
    """`await ask("GetModel", model_id="m")`: the answer's message. The app is `main` unless `app` says another."""
    handlers: dict[str, Handler] = {}
    for noun in (
        UsersV2(house.users),
        AppsV2(house.apps),
        ModelsV2(house.models, house.versions, house.deployments),
        VersionsV2(house.versions, house.deployments),
        DeploymentsV2(house.deployments, house.versions),
        TokensV2(house.tokens),
        LogsV2(house.logs, house.versions),
        ModelTypesV2(),
        StatusCodesV2(),
    ):
        handlers |= noun.handlers()
    v2 = V2(Access(house.tokens), handlers)
    _, bootstrap = await house.tokens.create_bootstrap("ada")

    async def call(name: str, *, app: str = "main", user: str = "me", token: str = bootstrap, **fields: Any) -> Any:
        if "app_fields" in fields:
            fields["app"] = fields.pop("app_fields")
        request = load_methods()[name].request_type(**fields)
        if "user_app_id" in request.DESCRIPTOR.fields_by_name:
            request.user_app_id.user_id, request.user_app_id.app_id = user, app
        envelope = Envelope(authorization=f"Key {token}", request_id="r1", deadline=None)
        return await v2.unary(name, Incoming(request), envelope)

    return call
