"""Both ways of uploading over a real store and a real depot, as `compose` joins them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from modelyard.parts.depot import Depot
from modelyard.server.records import LogType
from modelyard.server.sealing import Sealer
from modelyard.server.services.arrival_room import ArrivalRoom
from modelyard.server.services.arrivals import Arrivals
from modelyard.server.services.belongings import Belongings
from modelyard.server.services.deltas import Deltas
from modelyard.server.services.upload_rows import UploadRows
from modelyard.server.services.uploads import Uploads
from modelyard.server.settings import UploadSettings
from support.house import House


@dataclass(frozen=True, kw_only=True)
class Intake:
    uploads: Uploads
    deltas: Deltas
    arrivals: Arrivals
    depot: Depot
    folder: Path
    """Empty, whenever nothing is being uploaded."""


def make_intake(
    house: House,
    place: Path,
    settings: UploadSettings,
    write_line: Callable[[str, LogType, str], None],
) -> Intake:
    """Everything below `place`."""
    folder, arriving = place / "uploads", place / "arrivals"
    for one in (folder, arriving):
        one.mkdir(exist_ok=True)
    depot = Depot(place / "depot")
    rows = UploadRows(
        house.store,
        folder,
        concurrent_per_user=settings.concurrent_per_user,
        sealer=Sealer(place),
        write_line=write_line,
        now=house.clock,
    )
    belongings = Belongings(house.store, depot, quota_bytes=settings.quota_bytes)
    arrivals = Arrivals(ArrivalRoom(arriving, settings.arrivals_bytes))
    base = (house.store, house.models, depot)
    return Intake(
        uploads=Uploads(*base, folder, settings=settings, rows=rows, belongings=belongings),
        deltas=Deltas(*base, arrivals, folder, settings=settings, rows=rows, belongings=belongings),
        arrivals=arrivals,
        depot=depot,
        folder=folder,
    )
