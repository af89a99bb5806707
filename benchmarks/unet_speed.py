"""How fast the U-Net of the segmenter predicts on a CPU: ways to run it, beside each other.

    python benchmarks/unet_speed.py [--size 512] [--repeats 5] [--threads 1]

The default network (depth 3, four members would be four times this) with chance weights on chance
planes (seed 0), one image of `size` squared in one piece; best of the repeats in processor and wall
seconds, after one run to warm up. "off" is the largest difference of a logit from eager float32,
"labels" the part of the pixels in % that get another class.
Ways that are not installed are named so.
"""

from __future__ import annotations

import argparse
import io
import shutil
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from napari_ebsdml.learning.device import has_bfloat16
from napari_ebsdml.segmentation.models.network import UNet
from napari_ebsdml.segmentation.settings import UNetSettings

PLANES, CLASSES = 8, 3


def ways(network: UNet, image: torch.Tensor) -> dict[str, Callable[[], Any] | str]:
    """Name -> function that predicts, or why there is none."""

    def eager(net: Any, x: Any) -> Callable[[], Any]:
        def run() -> Any:
            with torch.inference_mode():
                return net(x).float().numpy()

        return run

    found: dict[str, Callable[[], Any] | str] = {"eager": eager(network, image)}
    last = UNet(PLANES, CLASSES, network.settings)
    last.load_state_dict(network.state_dict())
    last.eval().to(memory_format=torch.channels_last)
    x = image.contiguous(memory_format=torch.channels_last)
    found["channels_last (in use)"] = eager(last, x)

    def lower() -> Any:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            return last(x).float().numpy()

    found["channels_last, bfloat16"] = lower
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            traced = torch.jit.freeze(torch.jit.trace(last, x))
            traced = torch.jit.optimize_for_inference(traced)
            found["channels_last, traced and frozen"] = eager(traced, x)
        except Exception as error:
            found["channels_last, traced and frozen"] = str(error).splitlines()[0]
        if shutil.which("g++") or shutil.which("clang++"):
            try:
                compiled = torch.compile(last)
                with torch.inference_mode():
                    compiled(x)
                found["torch.compile"] = eager(compiled, x)
            except Exception as error:
                found["torch.compile"] = str(error).splitlines()[0]
        else:
            found["torch.compile"] = "no C++ compiler here"
        model = None
        try:
            buffer = io.BytesIO()
            torch.onnx.export(network, (image,), buffer, dynamo=False)
            model = buffer.getvalue()
        except Exception as error:
            found["ONNX Runtime"] = found["OpenVINO"] = f"no export: {str(error).splitlines()[0]}"
        if model is not None:
            found |= exported(model, image.numpy())
    return found


def exported(model: bytes, image: Any) -> dict[str, Callable[[], Any] | str]:
    found: dict[str, Callable[[], Any] | str] = {}
    try:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(model, options)
        name = session.get_inputs()[0].name
        found["ONNX Runtime"] = lambda: session.run(None, {name: image})[0]
    except ImportError:
        found["ONNX Runtime"] = "not installed"
    try:
        import openvino

        core = openvino.Core()
        settings = {"INFERENCE_NUM_THREADS": torch.get_num_threads(),
                    "INFERENCE_PRECISION_HINT": "f32"}  # fmt: skip
        loaded = core.compile_model(core.read_model(model), "CPU", settings)
        found["OpenVINO"] = lambda: loaded([image])[0]
    except ImportError:
        found["OpenVINO"] = "not installed"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    network = UNet(PLANES, CLASSES, UNetSettings()).eval()
    with torch.no_grad():
        # What begins as zero would give zeros whatever came before.
        for part in network.parameters():
            part += 0.05 * torch.randn_like(part)
    image = torch.randn(1, PLANES, asked.size, asked.size)
    print(f"torch {torch.__version__}, {asked.threads} thread(s), {asked.size} x {asked.size} "
          f"pixels, bfloat16 in hardware: {has_bfloat16(torch.device('cpu'))}")  # fmt: skip
    print(f"{'':36}{'cpu s':>8}{'wall s':>8}{'Mpx/cpu s':>11}{'off':>10}{'labels %':>9}")
    want = None
    for name, run in ways(network, image).items():
        if isinstance(run, str):
            print(f"{name:36}{run[:60]}")
            continue
        first = np.asarray(run())
        want = first if want is None else want
        best: tuple[float, float] = (np.inf, np.inf)
        for _ in range(asked.repeats):
            cpu, wall = time.process_time(), time.perf_counter()
            run()
            best = min(best, (time.process_time() - cpu, time.perf_counter() - wall))
        off = float(np.abs(first - want).max())
        changed = float((first.argmax(1) != want.argmax(1)).mean())
        speed = asked.size**2 / best[0] / 1e6
        print(
            f"{name:36}{best[0]:8.3f}{best[1]:8.3f}{speed:11.3f}{off:10.1e}{100 * changed:9.3f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
