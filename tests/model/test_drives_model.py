"""Random commands on LUNs of drives against a model of the rules: types, plexes, drives that are pulled, plugged in again
and replaced, hot spares, hints. As test_model.py, whose machine knows no drives.

After every command its code and every property are compared, and where the LUNs lie is checked against laws; at the end,
on the kernel, what LVM itself reports, and again and again the bytes of the LUNs.

As there, VDSPROVD_MODEL_SEED and VDSPROVD_MODEL_COMMANDS give other sequences and more of them. A failure prints the
shortest sequence that shows it, which takes its time; with VDSPROVD_MODEL_SHRINK=0 the first that was found.
"""

import itertools
import logging
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, note, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.arrays import MIB, Array, Failed, LioArray, SimulatedArray, clear_kernel
from tests.model import lvm_reports
from tests.model.drives_model import AUTOMAGIC, SHAPES, STRIPED, Drive, Kind, Model, Placed, Plex, merged, sums
from tests.model.test_model import BATCH, SHRINKING, UNKNOWN, Tally
from tests.model.vds_model import DELETED, NO_SPACE, NOT_FOUND, OK, Codes
from vdsprovd.hresult import Hresult

POOLS = {
    "vg0": {"d0": 24 * MIB, "d1": 20 * MIB, "d2": 20 * MIB, "d3": 16 * MIB, "d4": 16 * MIB, "d5": 12 * MIB},
    "vg1": {"e0": 10 * MIB, "e1": 10 * MIB},
}
SPARES = {"s0": 24 * MIB, "s1": 6 * MIB, "s2": 20 * MIB}
OF_VG0 = ("d0", "d1", "d2", "d3", "d4", "d5")

SIMULATED = Kind(types=("simple", "span", "stripe", "mirror", "parity", "raid5"))
LVM = Kind(types=tuple(SHAPES), own=MIB, label=MIB, most_columns=8, forgets_at_once=False)

# Most fit; some where nothing else is, or nowhere.
SIZES = (4 * MIB, 8 * MIB, 8 * MIB, MIB, 5 * MIB + 1, 12 * MIB, 20 * MIB, 45 * MIB, 4000 * MIB, 0, -1)
STATUSES = ("offline", "offline", "online", "online", "online", "unknown", "failed", "removed")
HINTS: tuple[dict[str, Any], ...] = (
    {},
    {"optimizeForSequentialReads": True},
    {"optimizeForSequentialWrites": True},
    {"stripeSize": 16384},
    {"stripeSize": 5000, "rebuildPriority": 3},
    {"mostlyReads": True},
    {"isYankable": True, "optimizeForSequentialReads": True},
    {"maximumDriveCount": 1, "stripeSize": 65536},
    {"maximumDriveCount": 2, "expectedMaximumSize": 1 << 40},
    {"fastCrashRecoveryRequired": True, "mostlyReads": True},
)
WISHES: tuple[dict[str, Any], ...] = (
    {},
    {"rebuildPriority": 7},
    {"rebuildPriority": 0},
    {"rebuildPriority": 15, "mostlyReads": True},
    {"rebuildPriority": 16},
    {"expectedMaximumSize": 64 * MIB, "stripeSize": 4096},
    {"expectedMaximumSize": -1},
    {"mostlyReads": False, "writeThroughCachingEnabled": False},
)


COMMANDS: dict[str, tuple[Callable[..., None], st.SearchStrategy[dict[str, Any]], int]] = {}
"""What can be done, by name: how, with what, and how often as compared with others. They are no rules of hypothesis's, as
that would give each sequence only a few of them."""


def command(
    times: int = 1, **strategies: st.SearchStrategy[Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """One of the commands."""

    def mark(function: Callable[..., None]) -> Callable[..., None]:
        COMMANDS[function.__name__] = function, st.fixed_dictionaries(strategies), times
        return function

    return mark


class Commands(RuleBasedStateMachine):
    """A client that does anything with LUNs and drives, somebody who pulls drives, and a model that knows what has to
    come of it."""

    luns = st.integers(0, 59)
    """Which of those that there are."""
    types = st.sampled_from([*SHAPES, "simple", "span", "mirror", "mirror", "raid3", "unknown"])
    drive_names = st.sampled_from([*OF_VG0, *OF_VG0, *SPARES, *SPARES, "e0", "e1", "none"])
    lists: st.SearchStrategy[list[str]] = st.one_of(
        st.just([]),
        st.lists(st.sampled_from(OF_VG0), min_size=1, max_size=6),
        st.lists(st.sampled_from(OF_VG0), min_size=2, max_size=4, unique=True),
        st.lists(st.sampled_from(OF_VG0), min_size=2, max_size=2, unique=True).map(lambda names: [*names, *names]),
        st.lists(drive_names, max_size=3),
    )

    def __init__(self, array: Array, tally: Tally) -> None:
        super().__init__()
        self.array = array
        self.tally = tally
        self.agreed = False
        self.pulled: list[str] = []
        self._turn = self._looked = 0
        """How many commands there were, and at how many of them LVM was looked at."""
        self._seen: dict[str, object] = {}
        """By pool, what the model said when its extents were last looked at."""
        array.configure_drives(POOLS, SPARES)
        array.start()
        self.kind = SIMULATED if isinstance(array, SimulatedArray) else LVM
        self.sub_system = array.sub_systems()["array2"]
        self.pool_ids = {
            entry["name"]: entry["id"]
            for entry in array.call("HwProviderStoragePools.QueryStoragePools")["storagePools"]
            if entry["name"] in POOLS
        }
        self.model = self._first_look()
        self.stranger = array.make_lun()
        """A LUN of another subsystem."""
        self.bytes = lvm_reports.Bytes(array) if isinstance(array, LioArray) else None

    def _first_look(self) -> Model:
        """What a new daemon has got by its configuration: drives of these sizes, each in its pool or free."""
        owners = {name: pool for pool, names in POOLS.items() for name in names}
        sizes = {**SPARES, **{name: size for sizes in POOLS.values() for name, size in sizes.items()}}
        drives = []
        for name, id in sorted(self.array.drives().items()):
            found = self.array.call("Drive.GetProperties", id=id)["properties"]
            assert found["size"] == sizes[name] + self.kind.label
            free = sizes[name] if name in owners else found["size"]
            drives.append(
                Drive(
                    id,
                    name,
                    found["slotNumber"],
                    found["identification"],
                    found["friendlyName"],
                    found["size"],
                    owners.get(name),
                    configured=name in SPARES,
                    free=(free,),
                )
            )
        assert {drive.name for drive in drives} == set(sizes)
        return Model(self.sub_system, self.pool_ids, drives, self.kind)

    # How a command is given, and what is compared.

    def expect(self, codes: Codes, method: str, **parameters: Any) -> dict[str, Any] | None:
        """Call the method, wait for what it starts, and compare the code in the end with those that the model allows;
        gives the result if it succeeded."""
        result: dict[str, Any] | None = None
        try:
            reply = self.array.call(method, **parameters)
            result = self.array.result(reply) if "async" in reply else reply
            code = Hresult(result.get("hresult") or reply.get("hresult") or 0).name
            note(f"{method} {parameters}: {code} {result}")
            result = result if code == "S_OK" else None
        except Failed as error:
            code = error.symbol
            note(f"{method} {parameters}: {error}")
        self.tally.commands += 1
        self.tally.pairs[method, code] += 1
        assert code in codes, f"{method} answered {code}; by the rules it is {' or '.join(sorted(codes))}"
        return result

    def ids(self, names: Sequence[str]) -> list[str]:
        """The drives' ids."""
        return [self.model.drive_id(name) for name in names]

    def ask(self, method: str, **parameters: Any) -> dict[str, Any] | str:
        """A query, and its answer or the code's name."""
        self.tally.queries += 1
        try:
            return self.array.call(method, **parameters)
        except Failed as error:
            return error.symbol

    def placed(self, plex: str) -> Placed | None:
        """Where the plex lies, None for a failed one."""
        found = self.ask("LunPlex.QueryExtents", id=plex)
        if isinstance(found, str):
            assert found == "VDS_E_OBJECT_STATUS_FAILED"
            return None
        names = {drive.id: drive.name for drive in self.model.drives.values()}
        return merged((names[entry["id"]], entry["size"]) for entry in found["extents"])

    def plexes(self, lun: str) -> list[Plex]:
        """The LUN's plexes as they are; only drives that the model knows are looked for."""
        found = []
        for entry in self.array.plexes(lun):
            placed = self.placed(entry["id"])
            assert placed is not None
            found.append(Plex(entry["id"], placed))
        return found

    def look(self) -> None:
        """What the pools' drives have, told to the model; and what arrived."""
        if self.model.expected():
            for entry in self.array.call("SubSystem.QueryDrives", id=self.sub_system)["drives"]:
                if entry["id"] not in {drive.id for drive in self.model.drives.values()}:
                    name = {drive.identification: name for name, drive in self.model.all_drives.items()}
                    self.model.arrived(name[entry["identification"]], entry["id"], entry["slotNumber"])
        assert not self.model.expected()
        for pool, id in self.pool_ids.items():
            state = self.model.state(pool)
            if self.kind is LVM and self._seen.get(pool) == state:
                continue  # at the end LVM itself is asked whether anything has changed that should not have
            self._seen[pool] = state
            found = self.ask("StoragePool.QueryDriveExtents", id=id)
            assert isinstance(found, dict), found
            self.model.saw_extents(pool, found["extents"])
            reply = self.ask("StoragePool.GetProperties", id=id)
            assert isinstance(reply, dict)
            reply["properties"].pop("description")
            assert reply["properties"] == self.model.pool_properties(pool)

    @invariant()
    def queries_agree(self) -> None:
        """Every query answers what the model says."""
        self.look()
        for query in self.model.queries():
            reply = self.ask(query.method, **query.parameters)
            assert reply == query.reply, f"{query.method} {query.parameters}: {_different(reply, query.reply)}"
        found = self.ask("SubSystem.QueryLuns", id=self.sub_system)
        assert isinstance(found, dict)
        luns = {entry["id"]: entry for entry in found["luns"]}
        assert set(luns) == set(self.model.luns)
        for pool, id in self.pool_ids.items():
            own = {lun.id for lun in self.model.luns.values() if lun.pool == pool}
            allocated = self.ask("StoragePool.QueryAllocatedLuns", id=id)
            assert isinstance(allocated, dict)
            assert {entry["id"]: entry for entry in allocated["luns"]} == {id: luns[id] for id in own}
        for lun in self.model.luns.values():
            self._lun_agrees(lun.id, luns[lun.id])
        if self._looked < self._turn:
            self._looked = self._turn
            self._looks_agree(self._turn)
        self.agreed = True

    def _looks_agree(self, turn: int) -> None:
        """What takes a look at the pool, which LVM needs a quarter of a second for: on the kernel one of them each time."""
        if self.kind is SIMULATED or turn % 4 == 0:
            self._drive_agrees(turn // 4)
        if self.kind is SIMULATED or turn % 4 == 1:
            self._largest_agree(turn // 4)
        if turn % 4 == 2:
            self._bytes_agree()

    def _lun_agrees(self, id: str, listed: dict[str, Any]) -> None:
        lun = self.model.luns[id]
        found = dict(listed)
        health, status = found.pop("health"), found.pop("status")
        found.pop("deviation", None)
        assert health in self.model.healths(lun), f"{lun} is {health}"
        assert status == ("failed" if health == "failed" else "online")
        assert bool(found.pop("reason")) == (status == "failed")
        assert found == self.model.lun_properties(lun)
        assert self.ask("Lun.GetProperties", id=id) == {"hresult": 0, "properties": listed}
        plexes = self.ask("Lun.QueryPlexes", id=id)
        assert isinstance(plexes, dict)
        assert [entry["id"] for entry in plexes["plexes"]] == [plex.id for plex in lun.plexes]
        for plex, entry in zip(lun.plexes, plexes["plexes"], strict=True):
            assert self.ask("LunPlex.GetProperties", id=plex.id) == {"hresult": 0, "properties": entry}
            health, status = entry.pop("health"), entry.pop("status")
            assert health in self.model.plex_healths(lun, plex), f"{plex} of {lun} is {health}"
            assert status == ("failed" if health == "failed" or self.model.failed(lun) else "online")
            assert entry == self.model.plex_properties(lun, plex)
            placed = self.placed(plex.id)
            assert (placed is None) is (health == "failed")
            if placed is not None:
                there = {name for name in plex.drives if self.model.drives[name].there}
                wanted = merged(part for part in plex.placed if part[0] in there)
                # Which column comes first nobody says.
                same = sums(placed) == sums(wanted) if lun.type in STRIPED else placed == wanted
                assert same, f"{plex} is at {placed}"

    def _bytes_agree(self) -> None:
        """What was written can be read."""
        for lun in self.model.luns.values():
            if self.bytes and not self.model.failed(lun):
                self.bytes.check(lun)

    def _drive_agrees(self, turn: int) -> None:
        """One drive each time: its extents are the LUNs' that lie there, and what is free."""
        drives = list(self.model.drives.values())
        drive = drives[turn % len(drives)]
        found = self.ask("Drive.QueryExtents", id=drive.id)
        assert isinstance(found, dict)
        assert all(entry["id"] == drive.id for entry in found["extents"])
        free = sorted(entry["size"] for entry in found["extents"] if not entry["used"])
        assert free == sorted(drive.free if drive.there else ())
        used: dict[str, int] = {}
        for entry in found["extents"]:
            if entry["used"]:
                used[entry["lunId"]] = used.get(entry["lunId"], 0) + entry["size"]
        if drive.there:
            for lun in self.model.placed_on(drive.name):
                least = sum(size for plex in lun.plexes for name, size in plex.placed if name == drive.name)
                assert used.pop(lun.id) in (least, least + self.kind.own * lun.redundant)
        assert not used

    def _largest_agree(self, turn: int) -> None:
        """What is the largest LUN of each type; on LVM of one type each time."""
        types = self.kind.types
        for type in types if self.kind is SIMULATED else [types[turn % len(types)]]:
            found = self.ask("SubSystem.QueryMaxLunCreateSize", id=self.sub_system, type=type)
            rooms = [most for pool in self.pool_ids if (most := self.model.most(pool, type)) is not None]
            assert found == ({"maxLunSize": max(rooms)} if rooms else "VDS_E_NOT_ENOUGH_DRIVE")

    def host_agrees(self) -> None:
        """LVM and the kernel's target hold what the model says, no more and no less."""
        if isinstance(self.array, LioArray):
            lvm_reports.compare(self.model, self.array)
            self._bytes_agree()

    def teardown(self) -> None:
        """The end of a sequence: a new daemon has the same again."""
        try:
            if self.agreed:
                self.host_agrees()
                if self.kind is SIMULATED:
                    self.array.restart()
                    self.queries_agree()
                self.array.reboot()
                self._seen.clear()
                self.queries_agree()
            elif isinstance(self.array, LioArray):
                note(self.array.log.read_text())
        finally:
            self.array.stop()

    # LUNs.

    @initialize()
    def begin(self) -> None:
        """To begin with there are LUNs: few sequences would get far without."""
        self._create("mirror", 8 * MIB, ["d1", "d2"], None)
        self._create("parity", 8 * MIB, ["d3", "d4", "d5"], None)
        self._create("simple", 8 * MIB, ["d0"], None)

    # A command within another one begins with a look, lest it is compared with what was free before.

    def _create(
        self, type: str, size: int, drives: Sequence[str], hints: Mapping[str, Any] | None, method: str = "CreateLun"
    ) -> str:
        self.look()
        pools = ("vg0",) if method == "in vg0" else ()
        codes, becomes = self.model.create(type, size, drives, hints, pools)
        wanted: dict[str, Any] = {"type": type, "sizeInBytes": size}
        more: dict[str, Any]
        match method:
            case "CreateLun":
                call, more = "SubSystem.CreateLun", {"id": self.sub_system, "hints": hints}
            case "CreateLun2":
                call, more = "SubSystem2.CreateLun2", {"id": self.sub_system, "hints2": hints}
            case _:
                call = "HwProviderStoragePools.CreateLunInStoragePool"
                more = {"storagePoolId": self.pool_ids["vg0"], "hints2": hints}
        if method != "in vg0":
            more["driveIds"] = self.ids(drives)
        result = self.expect(codes, call, **wanted, **more)
        if result is None:
            return ""
        made = str(result["object"])
        self.model.created(made, becomes, size, drives, hints or {}, self.plexes(made), pools)
        self._begin_bytes(made, 0)
        return made

    @command(times=3, type=types, size=st.sampled_from(SIZES), drives=lists)
    def create_lun(self, type: str, size: int, drives: list[str]) -> None:
        """IVdsSubSystem::CreateLun, with a concrete type, and drives or none."""
        self._create(type, size, drives, None)

    @command(
        type=st.sampled_from(AUTOMAGIC),
        size=st.sampled_from(SIZES[:-2]),
        hints=st.sampled_from(HINTS),
        method=st.sampled_from(["CreateLun", "CreateLun2", "in vg0"]),
    )
    def create_automagic(self, **values: Any) -> None:
        """CreateLun, CreateLun2 and CreateLunInStoragePool with an automagic type and hints."""
        self._create(drives=[], **values)

    @command(
        type=st.sampled_from(["default", "simple", "mirror"]),
        drives=st.sampled_from([["d0"], ["d0", "d1"], []]),
        hints=st.sampled_from([*HINTS[:3], None]),
    )
    def create_contradictory(self, type: str, drives: list[str], hints: dict[str, Any] | None) -> None:
        """Drives with an automagic type, hints with a concrete one."""
        self._create(type, 4 * MIB, drives, hints)

    @command(type=types, drives=lists)
    def query_max_lun_create_size(self, type: str, drives: list[str]) -> None:
        """IVdsSubSystem::QueryMaxLunCreateSize, with drives."""
        codes, _ = self.model.create(type, 1, drives, None)
        if codes == frozenset({NO_SPACE}):
            codes = OK  # the largest has 0 bytes then
        pools = {self.model.drives[name].pool for name in drives if name in self.model.drives} or set(self.pool_ids)
        method = "SubSystem.QueryMaxLunCreateSize"
        result = self.expect(codes, method, id=self.sub_system, type=type, driveIds=self.ids(drives))
        if result and type not in AUTOMAGIC:
            chosen = [self.model.drives[name] for name in dict.fromkeys(drives)]
            rooms = [self.model.most(str(pool), type, chosen) or 0 for pool in pools]
            assert result["maxLunSize"] == max(rooms)

    def _room(self, lun: str) -> int:
        """By how much the LUN can grow now; by the laws."""
        found = self.ask("Lun.QueryMaxLunExtendSize", id=lun)
        if isinstance(found, str):
            return 0
        room = int(found["maxBytesToBeAdded"])
        self.model.check_growth(self.model.luns[lun], room)
        return room

    @command(times=2, lun=luns, size=st.sampled_from(SIZES), drives=lists)
    def extend(self, lun: str, size: int, drives: list[str]) -> None:
        """IVdsLun::Extend."""
        room = self._room(lun)
        codes = self.model.extend(lun, size, drives, room)
        result = self.expect(codes, "Lun.Extend", id=lun, numberOfBytesToAdd=size, driveIds=self.ids(drives))
        if result is not None:
            before = self.model.luns[lun].size
            self.model.extended(lun, size, drives, [plex.placed for plex in self.plexes(lun)])
            self._begin_bytes(lun, before)

    @command(lun=luns, drives=lists)
    def query_max_lun_extend_size(self, lun: str, drives: list[str]) -> None:
        """IVdsLun::QueryMaxLunExtendSize, with drives."""
        codes = self.model.query_growth(lun, drives)
        result = self.expect(codes, "Lun.QueryMaxLunExtendSize", id=lun, driveIds=self.ids(drives))
        if result and drives:
            names = {drive.name for drive in self.model.usable(self.model.luns[lun].pool)}
            most = sum(self.model.drives[name].room for name in set(drives) & names)
            assert result["maxBytesToBeAdded"] <= most

    @command(lun=luns, size=st.sampled_from(SIZES))
    def shrink(self, lun: str, size: int) -> None:
        """IVdsLun::Shrink."""
        codes = self.model.shrink(lun, size)
        result = self.expect(codes, "Lun.Shrink", id=lun, numberOfBytesToRemove=size)
        if result is not None:
            self.model.shrunk(lun, size, [plex.placed for plex in self.plexes(lun)])
            self._begin_bytes(lun, self.model.luns[lun].size)

    @command(lun=luns)
    def delete_lun(self, lun: str) -> None:
        """IVdsLun::Delete, while there are some."""
        if len(self.model.luns) < 3:
            return
        self.expect(self.model.delete(lun), "Lun.Delete", id=lun)

    # Plexes.

    @command(lun=luns, other=luns)
    def add_plex(self, lun: str, other: str) -> None:
        """IVdsLun::AddPlex."""
        self._add_plex(lun, other)

    def _add_plex(self, lun: str, other: str) -> None:
        self.look()
        result = self.expect(self.model.add_plex(lun, other), "Lun.AddPlex", id=lun, lunId=other)
        if result is not None:
            self.model.added(lun, other, self.plexes(lun))

    @command(times=2, lun=luns, drive=st.sampled_from(OF_VG0), larger=st.integers(0, 2))
    def add_fitting_plex(self, lun: str, drive: str, larger: int) -> None:
        """A LUN made to become a plex: few others fit."""
        if lun in self.model.luns:
            made = self._create("simple", self.model.luns[lun].size + larger * MIB, [drive], None)
            if made:
                self._add_plex(lun, made)

    @command(
        drives=st.lists(st.sampled_from(OF_VG0), min_size=3, max_size=3, unique=True), keep=st.sampled_from([0, 0, 1])
    )
    def mirror_a_span(self, drives: list[str], keep: int) -> None:
        """A LUN that goes on on a second drive becomes a mirror, and is what it was again."""
        first, second, other = drives
        rooms = {name: drive.room for name, drive in self.model.drives.items() if drive.pool}
        size = rooms.get(first, 0) + MIB
        if self._create("span", size, [first, second], None):
            lun = list(self.model.luns)[-1]
            absorbed = self._create("simple", size, [other], None)
            if absorbed:
                self._add_plex(lun, absorbed)
            if not keep:
                self.look()
                self.remove_plex(lun=lun, other=lun, place=1, own=True)

    @command(lun=luns, other=st.sampled_from(["stranger", UNKNOWN]))
    def add_plex_of_nobody(self, lun: str, other: str) -> None:
        """A LUN of another subsystem, and one that there is not."""
        id = self.stranger if other == "stranger" else other
        self.expect(self.model.add_plex(lun, id), "Lun.AddPlex", id=lun, lunId=id)

    @command(
        times=2, lun=luns, other=luns, place=st.sampled_from([1, 1, 1, 0, 2]), own=st.sampled_from([True, True, False])
    )
    def remove_plex(self, lun: str, other: str, place: int, own: bool) -> None:
        """IVdsLun::RemovePlex."""
        owner = self.model.luns.get(lun if own else other)
        plex = owner.plexes[place].id if owner and place < len(owner.plexes) else UNKNOWN
        self.expect(self.model.remove_plex(lun, plex), "Lun.RemovePlex", id=lun, plexId=plex)

    @command(times=2, lun=luns)
    def recover(self, lun: str) -> None:
        """IVdsLun::Recover."""
        self._recover(lun)

    def _recover(self, lun: str) -> None:
        self.look()
        result = self.expect(self.model.recover(lun), "Lun.Recover", id=lun)
        if result is not None:
            found = self.array.call("SubSystem.QueryDrives", id=self.sub_system)["drives"]
            assigned = {entry["id"] for entry in found if "assigned" in entry["flags"]}
            names = {drive.name for drive in self.model.drives.values() if drive.id in assigned}
            self.model.recovered(lun, [plex.placed for plex in self.plexes(lun)], names)

    # Drives.

    @command(
        times=2,
        which=st.integers(0, 20),
        recovered=st.booleans(),
        how=st.sampled_from(["refresh", "reenumerate"]),
        deleted=st.booleans(),
    )
    def pull_drive(self, which: int, recovered: bool, how: str, deleted: bool) -> None:
        """Somebody pulls a drive; those who lose something by it are recovered, or not, and a LUN elsewhere is deleted:
        then LVM's metadata are newer than those on the drive."""
        names = self._pullable()
        if not names:
            return
        name = names[which % len(names)]
        affected = [lun for lun in self.model.placed_on(name) if lun.redundant]
        self.array.pull_drive(name)
        self.pulled.append(name)
        self._scan(how)
        self.model.pull(name)
        self.queries_agree()
        for lun in self.model.luns.values():
            # What the drive misses it must not give back when it comes back.
            if self.bytes and not self.model.failed(lun):
                self.bytes.write(lun)
        others = [lun.id for lun in self.model.luns.values() if lun.pool == "vg0" and name not in lun.drives]
        if deleted and others and len(self.model.luns) > 2:
            self.expect(self.model.delete(others[-1]), "Lun.Delete", id=others[-1])
            self.queries_agree()
        if recovered:
            for lun in affected:
                self._recover(lun.id)
                self.queries_agree()

    @command(lun=luns, spares=st.lists(st.sampled_from(list(SPARES)), min_size=1, max_size=3, unique=True))
    def recover_on_spares(self, lun: str, spares: list[str]) -> None:
        """A LUN loses a drive when its pool has no other for it, and there are hot spares, or at least one that is too
        small."""
        found = self.model.luns.get(lun)
        lost = [name for name in self._pullable() if found and found.redundant and name in found.drives]
        if not found or not lost or self.model.failed(found):
            return
        for name in spares:
            self.flags(name=name, flags=["hotspare"], on=True)
        others = [drive.name for drive in self.model.usable(found.pool) if drive.name not in found.drives]
        for name in others:
            self.set_drive_status(name=name, status="offline")
        self.pull_drive(which=self._pullable().index(lost[-1]), recovered=False, how="reenumerate", deleted=False)
        if not self.model.failed(found):
            self._recover(lun)
        for name in others:
            self.set_drive_status(name=name, status="online")

    def _pullable(self) -> list[str]:
        """On the kernel one at a time, and only members: that a free drive's node cannot be read is no departure."""
        drives = [drive for drive in self.model.drives.values() if drive.there]
        if self.kind is SIMULATED:
            return [drive.name for drive in drives] if len(self.pulled) < 2 else []
        if self.pulled or any(lun.stale for lun in self.model.luns.values()):
            return []
        return [drive.name for drive in drives if drive.pool == "vg0" and drive.name in OF_VG0]

    @command(times=2, how=st.sampled_from(["refresh", "reenumerate"]), recovered=st.booleans())
    def plug_drive(self, how: str, recovered: bool) -> None:
        """It is plugged in again, and what missed something meanwhile is recovered."""
        if not self.pulled:
            return
        name = self.pulled.pop(0)
        self.array.plug_drive(name)
        self._scan(how)
        self.model.plug(name)
        self.look()
        self.queries_agree()
        if recovered:
            for lun in self.model.placed_on(name):
                if lun.redundant:
                    self._recover(lun.id)

    def _scan(self, how: str) -> None:
        if how == "refresh":
            self.expect(OK, "HwProvider.Refresh")
        else:
            self.expect(OK, "SubSystem.Reenumerate", id=self.sub_system)

    @command(times=2, old=drive_names, new=st.sampled_from(["s0", "s0", "s1", "s2", "s2", "d0", "e0", "none"]))
    def replace_drive(self, old: str, new: str) -> None:
        """IVdsSubSystem::ReplaceDrive."""
        self.expect(
            self.model.replace(old, new),
            "SubSystem.ReplaceDrive",
            id=self.sub_system,
            driveToBeReplaced=self.model.drive_id(old),
            replacementDrive=self.model.drive_id(new),
        )

    @command(
        old=st.sampled_from(OF_VG0),
        new=st.sampled_from(list(SPARES)),
        why=st.sampled_from(["offline", "too small", "incomplete", "not at all"]),
    )
    def replace_in_vain(self, old: str, new: str, why: str) -> None:
        """By a drive that is offline or too small, or while the pool misses another one. That the old one is offline is no
        hindrance."""
        if why == "offline":
            self.set_drive_status(name=new, status="offline")
            self.replace_drive(old=old, new=new)
            self.set_drive_status(name=new, status="online")
        elif why == "not at all":
            self.set_drive_status(name=old, status="offline")
            self.replace_drive(old=old, new=new)
            self._forget_those_that_are_gone()
        elif why == "too small":
            self.replace_drive(old=old, new="s1")
            self._scan("reenumerate")
            self.model.scanned()
        elif others := [name for name in self._pullable() if name in OF_VG0 and name != old]:
            self.pull_drive(which=self._pullable().index(others[0]), recovered=False, how="refresh", deleted=False)
            self.replace_drive(old=old, new=new)
            self.queries_agree()
            self.plug_drive(how="refresh", recovered=True)

    @command(
        name=st.sampled_from([*SPARES, *SPARES, "d0", "e0", "none"]),
        flags=st.sampled_from([["hotspare"], ["hotspare"], ["hotspare"], [], ["assigned"], ["hotspare", "unassigned"]]),
        on=st.sampled_from([True, True, False]),
    )
    def flags(self, name: str, flags: list[str], on: bool) -> None:
        """IVdsDrive::SetFlags, ClearFlags."""
        codes = self.model.set_flags(name, flags, on=on)
        method = "Drive.SetFlags" if on else "Drive.ClearFlags"
        self.expect(codes, method, id=self.model.drive_id(name), flags=flags)
        self._forget_those_that_are_gone()

    @command(name=drive_names, status=st.sampled_from(STATUSES))
    def set_drive_status(self, name: str, status: str) -> None:
        """IVdsDrive::SetStatus."""
        codes = self.model.set_status(name, status)
        self.expect(codes, "Drive.SetStatus", id=self.model.drive_id(name), status=status)
        self._forget_those_that_are_gone()

    @command(
        what=st.sampled_from(["offline", "online", "hotspare", "no hotspare", "replaced", "replacement", "member"]),
        other=st.sampled_from(["s0", "d0", "d4"]),
    )
    def use_pulled_drive(self, what: str, other: str) -> None:
        """Whatever one wants of a drive that is not there."""
        if not self.pulled:
            return
        name = self.pulled[0]
        match what:
            case "offline" | "online":
                self.set_drive_status(name=name, status=what)
            case "hotspare" | "no hotspare":
                self.flags(name=name, flags=["hotspare"], on=what == "hotspare")
            case "replaced":
                self.replace_drive(old=name, new=other)
            case "replacement":
                self.replace_drive(old=other, new=name)
            case _:
                self._create("simple", MIB, [name], None)

    def _forget_those_that_are_gone(self) -> None:
        """A drive that was there for its setting only is forgotten by the next scan."""
        if any(not (drive.pool or drive.there) for drive in self.model.drives.values()):
            self._scan("reenumerate")
            self.model.scanned()

    # Hints.

    @command(lun=luns, hints=st.sampled_from(WISHES), method=st.sampled_from(["Lun.ApplyHints", "Lun2.ApplyHints2"]))
    def apply_hints(self, lun: str, hints: dict[str, Any], method: str) -> None:
        """IVdsLun::ApplyHints, IVdsLun2::ApplyHints2."""
        name = "hints" if method == "Lun.ApplyHints" else "hints2"
        self.expect(self.model.apply_hints(lun, hints), method, id=lun, **{name: hints})

    @command(lun=luns, place=st.sampled_from([0, 1]), hints=st.sampled_from(WISHES))
    def apply_plex_hints(self, lun: str, place: int, hints: dict[str, Any]) -> None:
        """IVdsLunPlex::ApplyHints."""
        owner = self.model.luns.get(lun)
        plex = owner.plexes[place] if owner and place < len(owner.plexes) else None
        if owner and plex and len(self.model.plex_healths(owner, plex)) > 1:
            return
        id = plex.id if plex else UNKNOWN
        self.expect(self.model.apply_plex_hints(id, hints), "LunPlex.ApplyHints", id=id, hints=hints)

    @command(lun=luns, of_lun=st.sampled_from(WISHES[1:4]), of_plex=st.sampled_from(WISHES[:4]), last=st.booleans())
    def apply_hints_to_both(self, lun: str, of_lun: dict[str, Any], of_plex: dict[str, Any], last: bool) -> None:
        """To a LUN and its last plex, one after the other."""
        for mine in (last, not last):
            if mine:
                self.apply_hints(lun=lun, hints=of_lun, method="Lun.ApplyHints")
            else:
                place = len(self.model.luns[lun].plexes) - 1 if lun in self.model.luns else 0
                self.apply_plex_hints(lun=lun, place=place, hints=of_plex)

    # The daemon and the world.

    @command(reboot=st.booleans())
    def restart(self, reboot: bool) -> None:
        """The daemon begins anew, on a host that may have lost its configuration."""
        (self.array.reboot if reboot else self.array.restart)()

    @command(
        call=st.sampled_from(
            [
                ("Lun.Recover", {}),
                ("Lun.AddPlex", {"lunId": UNKNOWN}),
                ("LunPlex.QueryExtents", {}),
                ("LunPlex.ApplyHints", {"hints": {}}),
                ("Drive.SetFlags", {"flags": []}),
                ("Drive.QueryExtents", {}),
                ("StoragePool.QueryDriveExtents", {}),
            ]
        ),
        gone=st.booleans(),
    )
    def call_on_nothing(self, call: tuple[str, dict[str, Any]], gone: bool) -> None:
        """An id that no object of that kind has, or had."""
        method, parameters = call
        interface, _, _ = method.partition(".")
        old = [id for id, kind in self.model.deleted.items() if kind == interface]
        if gone and old:
            self.expect(frozenset({DELETED}), method, id=old[-1], **parameters)
        else:
            self.expect(frozenset({NOT_FOUND}), method, id=UNKNOWN, **parameters)

    # Bytes, where there are any.

    def _begin_bytes(self, lun: str, start: int) -> None:
        """From `start` on the LUN is new."""
        if self.bytes:
            self.bytes.begin(self.model.luns[lun], start)


def _different(reply: dict[str, Any] | str, expected: dict[str, Any] | str) -> object:
    """The entries of a list that are others."""
    found, wanted = (list(entry["drives"]) if "drives" in entry else [] for entry in (reply, expected))  # type: ignore[index]
    return [entry for entry in (*found, *wanted) if entry not in found or entry not in wanted]


class RandomCommands(Commands):
    """One command after the other."""

    @rule(
        chosen=st.one_of(
            # The first is what hypothesis begins with, again and again, and what it puts in the place of others when it
            # looks for the shortest sequence: the cheapest.
            [
                st.tuples(st.just(name), values)
                for name, (_, values, times) in sorted(
                    COMMANDS.items(), key=lambda entry: entry[0] != "call_on_nothing"
                )
                for _ in range(times)
            ]
        )
    )
    def give(self, chosen: tuple[str, dict[str, Any]]) -> None:
        """Give the command of that name."""
        name, values = chosen
        function, _, _ = COMMANDS[name]
        before = self.tally.commands
        self.agreed = False
        self._turn += name != "call_on_nothing"
        there = list(self.model.luns)
        for role in values.keys() & {"lun", "other"}:
            if isinstance(values[role], int):
                values = {**values, role: there[values[role] % len(there)] if there else UNKNOWN}
        function(self, **values)
        if self.tally.commands > before or name == "restart":
            self.tally.rules[name] += 1


def run(make: Callable[[Path, Tally], Commands], folder: Path, commands: int, steps: int, examples: int) -> Tally:
    """Give at least that many commands, in sequences of `steps`, each to a daemon and drives that are new."""
    commands = max(commands, int(os.environ.get("VDSPROVD_MODEL_COMMANDS", "0")))
    first_seed = int(os.environ.get("VDSPROVD_MODEL_SEED", "1"))
    tally, numbers, begun = Tally(), itertools.count(), time.monotonic()
    batch = settings(BATCH, stateful_step_count=steps, max_examples=examples)
    if os.environ.get("VDSPROVD_MODEL_SHRINK") == "0":
        batch = settings(batch, phases=(Phase.generate,))

    def machine() -> Commands:
        return make(folder / str(next(numbers)), tally)

    for number in itertools.count(first_seed):
        if tally.commands >= commands:
            break
        seed(number)(machine)
        run_state_machine_as_test(machine, settings=batch, _min_steps=steps)  # type: ignore[arg-type]
    seconds = time.monotonic() - begun
    print(f"{tally.commands} commands, {tally.queries} queries, {next(numbers)} sequences in {seconds:.1f} s")
    print(f"{len(tally.pairs)} pairs of method and code:")
    print("\n".join(f"{count:6} {method} {code}" for (method, code), count in sorted(tally.pairs.items())))
    return tally


def check(tally: Tally, commands: int, pairs: int, of_each: float) -> None:
    """It was not for nothing: so many commands and pairs of method and code at least, and this share of `COMMANDS`."""
    assert tally.commands >= commands
    assert len(tally.rules) >= of_each * len(COMMANDS), set(COMMANDS) - set(tally.rules)
    assert len(tally.pairs) >= pairs


@pytest.mark.timeout(SHRINKING)
def test_simulator(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A thousand commands and more, on the simulator."""
    caplog.set_level(logging.CRITICAL)

    def make(folder: Path, tally: Tally) -> Commands:
        folder.mkdir()
        return RandomCommands(SimulatedArray(folder), tally)

    check(run(make, tmp_path, 2000, steps=40, examples=9), commands=2000, pairs=75, of_each=1)


@pytest.mark.lab
@pytest.mark.timeout(SHRINKING)
def test_kernel(tmp_path: Path, disk: Path) -> None:
    """A hundred and more, on LVM."""
    made: list[LioArray] = []

    def clear() -> None:
        # Only a sequence that failed leaves anything but its drives.
        clear_kernel()
        for array in made:
            array.stack.close()
            shutil.rmtree(array.pools_folder)
        made.clear()

    def make(folder: Path, tally: Tally) -> Commands:
        clear()
        folder.mkdir()
        made.append(LioArray(folder, disk / f"drives-{folder.name}"))
        return RandomCommands(made[0], tally)

    try:
        check(run(make, tmp_path, 110, steps=38, examples=3), commands=110, pairs=30, of_each=0.7)
    finally:
        clear()
