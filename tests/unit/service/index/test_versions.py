from __future__ import annotations

import threading

from service.index.versions import Versions


def test_a_reader_keeps_its_version_and_a_later_one_gets_the_next() -> None:
    versions = Versions("first")
    with versions.read() as before:
        versions.publish("second")
        with versions.read() as after:
            assert (before, after, versions.present) == ("first", "second", "second")


def test_settling_waits_for_older_readers_alone() -> None:
    versions = Versions(1)
    entered, leave, settled = threading.Event(), threading.Event(), threading.Event()

    def read() -> None:
        with versions.read():
            entered.set()
            leave.wait(30)

    def settle() -> None:
        versions.settle()
        settled.set()

    reader = threading.Thread(target=read)
    reader.start()
    entered.wait(30)
    versions.publish(2)
    with versions.read():  # of the present version: nobody waits for it
        settler = threading.Thread(target=settle)
        settler.start()
        assert not settled.wait(0.05)
        leave.set()
        assert settled.wait(30)
    reader.join(30)
    settler.join(30)


def test_a_reader_that_fails_is_not_waited_for() -> None:
    versions = Versions(1)
    try:
        with versions.read():
            raise KeyError
    except KeyError:
        pass
    versions.publish(2)
    versions.settle()
