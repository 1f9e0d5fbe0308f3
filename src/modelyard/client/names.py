"""How people name a model: `model`, `app/model`, `user/app/model`, each with `@version`, or a model's page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from modelyard.errors import InvalidRequest

DEFAULT_APP = "main"
FORMS = "MODEL, APP/MODEL or USER/APP/MODEL, each with @VERSION where wanted, or the URL of a model's page"


@dataclass(frozen=True, kw_only=True)
class ModelName:
    """A model, and one of its versions where `version` is not empty (an id, or a number such as `3`)."""

    model_id: str
    app_id: str = ""
    """Empty: the user's only model of that id, whatever app it is in."""
    user_id: str = ""
    version: str = ""

    def __str__(self) -> str:
        path = "/".join(part for part in (self.user_id, self.app_id, self.model_id) if part)
        return f"{path}@{self.version}" if self.version else path


def read_name(name: ModelName | str) -> ModelName:
    """A name, however it was given. Raises InvalidRequest that lists the forms."""
    return parse_model_name(name) if isinstance(name, str) else name


def parse_model_name(text: str) -> ModelName:
    """Read a name. Raises InvalidRequest that lists the forms."""
    name = _parse_page(text) if "://" in text else _parse_path(text)
    if name is None or not name.model_id:
        raise InvalidRequest(f"{text!r} does not name a model", hint=f"write {FORMS}")
    return name


def _parse_path(text: str) -> ModelName | None:
    path, _, version = text.partition("@")
    match path.split("/"):
        case [model]:
            return ModelName(model_id=model, version=version)
        case [app, model] if app:
            return ModelName(model_id=model, app_id=app, version=version)
        case [user, app, model] if user and app:
            return ModelName(model_id=model, app_id=app, user_id=user, version=version)
    return None


def _parse_page(url: str) -> ModelName | None:
    """`https://host/user/app/models/model[/versions/version]`."""
    try:
        path = urlsplit(url).path
    except ValueError:
        return None
    match path.strip("/").split("/"):
        case [user, app, "models", model, *rest]:
            name = ModelName(model_id=model, app_id=app, user_id=user)
            return replace(name, version=rest[1]) if rest[:1] == ["versions"] and len(rest) > 1 else name
    return None
