from __future__ import annotations

import threading

from service.index.read_write_lock import ReadWriteLock


def test_readers_share_the_lock() -> None:
    lock = ReadWriteLock()
    both_inside = threading.Barrier(2, timeout=10)

    def read() -> None:
        with lock.read():
            both_inside.wait()

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert not both_inside.broken


def test_a_writer_is_alone() -> None:
    lock = ReadWriteLock()
    total = 0

    def write() -> None:
        nonlocal total
        for _ in range(200):
            with lock.write():
                before = total
                threading.Event().wait(0)  # give others the chance to come between
                total = before + 1

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert total == 800


def test_a_waiting_writer_holds_back_new_readers() -> None:
    lock = ReadWriteLock()
    order: list[str] = []
    writer_waits = threading.Event()

    def write() -> None:
        writer_waits.set()
        with lock.write():
            order.append("writer")

    def read_late() -> None:
        with lock.read():
            order.append("late reader")

    with lock.read():
        writer = threading.Thread(target=write)
        writer.start()
        writer_waits.wait(10)
        while not lock._writers_waiting:
            threading.Event().wait(0.001)
        late = threading.Thread(target=read_late)
        late.start()
        late.join(0.05)
        assert order == []
    writer.join(10)
    late.join(10)
    assert order == ["writer", "late reader"]
