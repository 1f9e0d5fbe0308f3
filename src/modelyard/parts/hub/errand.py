"""One order, from the question which commit it is to the last file in the depot."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from huggingface_hub import HfApi

from modelyard.parts.depot import Depot
from modelyard.parts.files import FileEntry
from modelyard.parts.hub.choice import (
    MAX_FILES,
    Choice,
    HubFile,
    choose,
    explain_bad_names,
    join_paths,
    list_pickles,
)
from modelyard.parts.hub.failures import DISK_HINT, HubProblem, Place, explain
from modelyard.parts.hub.listing import CLIENT_NAME, Listing, check_gate, list_revision, read_version
from modelyard.parts.hub.messages import Advanced, Event, Failed, Fetched, Order, Said
from modelyard.parts.hub.shelf import Shelf
from modelyard.parts.hub.sizes import show_files, show_size
from modelyard.parts.hub.transfer import Meter, Transfers

Tell = Callable[[Event], None]


def run_errand(order: Order, endpoint: str, tell: Tell) -> Fetched | Failed:
    """Carry out an order; every way in which it can fail is an answer, too."""
    place = Place(repo_id=order.repo_id, revision=order.revision, endpoint=endpoint, has_token=bool(order.token))
    try:
        return _Errand(order, place, tell).run()
    except (HubProblem, OSError) as error:
        return explain(error, place)


@dataclass(frozen=True, kw_only=True)
class _Stock:
    """Which of the wanted files are here; each content counts once, under its hash."""

    unique: dict[str, HubFile]
    here: dict[str, FileEntry]
    begun_bytes: int
    """Of those that are not here, what came before."""

    @property
    def missing(self) -> list[HubFile]:
        return [file for key, file in self.unique.items() if key not in self.here]

    @property
    def missing_bytes(self) -> int:
        return sum(file.size_bytes for file in self.missing) - self.begun_bytes

    @property
    def total_bytes(self) -> int:
        return sum(file.size_bytes for file in self.unique.values())


class _Errand:
    def __init__(self, order: Order, place: Place, tell: Tell) -> None:
        self._order = order
        self._place = place
        self._tell = tell
        self._shelf = Shelf(Depot(Path(order.depot)), Path(order.work))

    def run(self) -> Fetched:
        api = HfApi(
            endpoint=self._place.endpoint,
            token=self._order.token or False,
            library_name=CLIENT_NAME,
            library_version=read_version(),
        )
        listing = list_revision(api, self._place, self._order.retry_wait_s)
        choice = choose(listing.files, allow=self._order.allow, ignore=self._order.ignore)
        self._check_choice(listing, choice)
        self._shelf.clear_leftovers()
        stock = self._take_stock(choice)
        self._say_plan(listing, choice, stock)
        check_gate(listing, choice.files, self._place, self._order.token or False, self._order.retry_wait_s)
        self._check_room(stock)
        entries = stock.here | self._download(listing, stock)
        files = tuple(replace(entries[_key_of(file)], path=file.path) for file in choice.files)
        return Fetched(commit=listing.commit, is_public=listing.is_public, files=files)

    def _check_choice(self, listing: Listing, choice: Choice) -> None:
        at = f"{self._place.repo_id} (revision {self._place.revision}, commit {listing.commit[:12]})"
        if not choice.files:
            raise HubProblem(self._explain_nothing(listing, at))
        if problems := explain_bad_names(choice.files):
            listed = "; ".join(problems[:5])
            raise HubProblem(
                Failed(
                    message=f"checkpoints: {at} has files that cannot be put on a disk safely: {listed}",
                    hint="leave them out with ignore_file_patterns under checkpoints in config.yaml",
                )
            )
        if len(choice.files) > MAX_FILES:
            raise HubProblem(
                Failed(
                    message=f"checkpoints: {at} has {len(choice.files)} files; at most {MAX_FILES} are fetched",
                    hint="choose fewer with allowed_file_patterns under checkpoints in config.yaml",
                )
            )

    def _explain_nothing(self, listing: Listing, at: str) -> Failed:
        if not listing.files:
            return Failed(message=f"checkpoints: {at} has no files")
        given = [
            f"{name}: {', '.join(patterns)}"
            for name, patterns in (
                ("allowed_file_patterns", self._order.allow),
                ("ignore_file_patterns", self._order.ignore),
            )
            if patterns
        ]
        return Failed(
            message=f"checkpoints: no file of {at} is left by {' and '.join(given) or 'the default choice'}",
            hint=f"it has {join_paths(file.path for file in listing.files)}; patterns are matched against whole paths, "
            "`*` also stands for `/`",
        )

    def _take_stock(self, choice: Choice) -> _Stock:
        unique = {_key_of(file): file for file in choice.files}
        here = {key: entry for key, file in unique.items() if (entry := self._shelf.find(file)) is not None}
        begun = sum(self._shelf.unfinished_bytes(file) for key, file in unique.items() if key not in here)
        return _Stock(unique=unique, here=here, begun_bytes=begun)

    def _say_plan(self, listing: Listing, choice: Choice, stock: _Stock) -> None:
        order = self._order
        if listing.repo_id != order.repo_id:
            self._say(f"The hub says that {order.repo_id} is called {listing.repo_id} now: write that in config.yaml")
        load = f"{show_size(stock.missing_bytes)} to download" if stock.missing else "all of it is here"
        named = "" if order.revision == listing.commit else f"{order.revision} is "
        self._say(
            f"Checkpoints of {order.repo_id}: {named}commit {listing.commit}, {show_files(len(choice.files))}, "
            f"{show_size(choice.size_bytes)}, {load}"
        )
        if choice.left_out:
            size = show_size(sum(file.size_bytes for file in choice.left_out))
            self._say(
                f"Left out, because the repository has its weights as safetensors ({size}): "
                f"{join_paths(file.path for file in choice.left_out)}; allowed_file_patterns can name them"
            )
        if pickles := list_pickles(choice):
            self._say(
                f"Warning: {order.repo_id} has no safetensors, only pickled weights ({join_paths(pickles)}), which can "
                "run any code when they are loaded: use it only if you trust its owner"
            )

    def _check_room(self, stock: _Stock) -> None:
        free = shutil.disk_usage(self._shelf.folder).free
        if stock.missing_bytes > free:
            raise HubProblem(
                Failed(
                    message=f"checkpoints: {self._place} needs {show_size(stock.missing_bytes)} more on the disk, "
                    f"which has {show_size(free)} free",
                    hint=DISK_HINT,
                )
            )

    def _download(self, listing: Listing, stock: _Stock) -> dict[str, FileEntry]:
        if not stock.missing:
            return {}
        done = stock.total_bytes - stock.missing_bytes
        self._tell(Advanced(bytes_done=done, bytes_total=stock.total_bytes, file=""))
        transfers = Transfers(
            listing=listing,
            place=self._place,
            shelf=self._shelf,
            meter=Meter(self._tell, done, stock.total_bytes),
            token=self._order.token,
            tell=self._tell,
            wait_s=self._order.retry_wait_s,
        )
        return {_key_of(file): entry for file, entry in transfers.run(stock.missing)}

    def _say(self, line: str) -> None:
        self._tell(Said(line=line))


def _key_of(file: HubFile) -> str:
    return file.sha256 or file.blob_id
