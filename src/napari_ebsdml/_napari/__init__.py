"""The napari plugin: the only folder that imports napari or Qt.

`layers` writes and reads what every layer of the plugin carries; `map_layers` shows a `Scan`;
`reader`, `writer` and `samples` are what the manifest `napari.yaml` points to.
"""
