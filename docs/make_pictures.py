"""Make the pictures of README and docs: ``python docs/make_pictures.py [KIND ...]``; kinds:

windows     docks at work, as `make demo` and `crystal_picture.py` show them; needs a display
tutorials   the figures that the code of the tutorials draws; fetches the DC06 map once
outside     contact sheet, figure, session and volume of `show_pictures.py`; needs a display

Without names, all. Pictures land in docs/images, at most 200 kB each.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
IMAGES = ROOT / "docs" / "images"
TUTORIALS = {"segment": "segment.png", "deformation": "deformation.png", "crystal": "crystal.png"}
WINDOWS = ("segmenter.png", "gnd.png")
OUTSIDE = {
    "sheet.png": "contact-sheet.png", "figure.png": "figure.png", "session.png": "session.png",
    "volume.png": "volume.png",
}  # fmt: skip
MOST = 200_000
"""Bytes of a picture."""


def tutorials(folder: Path) -> None:
    """Run the code of the tutorials, and keep the figure that each ends with."""
    import matplotlib

    matplotlib.use("Agg")
    sys.path.insert(0, str(ROOT))
    from docs.code_blocks import blocks

    os.chdir(folder)
    for page, figure in TUTORIALS.items():
        names: dict[str, object] = {}
        for block in blocks((ROOT / "docs" / "tutorials" / f"{page}.md").read_text("utf-8")):
            if block.language == "python" and not block.reason:
                exec(block.code, names)
        keep(Path(figure), f"tutorial-{page}.png")


def windows(folder: Path) -> None:
    """Run the demonstration, and keep the picture of each job."""
    subprocess.run(
        [sys.executable, "-m", "napari_ebsdml.demo", "--output", folder, "--quit"], check=True
    )
    for name in WINDOWS:
        keep(folder / name, name)
    crystal = folder / "space-groups.png"
    subprocess.run([sys.executable, ROOT / "docs" / "crystal_picture.py", crystal], check=True)
    keep(crystal, crystal.name)


def outside(folder: Path) -> None:
    """What leaves the window."""
    subprocess.run([sys.executable, ROOT / "docs" / "show_pictures.py", folder], check=True)
    for name, kept in OUTSIDE.items():
        keep(folder / name, kept)


def keep(picture: Path, name: str) -> None:
    """Into docs/images, with as many colours and pixels as fit."""
    from PIL import Image

    image = Image.open(picture).convert("RGB")
    side = 1400
    while True:
        small = image.copy()
        small.thumbnail((side, side))
        small.quantize(256, dither=Image.Dither.NONE).save(IMAGES / name, optimize=True)
        if (IMAGES / name).stat().st_size <= MOST:
            break
        side = round(side * 0.9)
    print(f"{name}: {(IMAGES / name).stat().st_size / 1e3:.0f} kB")


def main(chosen: list[str]) -> None:
    """Make the chosen kinds of pictures."""
    kinds = {"windows": windows, "tutorials": tutorials, "outside": outside}
    if not set(chosen) <= set(kinds):
        raise SystemExit(__doc__)
    for kind in chosen or kinds:
        with tempfile.TemporaryDirectory() as folder:
            kinds[kind](Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
