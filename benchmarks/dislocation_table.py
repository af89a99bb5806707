"""The one table on total dislocation density: what each step brings, on one fixed test set.

    python benchmarks/dislocation_table.py FOLDER [--maps 48000] [--seeds 3] [--rows NAME ...]

Each row is trained if need be, judged, and kept in FOLDER as JSON; a second call goes on where
the first was stopped. The table is printed and written to FOLDER/table.md. All networks of the
table see the article's distribution only (21 x 21 pixels, balanced N = 1..5), except the models
that ship.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from napari_ebsdml.dislocations.article.lines import simulate_crops, simulate_maps
from napari_ebsdml.dislocations.article.lines_presets import line_rules
from napari_ebsdml.dislocations.article.losses import mape
from napari_ebsdml.dislocations.article.model import SHIPPED, DislocationModel
from napari_ebsdml.dislocations.article.paper_network import TableA1Network, paper_loss
from napari_ebsdml.dislocations.article.predict import predict_planes
from napari_ebsdml.dislocations.article.train import CropTest, Recipe, crop_test, judge, train_lines
from napari_ebsdml.errors import EbsdmlError
from napari_ebsdml.learning.device import seed_all, threads
from napari_ebsdml.learning.loop import Schedule, train
from napari_ebsdml.learning.model_card import read_card

TEST_SEED = 31_415_926
TEST_CROPS = 100_000
FIT_SEED = 27_182_818
# The article's Table 1; ratio 1 has no regression, so one form is enough.
RATIOS = (
    *(("msle", ratio) for ratio in (0, 0.5, 1, 0.25, 0.75)),
    *(("mse", ratio) for ratio in (0.5, 0, 0.25, 0.75)),
)

Figures = dict[str, float]


def best_constant(ratio: np.ndarray) -> float:
    """Factor c with the least mean |1 - c q| of the ratios q = estimate / truth."""
    order = np.argsort(1 / ratio)
    half = np.cumsum(ratio[order]) >= 0.5 * ratio.sum()
    return float(1 / ratio[order][np.argmax(half)])


def centre(test: CropTest) -> np.ndarray:
    middle = test.gnd.shape[-1] // 2
    return test.gnd[..., middle, middle].norm(dim=1).numpy()


def simple_rows(test: CropTest, rules: str) -> dict[str, Figures]:
    fit = crop_test(TEST_CROPS, rules, FIT_SEED)
    factor = best_constant(centre(fit) / fit.total)
    # An estimate of 1 for all: its best factor is the best constant.
    table = {n: best_constant(1 / fit.total[fit.count == n]) for n in range(1, 6)}
    known = np.array([table[int(n)] for n in test.count])
    size = centre(test)

    def row(found: np.ndarray) -> Figures:
        return {"mape": mape(found, test.total), "bias": float(np.mean(found) / test.total.mean())}

    return {
        "|GND|": row(size),
        f"{factor:.3f} x |GND| (best constant)": row(factor * size),
        "N known (best constant of each)": {**row(known), "accuracy": 1.0},
    }


def paper_row(
    folder: Path,
    test: CropTest,
    scrambled: bool,
    visits: int,
    pool: int,
    seed: int,
    *,
    ratio: float = 0.5,
    form: str = "msle",
) -> Figures:
    """Table A1's network with the article's loss (equation 3) and batches of 64.

    Adam as in the article needs some 3e7 visits; Muon gets further on the visits that there are.
    """
    steps = max(visits // 64 // 10, 1)
    crops = simulate_crops(pool, "paper", seed + 1, scrambled=scrambled)
    gnd = torch.from_numpy(np.ascontiguousarray(np.moveaxis(crops.gnd, -1, 1)))
    count, total = torch.from_numpy(crops.count), torch.from_numpy(crops.total)
    seed_all(seed)
    network = TableA1Network()

    def batches(epoch: int) -> Iterator[torch.Tensor]:
        rng = np.random.default_rng([seed, epoch])
        for _ in range(steps):
            yield torch.from_numpy(rng.integers(0, pool, 64))

    def loss(net: torch.nn.Module, at: torch.Tensor) -> dict[str, torch.Tensor]:
        return paper_loss(*net(gnd[at]), count[at], total[at], ratio, form)

    def figures(net: torch.nn.Module, some: CropTest) -> Figures:
        parts = []
        with torch.no_grad():
            for start in range(0, len(some.count), 2048):
                parts.append(net(some.gnd[start : start + 2048, :, 2:-2, 2:-2]))
        logits, density = (torch.cat(group).numpy() for group in zip(*parts, strict=True))
        return {
            "mape": mape(density, some.total),
            "accuracy": float(np.mean(logits.argmax(1) + 1 == some.count)),
            "bias": float(density.mean() / some.total.mean()),
        }

    held = crop_test(5000)
    schedule = Schedule(
        10, steps, 4e-3, warm_up=0.03, average=0.999, clip=1.0, monitor="mape", optimizer="muon"
    )
    recipe = {"scrambled": scrambled, "pool": pool, "seed": seed, "ratio": ratio, "form": form}
    name = f"a1-{'scrambled' if scrambled else 'right'}-{form}-{ratio}-{visits}-{seed}.checkpoint"
    for event in train(
        network,
        batches,
        loss,
        schedule,
        lambda net: figures(net, held),
        folder / name,
        True,
        recipe,
    ):
        if event.kind == "epoch":
            print(name, event.epoch, {k: round(v, 4) for k, v in event.metrics.items()}, flush=True)
    return figures(network, test)


def our_network(folder: Path, radius: int, maps: int, seed: int) -> Path:
    steps = 500
    epochs = max(round(maps / steps / 16), 1)
    recipe = Recipe(
        data="paper", radius=radius, epochs=epochs, steps=steps, seed=seed, wrong_scale=0.0,
        noisy=0.0,
    )  # fmt: skip
    path = folder / f"ours-r{radius}-{maps}-{seed}.safetensors"
    # Calibrated only once a training is through.
    if path.exists() and "held-out cover90" in read_card(path).metrics:
        return path
    for event in train_lines(recipe, path, n_threads=None, validation=5000):
        if event.kind == "epoch":
            found = {k: round(v, 4) for k, v in event.metrics.items()}
            print(path.stem, event.epoch, found, flush=True)
    return path


def write_table(folder: Path, rows: dict[str, list[Figures]], note: str) -> None:
    lines = [
        "| estimate | MAPE % | accuracy of N % | mean est. / mean true | within 90 % interval % |",
        "|---|---|---|---|---|",
    ]

    def cell(figures: list[Figures], key: str, factor: float, digits: int) -> str:
        values = [factor * one[key] for one in figures if key in one]
        if not values:
            return "-"
        spread = f" +- {np.std(values, ddof=1):.{digits}f}" if len(values) > 1 else ""
        return f"{np.mean(values):.{digits}f}{spread}"

    for name, figures in rows.items():
        seeds = f" ({len(figures)} seeds)" if len(figures) > 1 else ""
        lines.append(
            f"| {name}{seeds} | {cell(figures, 'mape', 100, 2)} "
            f"| {cell(figures, 'accuracy', 100, 1)} "
            f"| {cell(figures, 'bias', 1, 3)} | {cell(figures, 'cover90', 100, 1)} |"
        )
    text = "\n".join(lines) + f"\n\n{note}\n"
    (folder / "table.md").write_text(text)
    print(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--maps", type=int, default=320_000, help="maps each of our networks sees")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--visits", type=int, default=480_000, help="crops Table A1's network sees")
    parser.add_argument("--pool", type=int, default=100_000, help="different crops among these")
    parser.add_argument("--rules", default="paper", help="line rules of the test set")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--rows",
        nargs="*",
        default=["simple", "shipped", "ours", "a1", "ratios", "wide", "speed"],
    )
    given = parser.parse_args()
    folder: Path = given.folder
    folder.mkdir(parents=True, exist_ok=True)
    test = crop_test(TEST_CROPS, given.rules, TEST_SEED)
    rows: dict[str, list[Figures]] = {}
    note = (
        f"{TEST_CROPS} crops, rules {given.rules!r}, balanced N = 1..5. Ours: {given.maps} fresh "
        f"maps of 21 x 21 pixels each; Table A1: {given.visits} visits of {given.pool} crops "
        f"(the article: about 3e7 of 5e5)."
    )

    def kept(name: str) -> Path:
        return folder / f"{name}-test-{given.rules}.json"

    def once(name: str, make) -> Figures:  # type: ignore[no-untyped-def]
        file = kept(name)
        if not file.exists():
            file.write_text(json.dumps(make()))
        return json.loads(file.read_text())

    with threads(given.threads):
        if "simple" in given.rows:
            rows |= {name: [one] for name, one in simple_rows(test, given.rules).items()}
        if "a1" in given.rows:
            for scrambled in (True, False):
                name = f"a1-{'scrambled' if scrambled else 'right'}-{given.visits}"
                found = once(
                    name,
                    lambda s=scrambled: paper_row(folder, test, s, given.visits, given.pool, 0),
                )
                pairing = "scrambled" if scrambled else "right"
                rows[f"Table A1, equation 3, {pairing} pairs"] = [found]
                write_table(folder, rows, note)
        if "ratios" in given.rows:
            for form, ratio in RATIOS:
                found = once(
                    f"a1-right-{form}-{ratio}-{given.visits}",
                    lambda f=form, r=ratio: paper_row(
                        folder, test, False, given.visits, given.pool, 0, ratio=r, form=f
                    ),
                )
                rows[f"Table 1, {form}, ratio {ratio}"] = [found]
                write_table(folder, rows, note)
        for key, radius in (("ours", 3), ("wide", 5)):
            if key not in given.rows:
                continue
            for seed in range(given.seeds):
                side = 2 * radius + 1
                for symmetric in (False, True):
                    name = f"ours, {side} x {side}" + (", 16 symmetries" if symmetric else "")

                    def figures(r: int = radius, seed: int = seed, s: bool = symmetric) -> Figures:
                        path = our_network(folder, r, given.maps, seed)
                        model = DislocationModel.load(path)
                        return judge(model.network, test, s, **model.calibration(True))

                    kind = "tta" if symmetric else "once"
                    found = once(f"ours-r{radius}-{given.maps}-{seed}-{kind}", figures)
                    rows.setdefault(name, []).append(found)
                write_table(folder, rows, note)
        if "shipped" in given.rows:
            noisy = {
                part: crop_test(TEST_CROPS, line_rules(given.rules).replace(noise=part), TEST_SEED)
                for part in (0.02, 0.05, 0.1, 0.2)
            }
            for name in SHIPPED:
                try:
                    model = DislocationModel.load(name)
                except EbsdmlError as error:
                    print(error)
                    continue
                for symmetric in (False, True):
                    label = f"shipped {name!r}" + (", 16 symmetries" if symmetric else "")
                    rows[label] = [judge(model.network, test, symmetric, **model.calibration(True))]
                for part, some in noisy.items():
                    label = f"shipped {name!r}, noise of {part:.0%} of a line"
                    rows[label] = [judge(model.network, some, **model.calibration(True))]
    write_table(folder, rows, note)
    if "speed" in given.rows:
        speed(given.rules)


def speed(rules: str) -> None:
    """A map of 200 x 200 pixels in one go, and crop by crop through Table A1; one thread."""
    maps = simulate_maps(100, rules, seed=5).gnd.reshape(10, 10, 21, 21, 2)
    gnd = np.ascontiguousarray(maps.transpose(0, 2, 1, 3, 4).reshape(210, 210, 2)[:200, :200])
    crops = simulate_crops(4096, rules, 1).gnd
    crops_torch = torch.from_numpy(np.ascontiguousarray(np.moveaxis(crops, -1, 1)))
    paper = TableA1Network().eval()
    with threads(1):
        for name in SHIPPED:
            took = []
            for turn in range(6):
                start = time.perf_counter()
                predict_planes(gnd[None], 1.0, 1e12, name, symmetric=False)
                took.append(time.perf_counter() - start)
                if not turn:
                    took.clear()  # the first call compiles
            crop_took = []
            with torch.inference_mode():
                for _ in range(3):
                    start = time.perf_counter()
                    paper(crops_torch)
                    crop_took.append((time.perf_counter() - start) * gnd[..., 0].size / len(crops))
            print(
                f"{name!r}, 200 x 200 pixels, one thread: {min(took):.3f} s; crop by crop through "
                f"Table A1 {min(crop_took):.1f} s, {min(crop_took) / min(took):.0f} times as long"
            )


if __name__ == "__main__":
    main()
