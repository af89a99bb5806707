"""Laue groups of simulated crystals of all 11 groups, of noise, and of measured patterns.

``python benchmarks/laue_groups.py WORK [--masters FOLDER] [--steel FOLDER] [--crystals 5]``

Placements are kept in WORK, a file a crystal and camera, so that the run can be resumed and the
tables printed again. Crystals whose number is a multiple of 3 (kinematical ones), every third
dynamical one and every third steel pattern were looked at when the rule was chosen; the rest were
not. FOLDER holds dynamical master patterns of crystals outside m-3m (``ebsdml dev library``).

``--noise N`` tells `laue_group` N pools of images of noise, and nothing else is done.
"""

from __future__ import annotations

import argparse
import dataclasses
import pickle
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.stats import beta

from laue_crystals import crystal, dynamical, further_symmetry, patterns
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.symmetry.decision import NAMES, Pool, probabilities
from napari_ebsdml.patterns.symmetry.groups import GROUPS, SYSTEMS
from napari_ebsdml.patterns.symmetry.joint import Joint
from napari_ebsdml.patterns.symmetry.laue import joint_of, kept_of, laue_group
from napari_ebsdml.patterns.symmetry.operators import Placement, place
from napari_ebsdml.patterns.symmetry.straight import level_of, straightness
from napari_ebsdml.patterns.symmetry.view import flat_images, views_of
from patterns_common import show

POOLED = 10
MOST_LOOKED_AT = 5
"""Crystals of higher numbers were made after the rule: none of them was looked at."""
FOURS = ((0, 1, 2, 3), (4, 5, 6, 7), (1, 4, 8, 9))
"""Pools of four that are judged together."""
ROWS = (
    (1, 10, True), (4, len(FOURS), True), (4, len(FOURS), False), (POOLED, 1, True),
    (POOLED, 1, False),
)  # fmt: skip
"""Patterns pooled, draws of them from the ten of a crystal and camera, and whether each pattern is
judged by itself, as all were before patterns were laid beside each other."""
Job = tuple[str, str, str, Callable[[], NDArray | None]]


def jobs(work: Path, masters: Path, numbers: range) -> Iterator[Job]:
    """Kind, name, Laue group and a maker of the master pattern of each crystal, and noise."""
    for name, group, master in dynamical(masters):
        yield "dyn", name, group, lambda master=master: master
    for kind in ("white", "blur", "blobs"):
        for k in range(4):
            yield "noise", f"{kind} {k}", "none", lambda: None
    for k in numbers:
        for group in GROUPS:
            yield "kin", f"{group} {k}", group, lambda group=group, k=k: kept(work, group, k)


def kept(work: Path, group: str, number: int) -> NDArray:
    """Master pattern of an invented crystal, kept in WORK."""
    path = work / "masters" / f"{group.replace('/', '_')}-{number}.npy"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        np.save(path, crystal(group, number).master())
    return np.load(path)


def collect(
    work: Path, masters: Path, numbers: range, seed: int, conditions: int, kinds: list[str],
    systems: list[str],
) -> None:  # fmt: skip
    """Place all groups in ten patterns of each crystal in each of two cameras."""
    for condition in range(conditions):
        for at, (kind, name, group, make) in enumerate(jobs(work, masters, numbers)):
            if kind not in kinds or SYSTEMS.get(group, "") not in systems:
                continue
            path = work / f"{kind}-{name.replace('/', '_')}-{condition}.pkl"
            if path.exists():
                continue
            rng = np.random.default_rng([seed, at, condition])
            size = int(rng.choice([60, 60, 120, 240]))
            noise = float(np.exp(rng.uniform(np.log(0.3), np.log(1.5))))
            error = float(rng.uniform(0, 0.005))
            if kind == "noise":
                images = rng.normal(0, 1, (POOLED, 60, 60))
                if "blur" in name:
                    images = gaussian_filter(images, (0, 1, 1))
                if "blobs" in name:
                    images = gaussian_filter(images, (0, 3, 3)) + 0.005 * images
                pc = rng.uniform((0.4, 0.15, 0.45), (0.6, 0.5, 0.7), (1, 3))
                told = Geometry.from_angles(pc, (60, 60))
            else:
                try:
                    master = make()
                except LookupError as missing:
                    print(missing, flush=True)
                    continue
                images, _, told = patterns(master, POOLED, size, noise, error, rng)
            result, joint, fours = placements(images, told.bounds)
            record = {
                "kind": kind, "name": name, "group": group, "size": size, "noise": noise,
                "err": error, "res": result, "joint": joint, "fours": fours,
            }  # fmt: skip
            path.write_bytes(pickle.dumps(record))
            print(kind, name, flush=True)


def placements(
    images: NDArray, bounds: NDArray
) -> tuple[list[dict], Joint | None, list[Joint | None]]:
    """Frame, correlations and parts of each group in each pattern, as plain arrays.

    And what the patterns tell together, all and each of `FOURS`, without the patterns.
    """
    flat, valid = flat_images(images)
    views = views_of(flat, valid, bounds)
    alone = [
        {name: (p.frame, p.correlation, p.part, p.ceiling) for name, p in place(view).items()}
        | {"straightness": straightness([image], valid)}
        for image, view in zip(flat, views, strict=True)
    ]
    fours = [without_patterns(joint_of([views[k] for k in which])) for which in FOURS]
    return alone, without_patterns(joint_of(views)), fours


def without_patterns(joint: Joint | None) -> Joint | None:
    if joint is None:
        return None
    mosaic = dataclasses.replace(joint.mosaic, views=(), sums=np.zeros(0))
    return dataclasses.replace(joint, mosaic=mosaic)


def pool_of(results: list[dict]) -> Pool:
    return Pool([{n: Placement(n, *one[n]) for n in NAMES} for one in results])


def answer(results: list[dict], joint: Joint | None = None) -> NDArray:
    """Probabilities of `NAMES` from placements, or from what patterns tell together."""
    if joint is not None:
        return joint.probabilities()
    mean = float(np.mean([one["straightness"] for one in results]))
    return probabilities(pool_of(results), bands=level_of(mean, len(results)))


def told_set(chance: NDArray, pool: Pool | Joint) -> list[str]:
    """The groups that `LaueResult.group` holds; none where nothing is supported."""
    return kept_of(dict(zip(NAMES, map(float, chance), strict=True)), pool)


def by_evidence(pool: Pool) -> str:
    """The simplest rival: the group of most evidence."""
    return max(NAMES[1:], key=pool.evidence)


def tables(work: Path) -> None:
    records = [pickle.loads(path.read_bytes()) for path in sorted(work.glob("*-*.pkl"))]
    names = sorted({r["name"] for r in records if r["kind"] == "dyn"})

    def chosen(record: dict) -> bool:
        if record["kind"] == "dyn":
            return names.index(record["name"]) % 3 == 0
        number = int(record["name"].split()[-1])
        return number < MOST_LOOKED_AT and number % 3 == 0

    rows = []
    confusion: Counter[tuple[str, str]] = Counter()
    for kind in ("dyn", "kin", "noise"):
        for looked_at in (True, False):
            part = [r for r in records if r["kind"] == kind and chosen(r) is looked_at]
            crystals = len({r["name"] for r in part})
            for number, draws, alone in ROWS:
                right, system, rival, none, sure, held, many, n = 0, 0, 0, 0, 0.0, 0, 0, 0
                for record in part:
                    for d in range(draws):
                        which = {1: [d], 4: FOURS[d % len(FOURS)]}.get(number, range(POOLED))
                        chosen_ones = [record["res"][k] for k in which]
                        # Together, where they hold.
                        joint = (
                            record["joint"] if number == POOLED else record["fours"][d % len(FOURS)]
                        )
                        joint = None if alone else joint
                        pool, chance = pool_of(chosen_ones), answer(chosen_ones, joint)
                        got = NAMES[int(chance.argmax())]
                        none += got == "-1"
                        sure += float(chance.max())
                        n += 1
                        if kind == "noise":
                            continue
                        true = record["group"]
                        right += got == true
                        told = told_set(chance, joint or pool)
                        held += true in told
                        many += len(told)
                        system += SYSTEMS[got] == SYSTEMS[true]
                        rival += by_evidence(pool) == true
                        if number == POOLED and not alone and not looked_at:
                            confusion[true, got] += 1
                if n:
                    shares = (right, system, rival, none, sure, held)
                    values = [f"{100 * v / n:.1f}" for v in shares]
                    values.append(f"{many / n:.1f}")
                    # Of what patterns tell of crystals; there is no truth to noise.
                    values.append("" if kind == "noise" else f"{100 * (sure - right) / n:+.0f}")
                    label = f"{number}" if alone else f"{number} together"
                    rows.append((kind, "chosen on" if looked_at else "rest", crystals, label, n,
                                 *values))  # fmt: skip
    head = ("kind", "crystals", "number", "pooled", "n", "group %", "system %",
            "most evidence %", "no answer %", "mean p %", "true in set %", "in set",
            "told minus true")  # fmt: skip
    show("Laue groups", rows, head)
    against(records, chosen)
    pairs = [(a, b, str(c)) for (a, b), c in sorted(confusion.items())]
    show("Rest, ten pooled", pairs, ("true", "told", "n"))
    reached = []
    for r in records:
        joint, true = r["joint"], r["group"]
        if joint is not None and true in NAMES:
            # Threefold axes of cubes lie along z in no setting.
            within = {"m-3": ("-3",), "m-3m": ("-3", "-3m")}.get(true, ())
            others = [n for n in NAMES if n not in within and not GROUPS[true].contains(GROUPS[n])]
            worst = max(others, key=joint.weakest) if others else ""
            own = "" if true == "-1" else f"{joint.weakest(true):.2f}"
            reached.append((r["name"], int(joint.mosaic.asked.sum()), own, worst,
                            f"{joint.weakest(worst):.2f}" if worst else "",
                            NAMES[int(answer(r["res"]).argmax())],
                            NAMES[int(joint.probabilities().argmax())]))  # fmt: skip
    show("Least ratio of a kind of operations, together", reached,
         ("crystal", "patterns", "of its group", "of another", "ratio", "told one by one",
          "told together"))  # fmt: skip
    missed = []
    for r in records:
        if r["kind"] == "noise" or chosen(r):
            continue
        joint = r["joint"]
        chance = answer(r["res"], joint)
        got = NAMES[int(chance.argmax())]
        if got != r["group"]:
            further = "" if r["kind"] == "dyn" else f"{further_of(r['name']):.2f}"
            pool = pool_of(r["res"])
            held = told_set(chance, joint or pool)
            missed.append((r["name"], got, f"{100 * chance.max():.0f}",
                           " ".join(held), r["size"], f"{r['noise']:.2f}",
                           f"{100 * r['err']:.2f}", further,
                           f"{pool.ceiling:.2f}", "" if joint is None else "yes"))  # fmt: skip
    head = ("true", "told", "p %", "set", "pixels", "noise", "centre error %",
            "further symmetry", "ceiling", "together")  # fmt: skip
    show("Wrong ones, ten pooled", missed, head)


def against(records: list[dict], chosen: Callable[[dict], bool]) -> None:
    """Pools that hold together: told together, against told one by one."""
    rows = []
    for kind, looked_at in ((k, c) for k in ("dyn", "kin") for c in (True, False)):
        part = [
            r for r in records
            if r["kind"] == kind and chosen(r) is looked_at and r["joint"] is not None
        ]  # fmt: skip
        for alike in (True, False):
            right, sure, n = np.zeros(2), np.zeros(2), 0
            for record in part:
                both = [answer(record["res"], joint) for joint in (record["joint"], None)]
                told = [NAMES[int(chance.argmax())] for chance in both]
                if (told[0] == told[1]) is alike:
                    n += 1
                    right += [name == record["group"] for name in told]
                    sure += [float(chance.max()) for chance in both]
            if n:
                rows.append((kind, "chosen on" if looked_at else "rest",
                             "the same" if alike else "different", n,
                             f"{right[0]:.0f}", f"{100 * sure[0] / n:.1f}", f"{right[1]:.0f}",
                             f"{100 * sure[1] / n:.1f}"))  # fmt: skip
    show("Together against one by one, ten pooled", rows,
         ("kind", "crystals", "groups told", "n", "together right", "mean p %", "one by one right",
          "mean p %"))  # fmt: skip


def further_of(name: str) -> float:
    """How much symmetry a crystal's pattern has that its group lacks."""
    group, number = name.split()
    return further_symmetry(crystal(group, int(number)), group)


BLURS = {"white": 0.0, "blurred by half a pixel": 0.5, "blurred by a pixel": 1.0}


def noise(number: int, kinds: list[str], seed: int, pooled: int) -> None:
    """What `laue_group` tells of images without a crystal, with a known camera."""
    rows = []
    for at, kind in enumerate(kinds):
        told: Counter[str] = Counter()
        start = time.process_time()
        for k in range(number):
            rng = np.random.default_rng([seed, at, k])
            images = rng.normal(0, 1, (pooled, 60, 60))
            if BLURS[kind]:
                images = gaussian_filter(images, (0, BLURS[kind], BLURS[kind]))
            centre = rng.uniform((0.4, 0.15, 0.45), (0.6, 0.5, 0.7))
            told[laue_group(images, centre).best or ""] += 1
        took = (time.process_time() - start) / number
        answered = number - told.pop("", 0)
        # Exact interval of 95 per cent.
        most = float(beta.ppf(0.975, answered + 1, number - answered)) if answered < number else 1.0
        rows.append((kind, pooled, number, answered, f"{100 * most:.1f}", dict(told),
                     f"{took:.2f}"))  # fmt: skip
    show("Noise", rows, ("noise", "pooled", "n", "told a group", "at most %", "groups",
                         "processor s a pool"))  # fmt: skip


def steel(folder: Path, work: Path) -> None:
    import h5py
    import kikuchipy

    path = work / "steel.pickle"
    if not path.exists():
        with h5py.File(folder / "dual_phase_steel_rows00-14.h5") as file:
            images = file["patterns"][()].reshape(-1, 60, 60)
            confidence = file["ang"][()].reshape(-1, 10)[:, 6]
        centre = Geometry.from_angles((0.5017, 1 - 0.7189, 0.5342), (60, 60))
        start = time.process_time()
        one, joint = placements(images[confidence > 0.3][::5], centre.bounds)
        print(f"{(time.process_time() - start) / len(one):.3f} processor seconds a pattern")
        nickel = kikuchipy.data.nickel_ebsd_small()
        two, other = placements(
            nickel.data.reshape(-1, 60, 60), Geometry.of(nickel.detector).bounds
        )
        # Patterns of so few orientations do not hold together: each is judged by itself.
        print("together:", joint is not None, other is not None)
        path.write_bytes(pickle.dumps({"steel": one, "ni": two}))
    data = pickle.loads(path.read_bytes())
    rng = np.random.default_rng(0)
    rows = []
    looked_at = np.arange(0, len(data["steel"]), 3)
    rest = np.setdiff1d(np.arange(len(data["steel"])), looked_at)
    sets = {"steel, chosen on": [data["steel"][k] for k in looked_at],
            "steel, rest": [data["steel"][k] for k in rest], "nickel": data["ni"]}  # fmt: skip
    for name, part in sets.items():
        for number in (1, 5, len(part)):
            draws = len(part) if number == 1 else 200 if number < len(part) else 1
            told: Counter[str] = Counter()
            for d in range(draws):
                which = [d] if number == 1 else rng.permutation(len(part))[:number]
                chance = answer([part[k] for k in which])
                told[NAMES[int(chance.argmax())]] += 1
            rows.append((name, number, draws, f"{100 * told['m-3m'] / draws:.1f}", dict(told)))
    show("Measured", rows, ("patterns", "pooled", "n", "m-3m %", "told"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--masters", type=Path, default=Path("masters"))
    parser.add_argument("--steel", type=Path)
    parser.add_argument("--crystals", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="number of the first crystal")
    parser.add_argument("--kinds", nargs="*", default=["dyn", "noise", "kin"])
    parser.add_argument("--systems", nargs="*", default=[*SYSTEMS.values(), ""], help="of crystals")
    parser.add_argument("--cameras", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tables", action="store_true", help="of what WORK has, no more")
    parser.add_argument("--noise", type=int, default=0, help="pools of each of --noises")
    parser.add_argument("--noises", nargs="*", default=["white"], choices=BLURS)
    parser.add_argument("--noise-pool", type=int, default=8, help="images of noise together")
    given = parser.parse_args()
    if given.noise:
        noise(given.noise, given.noises, given.seed, given.noise_pool)
        return
    given.work.mkdir(parents=True, exist_ok=True)
    if not given.tables:
        numbers = range(given.first, given.first + given.crystals)
        collect(given.work, given.masters, numbers, given.seed, given.cameras, given.kinds,
                given.systems)  # fmt: skip
    tables(given.work)
    if given.steel is not None:
        steel(given.steel, given.work)


if __name__ == "__main__":
    main()
