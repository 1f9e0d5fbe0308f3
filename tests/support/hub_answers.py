"""How the local hub of the tests answers: the real hub's paths, headers and error codes."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

from support.hub_state import Fault, Hub, HubFile, Repo, Seen, hash_blob

BLOCK_BYTES = 64 * 1024


class HubServer(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 64

    def __init__(self, hub: Hub, *, is_cdn: bool) -> None:
        self.hub = hub
        self.is_cdn = is_cdn
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no error of the hub."""

    def cut_connections(self) -> None:
        for connection in list(self._open):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # noqa: PERF203 - one closed by its client
                continue


class _Refused(Exception):
    def __init__(self, status: int, message: str, code: str = "", **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.headers = {"X-Error-Message": message, **headers} | ({"X-Error-Code": code} if code else {})


class _Handler(BaseHTTPRequestHandler):
    server: HubServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args: object) -> None:
        """Silent: the requests are in `hub.requests`."""

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self._answer()

    def _answer(self) -> None:
        hub = self.server.hub
        self.path_text = unquote(urlsplit(self.path).path)
        self.seen = Seen(
            method=self.command,
            path=self.path_text,
            authorization=self.headers.get("Authorization") or "",
            byte_range=self.headers.get("Range") or "",
            user_agent=self.headers.get("User-Agent") or "",
            is_cdn=self.server.is_cdn,
        )
        hub.note(self.seen)
        self.fault = hub.take_fault(self.path_text, is_body=False)
        if self.fault is not None:
            self.fault.release.wait(self.fault.wait_s) if self.fault.wait_s else None
            if self.fault.status:
                self._send_json(self.fault.status, {"error": "told to fail"}, dict(self.fault.headers))
                return
        try:
            self._route(hub)
        except _Refused as error:
            self._send_json(error.status, {"error": str(error)}, error.headers)

    def _route(self, hub: Hub) -> None:
        parts = self.path_text.strip("/").split("/")
        if self.server.is_cdn:
            self._send_file(self._find_blob(parts[-1]), {})
            return
        self._check_token()
        if parts[:2] == ["api", "whoami-v2"]:
            self._send_whoami()
        elif parts[:2] == ["api", "models"] and len(parts) >= 3:
            self._route_api(parts[2:])
        elif "resolve" in parts[1:3]:
            self._route_resolve(parts)
        else:
            raise _Refused(404, "Not found")

    def _check_token(self) -> None:
        if self._token and self._token not in self.server.hub.tokens:
            raise _Refused(401, "Invalid credentials in Authorization header")

    @property
    def _token(self) -> str:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ")

    def _send_whoami(self) -> None:
        if not self._token:
            raise _Refused(401, "Invalid username or password.")
        auth = {"type": "access_token", "accessToken": {"displayName": "test", "role": "read"}}
        self._send_json(200, {"type": "user", "name": "tester", "fullname": "Tester", "orgs": [], "auth": auth})

    def _find_repo(self, repo_id: str, rest: str, prefix: str) -> Repo:
        hub = self.server.hub
        if repo_id in hub.moved:
            location = f"{prefix}/{hub.moved[repo_id]}{rest}"
            raise _Refused(307, "moved", Location=quote(location) + _query_of(self.path))
        repo = hub.repos.get(repo_id)
        if repo is None or (repo.readers is not None and self._token not in repo.readers):
            if not self._token:
                raise _Refused(401, "Invalid username or password.", "RepoNotFound")
            raise _Refused(404, "Repository not found", "RepoNotFound")
        return repo

    def _check_gate(self, repo_id: str, repo: Repo) -> None:
        if repo.accepted is None or self._token in repo.accepted:
            return
        restricted = f"Access to model {repo_id} is restricted"
        if not self._token:
            message = f"{restricted}. You must have access to it and be authenticated to access it. Please log in."
            raise _Refused(401, message, "GatedRepo")
        raise _Refused(403, f"{restricted} and you are not in the authorized list.", "GatedRepo")

    def _route_api(self, parts: list[str]) -> None:
        """`owner/name/...`, or `name/...` of a repository without an owner."""
        verbs = ("revision", "tree", "refs", "auth-check", "discussions", "paths-info")
        size = 1 if len(parts) == 1 or parts[1] in verbs else 2
        repo_id, rest = "/".join(parts[:size]), parts[size:]
        tail = "/" + "/".join(rest) if rest else ""
        repo = self._find_repo(repo_id, tail, "/api/models")
        match rest:
            case []:
                self._send_info(repo_id, repo, "main")
            case ["revision", *revision]:
                self._send_info(repo_id, repo, "/".join(revision))
            case ["tree", *place]:
                self._send_tree(repo, place)
            case ["auth-check"]:
                self._check_gate(repo_id, repo)
                self._send_json(200, {})
            case ["refs"]:
                branches = [
                    {"name": name, "ref": f"refs/heads/{name}", "targetCommit": commit}
                    for name, commit in repo.refs.items()
                ]
                self._send_json(200, {"branches": branches, "tags": [], "converts": []})
            case ["discussions"]:
                self._send_json(200, {"discussions": [], "count": 0, "start": 0, "numClosedDiscussions": 0})
            case _:
                raise _Refused(404, "Not found")

    def _find_commit(self, repo: Repo, revision: str) -> str:
        commit = repo.refs.get(revision, revision)
        if commit not in repo.commits:
            raise _Refused(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return commit

    def _size_of(self, path: str, file: HubFile) -> int:
        return self.server.hub.claimed_sizes.get(path, file.size_bytes)

    def _send_info(self, repo_id: str, repo: Repo, revision: str) -> None:
        commit = self._find_commit(repo, revision)
        blobs = parse_qs(urlsplit(self.path).query).get("blobs", [""])[0]
        has_blobs = blobs.lower() in ("true", "1") and self.server.hub.tells_blobs
        siblings: list[dict[str, object]] = []
        for path, file in sorted(repo.commits[commit].items()):
            row: dict[str, object] = {"rfilename": path}
            if has_blobs:
                size = self._size_of(path, file)
                row |= {"size": size, "blobId": file.blob_id}
                row |= {"lfs": {"sha256": file.sha256, "size": size, "pointerSize": 134}} if file.is_lfs else {}
            siblings.append(row)
        told = {
            "_id": "0" * 24, "id": repo_id, "modelId": repo_id, "sha": commit, "private": repo.readers is not None,
            "gated": "manual" if repo.accepted is not None else False, "disabled": False, "tags": [], "downloads": 0,
            "likes": 0, "author": repo_id.partition("/")[0], "siblings": siblings,
        }  # fmt: skip
        self._send_json(200, told)

    def _send_tree(self, repo: Repo, place: list[str]) -> None:
        revision, below = self._split_revision(repo, place)
        query = parse_qs(urlsplit(self.path).query)
        is_recursive = query.get("recursive", [""])[0].lower() in ("true", "1")
        rows = list(self._list_tree(repo.commits[self._find_commit(repo, revision)], below, is_recursive=is_recursive))
        if below and not rows:
            raise _Refused(404, f"{below} does not exist on {revision!a}", "EntryNotFound")
        start, page = int(query.get("cursor", ["0"])[0]), self.server.hub.page_entries
        headers = {}
        if start + page < len(rows):
            base = f"{self.server.hub.url}{quote(self.path_text)}?recursive={is_recursive}&cursor={start + page}"
            headers["Link"] = f'<{base}>; rel="next"'
        self._send_json(200, rows[start : start + page], headers)

    def _list_tree(self, files: dict[str, HubFile], below: str, *, is_recursive: bool) -> Iterator[dict[str, object]]:
        folders = set()
        for path, file in sorted(files.items()):
            if below and not path.startswith(f"{below}/"):
                continue
            inside = path.removeprefix(f"{below}/") if below else path
            names = inside.split("/")
            for depth in range(1, len(names) if is_recursive else min(2, len(names))):
                folder = "/".join(([below] if below else []) + names[:depth])
                if folder not in folders:
                    folders.add(folder)
                    yield {"type": "directory", "oid": hash_blob(folder.encode()), "size": 0, "path": folder}
            if is_recursive or len(names) == 1:
                size = self._size_of(path, file)
                row: dict[str, object] = {"type": "file", "oid": file.blob_id, "size": size, "path": path}
                lfs = {"oid": file.sha256, "size": size, "pointerSize": 134}
                yield row | ({"lfs": lfs} if file.is_lfs else {})

    def _split_revision(self, repo: Repo, place: list[str]) -> tuple[str, str]:
        """A branch may have slashes in its name: the longest that there is."""
        for size in range(len(place), 0, -1):
            revision = "/".join(place[:size])
            if revision in repo.refs or revision in repo.commits:
                return revision, "/".join(place[size:])
        return (place or ["main"])[0], "/".join(place[1:])

    def _route_resolve(self, parts: list[str]) -> None:
        at = parts.index("resolve", 1)
        repo_id = "/".join(parts[:at])
        repo = self._find_repo(repo_id, "/" + "/".join(parts[at:]), "")
        revision, path = self._split_revision(repo, parts[at + 1 :])
        commit = self._find_commit(repo, revision)
        file = repo.commits[commit].get(path)
        if file is None:
            raise _Refused(404, "Entry not found", "EntryNotFound", **{"X-Repo-Commit": commit})
        if path not in ("README.md", ".gitattributes"):
            self._check_gate(repo_id, repo)
        headers = {"X-Repo-Commit": commit, "Accept-Ranges": "bytes", "ETag": f'"{file.etag}"'}
        if file.is_lfs:
            headers |= {"X-Linked-ETag": f'"{file.etag}"', "X-Linked-Size": str(self._size_of(path, file))}
        if file.is_lfs and self.server.hub.cdn_url:
            location = f"{self.server.hub.cdn_url}/{quote(path)}/{file.sha256}?signature=only-for-this-file"
            self._send(302, b"", headers | {"Location": location})
            return
        self._send_file(file, headers)

    def _find_blob(self, sha256: str) -> HubFile:
        for repo in self.server.hub.repos.values():
            for files in repo.commits.values():
                for file in files.values():
                    if file.sha256 == sha256:
                        return file
        raise _Refused(404, "no such object")

    def _send_file(self, file: HubFile, headers: dict[str, str]) -> None:
        content = file.read()
        if self.fault is None and self.command == "GET":
            self.fault = self.server.hub.take_fault(self.path_text, is_body=True)
        if self.fault is not None and self.fault.is_corrupt:
            content = bytes(255 - one for one in content)
        start, end = 0, len(content)
        given = self.headers.get("Range") if self.server.hub.has_ranges else None
        if given:
            first, _, last = given.removeprefix("bytes=").partition("-")
            start, end = int(first or 0), min(int(last) + 1 if last else end, end)
            if start >= len(content):
                self._send(416, b"", headers | {"Content-Range": f"bytes */{len(content)}"})
                return
            headers = headers | {"Content-Range": f"bytes {start}-{end - 1}/{len(content)}"}
        self._send(206 if given else 200, content[start:end], headers | {"Content-Type": "application/octet-stream"})

    def _send_json(self, status: int, told: object, headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(told).encode(), {"Content-Type": "application/json", **(headers or {})})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.seen.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self._send_body(memoryview(body))

    def _send_body(self, body: memoryview) -> None:
        """Block by block, with whatever the fault wants on the way."""
        fault = self.fault or Fault(path="", times=0)
        stops = [one for one in (fault.cut_after, fault.hold_after) if one is not None]
        position = 0
        while position < len(body):
            if position == fault.cut_after:
                self._cut()
                return
            if position == fault.hold_after:
                fault.reached.set()
                fault.release.wait()
            ends = [one for one in stops if one > position]
            block = body[position : min([position + BLOCK_BYTES, *ends])]
            self.wfile.write(block)
            self.seen.sent_bytes += len(block)
            position += len(block)
            if fault.wait_s:
                fault.release.wait(fault.wait_s)

    def _cut(self) -> None:
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


def _query_of(path: str) -> str:
    query = urlsplit(path).query
    return f"?{query}" if query else ""
