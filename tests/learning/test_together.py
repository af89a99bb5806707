"""Trainings of two processes that torchrun starts: the same network as of one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from napari_ebsdml.learning import together

SCRIPT = """
import sys
import torch
from torch import nn
from napari_ebsdml.learning.loop import Schedule, train
from napari_ebsdml.learning.model_card import ModelCard
from napari_ebsdml.learning.model_file import save_model
from napari_ebsdml.learning.together import rank

torch.manual_seed(rank())  # other weights in each process, until the first one's are taken
if rank() == 0:
    torch.manual_seed(3)
net = nn.Linear(3, 1)

def batches(epoch):
    for step in range(20):
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(100 * epoch + step))
        yield {"x": x, "y": x @ torch.tensor([[2.0], [-1.0], [0.5]])}

def loss(net, batch):
    assert len(batch["x"]) == 8 // int(sys.argv[2])
    return {"loss": (net(batch["x"]) - batch["y"]).square().mean()}

*_, end = train(net, batches, loss, Schedule(3, 20, 0.05))
save_model(sys.argv[1] + f"-{rank()}", net.state_dict(), ModelCard(kind="test", network="linear"))
print("END", end.losses["loss"])
"""


@pytest.mark.long
def test_two_processes_train_what_one_trains(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, "utf-8")
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    one = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path / "one"), "1"], env=env, stdout=-1, text=True
    )
    two = subprocess.run(
        [*run, str(script), str(tmp_path / "two"), "2"], env=env, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    said = one.communicate(timeout=300)[0]
    assert two.returncode == 0, two.stderr[-2000:]
    from napari_ebsdml.learning.model_file import load_model

    want, got = (load_model(tmp_path / f"{name}-0")[0] for name in ("one", "two"))
    for name, values in want.items():
        torch.testing.assert_close(got[name], values, atol=1e-5, rtol=1e-4)
    losses = [float(line.split()[1]) for line in (said + two.stdout).split("\n") if "END" in line]
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-3)
    # The second process writes nothing.
    assert not list(tmp_path.glob("two-1*"))


def test_shares_of_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    x, weights = torch.arange(5), torch.ones(3)
    found, same = together.share((x, weights))
    assert found.tolist() == [1, 3]
    assert same is weights
    few = torch.arange(1)
    assert together.share([few])[0] is few
    monkeypatch.delenv("WORLD_SIZE")
    assert together.size() == 1
    assert together.agreed("so") == "so"
