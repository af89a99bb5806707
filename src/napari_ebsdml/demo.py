"""`python -m napari_ebsdml.demo [MAP] [--screenshot PATH]`: the plugin at work in napari.

Opens a map as a user would, the sample by default, and lets every dock work on it. Without a
display the same happens on a virtual one (Xvfb), and a picture is saved.
"""

from __future__ import annotations

from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demonstration.

    Parameters
    ----------
    arguments
        As on the command line. Default: those of the process.

    Returns
    -------
    int
        Exit status.

    Raises
    ------
    ImportError
        When napari is not installed.
    """
    from napari_ebsdml._napari.demo.run import main as run

    return run(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
