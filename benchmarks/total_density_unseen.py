"""What helps the estimator of the total density with classes it has not seen: a trial.

python benchmarks/total_density_unseen.py WORK [--files 12] [--visits 15]

WORK is the folder of `ebsdml dev train-total-density`. Every class is left out in turn, in mixtures
too, and answered by the network, by the network that also saw shifted copies of the structures, by
ridge regression on all numbers and their products with the excess over the noise (fitted where the
truth is above the limit), and by the middle of network and regression. RMS errors in decades, mean
and worst of the classes, by the true rho (b / sigma)^2, and by what each estimator itself says.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from napari_ebsdml.dislocations.total.examples import CLASSES, Examples, make_examples
from napari_ebsdml.dislocations.total.left_out import MEASURABLE
from napari_ebsdml.dislocations.total.statistics import NAMES, NOISE_COLUMN
from napari_ebsdml.dislocations.total.train import Recipe, as_model, train_network

RIDGE = 0.03
TRUE = {"above 100": (2, 9), "20 to 100": (1.3, 2), "3 to 20": (0.5, 1.3), "0.3 to 3": (-0.5, 0.5)}
SAID = {"said above 100": (2, 9), "said 20 to 100": (1.3, 2)}


def regression(train: Examples, inputs: np.ndarray) -> np.ndarray:
    """Ridge regression, of windows that tell their density."""
    clear = train.strength > MEASURABLE
    x, y = train.inputs[clear].astype(np.float64), train.lines[clear].astype(np.float64)
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-3

    def design(values: np.ndarray) -> np.ndarray:
        z = np.clip((values - mean) / scale, -5, 5)
        excess = np.tanh(values[:, [NAMES.index("D(1) / noise")]] / 3)
        return np.concatenate((z, z * excess, excess**2), axis=1)

    a = design(x)
    middle = a.mean(axis=0)
    a = a - middle
    solved = np.linalg.solve(a.T @ a + RIDGE * len(a) * np.eye(a.shape[1]), a.T @ (y - y.mean()))
    return (design(inputs.astype(np.float64)) - middle) @ solved + y.mean()


def network(train: Examples, inputs: np.ndarray, seed: int, visits: int) -> np.ndarray:
    """Median of one network."""
    own = train_network(train, Recipe(visits=visits * len(train)), seed)
    return as_model([own], train).predict(inputs)[0].quantile(0.5)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--files", type=int, default=12)
    parser.add_argument("--copies", type=int, default=6)
    parser.add_argument("--visits", type=int, default=15, help="of each window")
    given = parser.parse_args()
    torch.set_num_threads(1)
    files = sorted((given.work / "structures").glob("structures-*.npz"))[: given.files]
    plain = make_examples(files, 12, 1, None, given.work / "examples")
    both = make_examples(files, 12, 1, None, given.work / "examples", given.copies)
    print(f"{len(files)} files, {len(plain)} windows, {len(both)} with copies")
    errors: dict[str, list[dict[str, float]]] = {}
    for number, kind in enumerate(CLASSES):
        own = plain.select(plain.of(kind))
        if not len(own):
            continue
        train, more = (e.select(e.without(kind)) for e in (plain, both))
        answers = {
            "network": network(train, own.inputs, 1001 + number, given.visits),
            "network, copies": network(more, own.inputs, 1001 + number, given.visits),
            "regression": regression(train, own.inputs),
        }
        answers["middle"] = (answers["network"] + answers["regression"]) / 2
        for name, answer in answers.items():
            error = answer - own.lines
            said = answer - 2 * own.inputs[:, NOISE_COLUMN]
            row = {}
            for columns, strength in ((TRUE, own.strength), (SAID, said)):
                for title, (low, high) in columns.items():
                    rows = (strength > low) & (strength <= high)
                    if rows.sum() >= 10:
                        row[title] = float(np.sqrt(np.mean(error[rows] ** 2)))
            errors.setdefault(name, []).append(row)
    titles = [*TRUE, *SAID]
    print("| mean (worst) of classes | " + " | ".join(titles) + " |")
    print("|---" * (len(titles) + 1) + "|")
    for name, rows in errors.items():
        cells = []
        for title in titles:
            values = [row[title] for row in rows if title in row]
            cells.append(f"{np.mean(values):.2f} ({max(values):.2f})" if values else "")
        print(f"| {name} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
