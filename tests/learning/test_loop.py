"""The training loop: learns, resumes exactly, stops early, cancels, reports bad losses."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from napari_ebsdml._parallel import available_cores
from napari_ebsdml.errors import InputError
from napari_ebsdml.learning.device import pick_device, seed_all, threads
from napari_ebsdml.learning.loop import Schedule, TrainingEvent, train
from napari_ebsdml.learning.model_file import ModelError

SCHEDULE = Schedule(epochs=4, steps=25, learning_rate=0.05, average=0.9, report_every=10)
TRUE = torch.tensor([[2.0, -1.0, 0.5]])


def network() -> nn.Module:
    seed_all(3)
    return nn.Sequential(nn.Linear(3, 1), nn.BatchNorm1d(1, affine=False), nn.Linear(1, 1))


def batches(epoch):
    for step in range(100):
        generator = torch.Generator().manual_seed(1000 * epoch + step)
        x = torch.randn(32, 3, generator=generator)
        yield x, x @ TRUE.T + 0.3


def loss(net, batch):
    x, y = batch
    return {"fit": (net(x) - y).square().mean(), "size": 0 * net(x).sum()}


def validate(net):
    assert not net.training
    x, y = next(iter(batches(99)))
    with torch.no_grad():
        return {"error": float((net(x) - y).square().mean())}


def run(**changes):
    net = network()
    schedule = dataclasses.replace(SCHEDULE, monitor="error")
    events = list(train(net, batches, loss, schedule, validate, **changes))
    return net, events


def same(a: nn.Module, b: nn.Module) -> bool:
    return all(
        torch.equal(x, y)
        for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    )


def test_it_learns_and_tells_how_far_it_is():
    before = validate(network().eval())["error"]
    net, events = run()
    assert validate(net)["error"] < 0.05 * before
    assert not net.training
    kinds = [event.kind for event in events]
    assert kinds == (["step"] * 2 + ["epoch"]) * 4 + ["end"]
    fractions = [event.fraction for event in events]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    epochs = [event for event in events if event.kind == "epoch"]
    assert epochs[0].losses.keys() == {"loss", "fit", "size"}
    assert epochs[0].losses["loss"] == pytest.approx(epochs[0].losses["fit"])
    best = min(epochs, key=lambda event: event.metrics["error"])
    assert events[-1].best_epoch == best.epoch
    assert validate(net)["error"] == best.metrics["error"]
    assert events[-1].reason == "finished"


def test_same_seed_same_weights():
    assert same(run()[0], run()[0])


def test_resumed_training_ends_at_the_same_weights(tmp_path):
    whole, _ = run()
    file = tmp_path / "run.checkpoint"
    net = network()
    schedule = dataclasses.replace(SCHEDULE, monitor="error")
    events = train(net, batches, loss, schedule, validate, file, recipe={"seed": 3})
    for event in events:
        if event.kind == "step" and event.epoch == 2:
            break  # in the middle of the third epoch
    events.close()
    torch.manual_seed(99)
    again = nn.Sequential(nn.Linear(3, 1), nn.BatchNorm1d(1, affine=False), nn.Linear(1, 1))
    later = list(train(again, batches, loss, schedule, validate, file, recipe={"seed": 3}))
    assert [event.epoch for event in later if event.kind == "epoch"] == [3, 4]
    assert same(whole, again)


def test_checkpoint_of_another_recipe_is_refused(tmp_path):
    file = tmp_path / "run.checkpoint"
    run(checkpoint=file, recipe={"seed": 1})
    with pytest.raises(ModelError, match="another recipe"):
        run(checkpoint=file, recipe={"seed": 2})
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ModelError, match="damaged checkpoint"):
        run(checkpoint=file, recipe={"seed": 1})
    _, events = run(checkpoint=file, recipe={"seed": 2}, resume=False)
    assert events[-1].reason == "finished"


def test_cancelling_keeps_the_best_weights_or_the_first():
    net = network()
    first = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    schedule = dataclasses.replace(SCHEDULE, monitor="error")
    events = train(net, batches, loss, schedule, validate)
    next(events)
    events.close()
    assert all(torch.equal(first[name], tensor) for name, tensor in net.state_dict().items())
    events = train(net, batches, loss, schedule, validate)
    event = next(event for event in events if event.kind == "epoch")
    next(events)
    events.close()
    assert validate(net)["error"] == event.metrics["error"]


def test_early_stop():
    net = network()
    values = iter([3.0, 1.0, 2.0, 2.0, 2.0, 2.0])
    schedule = dataclasses.replace(SCHEDULE, epochs=6, patience=2, monitor="x")
    events = list(train(net, batches, loss, schedule, lambda _: {"x": next(values)}))
    assert [event.epoch for event in events if event.kind == "epoch"] == [1, 2, 3, 4]
    assert (events[-1].reason, events[-1].best_epoch) == ("early stop", 2)


def test_loss_that_explodes_is_one_clear_error():
    def bad(net, batch):
        return {"fit": loss(net, batch)["fit"] * float("nan")}

    net = network()
    first = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.raises(ModelError, match="loss became nan in epoch 1, step 1"):
        list(train(net, batches, bad, SCHEDULE))
    assert all(torch.equal(first[name], tensor) for name, tensor in net.state_dict().items())


def test_no_data_and_unknown_metric():
    with pytest.raises(InputError, match="no batch"):
        list(train(network(), lambda epoch: [], loss, SCHEDULE))
    schedule = dataclasses.replace(SCHEDULE, monitor="nonsense")
    with pytest.raises(InputError, match="'nonsense'"):
        list(train(network(), batches, loss, schedule))
    with pytest.raises(InputError, match="learning_rate"):
        Schedule(1, 1, learning_rate=-1)


def test_rate_rises_and_falls():
    rates = [SCHEDULE.rate(step) for step in range(100)]
    top = rates.index(max(rates))
    assert 2 <= top <= 8
    assert rates[-1] < 0.001
    assert dataclasses.replace(SCHEDULE, warm_up=None).rate(50) == 0.05


def test_device_threads_and_seed():
    assert pick_device("cpu").type == "cpu"
    with pytest.raises(InputError, match="nonsense"):
        pick_device("nonsense")
    before = torch.get_num_threads()
    with threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
    with threads(before + 3), threads(None):
        # Not told, torch takes no more threads than there are cores for them.
        assert torch.get_num_threads() == min(before + 3, available_cores())
    assert torch.get_num_threads() == before
    with pytest.raises(InputError), threads(0):
        pass
    with pytest.raises(InputError):
        seed_all(-1)


def test_events_are_plain():
    _, events = run()
    for event in events:
        assert isinstance(event, TrainingEvent)
        for value in (*event.losses.values(), *event.metrics.values()):
            assert type(value) is float
