"""Pages under concurrent writes: whatever is there from the first page to the last is seen exactly once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from service.client import Client, NewPicture
from tests.drawings import encoded, person
from tests.serving import handmade_settings, serving

_WRITERS = 3
_STAYING = 10
_ENOUGH = 60
_PATIENCE_S = 60.0

_CONTENTS = [encoded(person(who)) for who in range(3)]


class Writers:
    """Threads that enrol, rename, merge and erase people of their own, all over the alphabet."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._changed = threading.Condition()
        self._changes = 0
        self._ended = False
        self.faults: list[BaseException] = []

    @contextmanager
    def at_work(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._write, args=[number]) for number in range(_WRITERS)]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ended = True
            for thread in threads:
                thread.join()

    def wait_for_a_change(self) -> None:
        with self._changed:
            seen = self._changes
            assert self._changed.wait_for(lambda: self._changes > seen or self.faults, _PATIENCE_S)

    def _write(self, number: int) -> None:
        try:
            with Client(self._url) as client:
                turn = 0
                while not self._ended:
                    turn += 1
                    self._change(client, [f"{place}{number}.{turn}" for place in "amz"])
        except BaseException as fault:
            self.faults.append(fault)

    def _change(self, client: Client, names: list[str]) -> None:
        steps: list[Callable[[], Any]] = [
            lambda: client.enrol("g", [NewPicture(_CONTENTS[0], name) for name in names]),
            lambda: client.rename_person("g", names[0], f"m{names[0]}"),
            lambda: client.rename_person("g", names[2], names[1], merge=True),
            lambda: client.delete_person("g", f"m{names[0]}"),
            lambda: client.delete_image("g", next(iter(client.images("g", person=names[1]))).id),
            lambda: client.delete_person("g", names[1]),
        ]
        for step in steps:
            step()
            with self._changed:
                self._changes += 1
                self._changed.notify_all()


def _pages(http: httpx.Client, path: str) -> Iterator[list[dict[str, Any]]]:
    cursor: str | None = None
    while True:
        page = http.get(path, params={"limit": 3} | ({} if cursor is None else {"cursor": cursor})).json()
        yield page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


_NAMED = {"images": "id", "people": "name", "duplicates": "id"}


def test_what_stays_is_listed_once_whatever_comes_and_goes(tmp_path: Path, catalog_url: str) -> None:
    with (
        serving(handmade_settings(tmp_path, catalog_url=catalog_url)) as running,
        Client(running.url) as client,
        httpx.Client(base_url=f"{running.url}/v1/galleries/g", timeout=60) as http,
    ):
        client.create_gallery("g")
        # Erasing what was enrolled before and between them moves every place in the lists.
        going, staying = ([f"{place}{n:02d}" for n in range(_STAYING)] for place in ("going", "staying"))
        people = [name for pair in zip(going, staying, strict=True) for name in pair]
        outcomes = client.enrol("g", [NewPicture(_CONTENTS[1 + n % 2], who) for n, who in enumerate(people)])
        ids = dict(zip(people, [str(outcome.id) for outcome in outcomes], strict=True))
        writers = Writers(running.url)
        lists = {path: _pages(http, path) for path in _NAMED}
        seen: dict[str, list[str]] = {path: [] for path in _NAMED}
        with writers.at_work():
            while lists:
                for path, pages in list(lists.items()):
                    page = next(pages, None)
                    # The writers append as quickly as we read; all that stays lies before that.
                    if page is None or len(seen[path]) > _ENOUGH:
                        del lists[path]
                        continue
                    assert len(page) <= 3  # none, where what the cursor was made for went meanwhile
                    seen[path] += [item[_NAMED[path]] for item in page]
                if going:
                    client.delete_person("g", going.pop(0))
                writers.wait_for_a_change()
        assert writers.faults == []
        for path, found in seen.items():
            assert len(found) == len(set(found)), path
            expected = set(staying) if path == "people" else {ids[name] for name in staying}
            if path == "duplicates":
                expected.discard(ids[staying[0]])  # the first of that content
            assert expected <= set(found), path
