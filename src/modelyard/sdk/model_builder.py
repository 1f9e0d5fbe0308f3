"""`ModelBuilder`, as published folders use it inside `load_model`: the config, and where the checkpoints are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

STAGES = ("upload", "build", "runtime")


class ModelBuilder:
    """Reads a model folder for the model in it.

        builder = ModelBuilder(Path(__file__).parents[1], download_validation_only=True)
        model = AutoModel.from_pretrained(builder.download_checkpoints(stage="runtime"))

    The platform has put the checkpoints in place before the worker starts, whatever `when` says, so nothing is
    downloaded here and no token is needed.

    Args:
        folder: The model folder, with config.yaml in it.
        validate_api_ids: Accepted, and without effect here: nothing is asked of the API.
        download_validation_only: As above.
        app_not_found_action: As above.

    Raises:
        FileNotFoundError: The folder has no config.yaml.
    """

    def __init__(
        self,
        folder: str | Path,
        validate_api_ids: bool = True,  # noqa: FBT002 - the published signature
        download_validation_only: bool = False,  # noqa: FBT002 - as above
        app_not_found_action: str = "error",
    ) -> None:
        del validate_api_ids, download_validation_only, app_not_found_action
        self.folder = str(Path(folder).resolve())
        path = Path(self.folder) / "config.yaml"
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist; give ModelBuilder the folder that holds config.yaml")
        self.config: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) or {}

    @property
    def checkpoint_path(self) -> str:
        """The folder of the checkpoints: `1/checkpoints`."""
        return str(Path(self.folder) / "1" / "checkpoints")

    def download_checkpoints(self, stage: str = "runtime", checkpoint_path_override: str | None = None) -> str:
        """The folder in which the checkpoints are.

        Args:
            stage: Who asks: `upload`, `build` or `runtime`; here it makes no difference.
            checkpoint_path_override: Where published servers would put them. They are in place already, and stay.

        Raises:
            ValueError: There is no such stage.
            FileNotFoundError: Nothing is there: config.yaml has no `checkpoints` section, or it was added later.
        """
        del checkpoint_path_override
        if stage not in STAGES:
            raise ValueError(f"stage is {stage!r}; it has to be one of {', '.join(STAGES)}")
        if not Path(self.checkpoint_path).is_dir():
            missing = (
                "has no checkpoints section" if "checkpoints" not in self.config else "was changed since the start"
            )
            raise FileNotFoundError(f"1/checkpoints does not exist: config.yaml {missing}")
        return self.checkpoint_path
