"""Bands of rows, parts of the progress, and how many cores there are."""

from __future__ import annotations

import os

import numpy as np
import pytest

from napari_ebsdml import _parallel
from napari_ebsdml._parallel import available_cores, cgroup_cores, over_rows, part_of
from napari_ebsdml.errors import Cancelled


@pytest.fixture
def machine(monkeypatch):
    """A machine of 64 cores without any limit."""
    for name in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)), raising=False)
    monkeypatch.setattr(_parallel, "cgroup_cores", lambda: None)
    return monkeypatch


@pytest.fixture
def system(tmp_path):
    """Write files below a made root folder; the folder."""

    def write(**files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return write


def test_every_pixel_is_in_one_band():
    seen = np.zeros((3000, 500), int)

    def work(first, end):
        seen[first:end] += 1

    told = []
    over_rows(work, seen.shape, told.append)
    assert (seen == 1).all()
    assert len(told) > 5
    assert told == sorted(told)
    assert told[-1] == 1


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (5, 0), (0, 1)])
def test_a_map_without_pixels_is_no_work(shape):
    told = []
    over_rows(lambda first, end: pytest.fail("called"), shape, told.append)
    assert told == [1.0]


def test_an_error_in_a_band_and_a_cancel_end_the_work():
    def bad(first, end):
        raise ValueError("band")

    with pytest.raises(ValueError, match="band"):
        over_rows(bad, (3000, 500))

    def stop(fraction):
        raise Cancelled

    for shape in ((3000, 500), (3, 5)):
        with pytest.raises(Cancelled):
            over_rows(lambda first, end: None, shape, stop)


def test_parts_of_the_progress():
    told = []
    second = part_of(told.append, 0.5, 0.9)
    for fraction in (0, 0.5, 1):
        second(fraction)
    # Of a part there are parts.
    part_of(second, 0.5)(0.5)
    np.testing.assert_allclose(told, [0.5, 0.7, 0.9, 0.8])
    assert part_of(None, 0.5) is None


def test_cores_of_the_machine_and_the_environment(machine):
    assert available_cores() == 64
    machine.setattr(os, "sched_getaffinity", lambda process: {3, 5, 7}, raising=False)
    assert available_cores() == 3
    machine.setenv("NUMBA_NUM_THREADS", "5")
    assert available_cores() == 3
    machine.setenv("OMP_NUM_THREADS", "2,4")
    assert available_cores() == 2
    machine.delattr(os, "sched_getaffinity")
    machine.delenv("OMP_NUM_THREADS")
    assert available_cores() == 5
    machine.delenv("NUMBA_NUM_THREADS")
    machine.setattr(os, "cpu_count", lambda: None)
    assert available_cores() == 1


@pytest.mark.parametrize("odd", ["", "0", "-3", "all", "2.5", "²"])
def test_odd_numbers_of_threads_count_for_nothing(machine, odd):
    machine.setenv("OMP_NUM_THREADS", odd)
    assert available_cores() == 64


@pytest.mark.parametrize(("quota", "cores"), [(0.2, 1), (1.0, 1), (1.5, 2), (100.0, 64)])
def test_a_quota_is_rounded_up(machine, quota, cores):
    machine.setattr(_parallel, "cgroup_cores", lambda: quota)
    assert available_cores() == cores


def test_quota_of_version_2(system):
    root = system(**{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "150000 100000\n"})
    assert cgroup_cores(root) == 1.5
    system(**{"sys/fs/cgroup/cpu.max": "max 100000\n"})
    assert cgroup_cores(root) is None


def test_the_groups_above_limit_too(system):
    root = system(
        **{
            "proc/self/cgroup": "0::/pod/job/step\n",
            "sys/fs/cgroup/pod/cpu.max": "200000 100000",
            "sys/fs/cgroup/pod/job/cpu.max": "max 100000",
            "sys/fs/cgroup/pod/job/step/cpu.max": "400000 100000",
        }
    )
    assert cgroup_cores(root) == 2
    system(**{"sys/fs/cgroup/pod/job/step/cpu.max": "50000 100000"})
    assert cgroup_cores(root) == 0.5


@pytest.mark.parametrize("folder", ["cpu,cpuacct", "cpu"])
@pytest.mark.parametrize("there", ["docker/abc", ""])
def test_quota_of_version_1(system, folder, there):
    """In a container the group's own path may be missing: its files are at the top."""
    group = f"sys/fs/cgroup/{folder}/{there}".rstrip("/")
    root = system(
        **{
            "proc/self/cgroup": "9:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/docker/abc\n",
            f"{group}/cpu.cfs_quota_us": "300000\n",
            f"{group}/cpu.cfs_period_us": "100000\n",
        }
    )
    assert cgroup_cores(root) == 3
    system(**{f"{group}/cpu.cfs_quota_us": "-1\n"})
    assert cgroup_cores(root) is None


@pytest.mark.parametrize(
    "text", ["", "0::/\n", "nonsense\n", "0::/../../elsewhere\n", "4:cpu\n", "\x00:::\n"]
)
def test_odd_files_are_no_limit(system, text):
    assert cgroup_cores(system(**{"proc/self/cgroup": text})) is None
    for odd in ("", "max", "0 100000", "100000 0", "x y", "1 2 3"):
        root = system(**{"proc/self/cgroup": text, "sys/fs/cgroup/cpu.max": odd})
        assert cgroup_cores(root) is None


def test_no_such_system(tmp_path):
    assert cgroup_cores(tmp_path) is None
