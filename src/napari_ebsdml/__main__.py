"""`python -m napari_ebsdml` is `ebsdml`."""

from napari_ebsdml.cli import main

main()
