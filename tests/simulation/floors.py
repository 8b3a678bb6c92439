"""What the log has not got of the cluster, held against what watchers claim that it has (`watcher.floor`).

A floor that claims too much harms nobody until a watcher is killed at that very moment and its successor begins behind
what was on its way. The claim is wrong at once, and this says so without waiting for that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Floors:
    """Versions of objects that no message has told yet, by resource and object."""

    def __init__(self) -> None:
        self._open: dict[str, dict[str, list[int]]] = {}
        self._logged: set[str] = set()

    def written(self, plural: str, uid: str, version: int, *, deleted: bool) -> None:
        """Note a version of the cluster. Of what came and went untold nobody need tell anything."""
        untold = self._open.setdefault(plural, {})
        if deleted and uid not in self._logged:
            untold.pop(uid, None)
        else:
            untold.setdefault(uid, []).append(version)

    def logged(self, plural: str, uid: str, version: int, *, gone: bool) -> None:
        """Note what a message tells: a version stands for all before it."""
        self._logged.add(uid)
        untold = self._open.setdefault(plural, {})
        left = [] if gone else [each for each in untold.get(uid, ()) if each > version]
        if left:
            untold[uid] = left
        else:
            untold.pop(uid, None)

    def wrong(self, plural: str, floor: int) -> Iterator[str]:
        """Say what a claim that the log has everything up to `floor` overlooks."""
        for uid, (oldest, *_) in self._open.get(plural, {}).items():
            if oldest <= floor:
                yield f"a watcher claims that the log has all {plural} up to {floor}, and {uid} v{oldest} is not in it"
