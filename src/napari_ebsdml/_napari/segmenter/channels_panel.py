"""Page "More" of the segmenter: which channels the network reads, with pictures of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import (
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_ebsdml._napari.layers.of_scans import contrast_limits
from napari_ebsdml._napari.segmenter.channel_offers import Offer, offers
from napari_ebsdml._napari.segmenter.state import SegmenterState
from napari_ebsdml._napari.shell.background import Background
from napari_ebsdml._napari.shell.workers import Outcome
from napari_ebsdml.errors import EbsdmlError, InputError
from napari_ebsdml.scan import Scan

_COLUMNS = (
    ("pixel", "", "Value of each pixel"),
    ("grain", "@grain", "Mean over each grain (3°)"),
    ("near", "@near", "Mean around each pixel, 3 pixels wide: tells parts of one grain"),
    ("far", "@far", "Mean around each pixel, 9 pixels wide: tells parts of one grain"),
)
"""Title, ending of the channel's name, meaning."""
_THUMB = (340, 130)
_ROW = 22
_NOTHING = "Select a channel to see it."


class ChannelsPanel(QWidget):
    """Check list of channels; shows the selected one in small.

    The choice is kept in ``state.channels``; until the user makes one it is the default of the
    package for the first scan.
    """

    def __init__(self, state: SegmenterState) -> None:
        super().__init__()
        self.state = state
        self.offers: dict[str, Offer] = {}
        self.own_choice = self._choosing = False
        self._pictures: dict[tuple[Scan, str], tuple[list[str], NDArray[np.float32]]] = {}
        self._background = Background(self)
        self.tree = QTreeWidget()
        self.tree.setColumnCount(1 + len(_COLUMNS))
        self.tree.setHeaderLabels(["channel", *(title for title, _, _ in _COLUMNS)])
        self.tree.setRootIsDecorated(False)
        self.tree.setUniformRowHeights(True)
        self.tree.setFixedHeight(9 * _ROW)
        header = self.tree.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        for column in range(1, 1 + len(_COLUMNS)):
            header.setSectionResizeMode(column, QHeaderView.ResizeMode.ResizeToContents)
        self.default_button = QPushButton("Default")
        self.default_button.setToolTip("The channels that suit most maps")
        self.layer_button = QPushButton("Show as layer")
        self.layer_button.setEnabled(False)
        self.picture = QLabel(_NOTHING)
        self.picture.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.picture.setFixedHeight(_THUMB[1])
        self.picture.setWordWrap(True)
        buttons = QHBoxLayout()
        buttons.addWidget(self.default_button)
        buttons.addWidget(self.layer_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.tree)
        layout.addWidget(self.picture)
        layout.addLayout(buttons)
        self.tree.itemChanged.connect(self._toggled)
        self.tree.currentItemChanged.connect(self._show_picture)
        self.default_button.clicked.connect(self.use_default)
        self.layer_button.clicked.connect(self.show_layer)
        state.pairs_changed.connect(self.refresh)
        state.channels_changed.connect(self._chosen)
        state.widget.chooser.scan_changed.connect(self.refresh)
        state.widget.maps_gone.connect(self._pictures.clear)
        self.refresh()

    @property
    def summary(self) -> str:
        """The choice in a few words."""
        chosen = [name for name in self.state.channels if name != "Indexed"]
        return ", ".join(chosen) if chosen else "none chosen"

    @property
    def problem(self) -> str:
        """Why the chosen channels cannot be used; empty when they can."""
        if not self.state.channels:
            return "Choose at least one channel on the page More."
        for name in self.state.channels:
            offer = self.offers.get(_base(name))
            if offer is not None and offer.missing:
                return f"Channel {name}: {offer.missing}. Take it out on the page More."
        return ""

    def scans(self) -> list[Scan]:
        """Scans whose channels are offered: those of the pairs, else the chosen one."""
        scans = list(dict.fromkeys(pair.scan for pair in self.state.pairs))
        if not scans and self.state.scan is not None:
            scans = [self.state.scan]
        return [self.state.prepared(scan) for scan in scans]

    def refresh(self, scan: Any = None) -> None:
        """Read anew what the scans offer."""
        scans = self.scans()
        fresh = {offer.name: offer for offer in offers(scans)} if scans else {}
        if fresh != self.offers:
            self.offers = fresh
            self._fill()
        if scans and (not self.own_choice or not self.state.channels):
            self.use_default()

    def use_default(self) -> None:
        """Choose the channels that suit most maps."""
        from napari_ebsdml.segmentation.inputs.channels import default_channels

        scans = self.scans()
        if scans:
            missing = {n for n, offer in self.offers.items() if offer.missing}
            self._choosing = True
            self.state.channels = tuple(
                name for name in default_channels(scans[0])
                if _base(name) not in missing
            )  # fmt: skip
            self.own_choice = self._choosing = False

    def show_layer(self) -> None:
        """Show the selected channel as image layers of the chosen map."""
        name, scan = self._selected(), self.state.scan
        held = self._pictures.get((self._prepared(scan), name)) if scan is not None else None
        if held is None or scan is None:
            return
        active = self.state.viewer.layers.selection.active
        for plane, values in zip(*held, strict=True):
            self.state.widget.add_result(scan, values, f"channel {plane}")
        if active is not None:
            self.state.viewer.layers.selection.active = active

    def stop(self) -> None:
        """Forget the picture under way."""
        self._background.stop()

    def _prepared(self, scan: Scan) -> Scan:
        return self.state.prepared(scan)

    def _fill(self) -> None:
        selected = self._selected()
        self.tree.blockSignals(True)
        self.tree.clear()
        for offer in self.offers.values():
            item = QTreeWidgetItem([offer.name + (f"  ({offer.missing})" if offer.missing else "")])
            item.setData(0, Qt.ItemDataRole.UserRole, offer.name)
            tip = offer.meaning + (f"\nCannot be used: {offer.missing}" if offer.missing else "")
            item.setToolTip(0, tip)
            for column, (_, ending, meaning) in enumerate(_COLUMNS, start=1):
                if ending in offer.endings:
                    item.setCheckState(column, Qt.CheckState.Unchecked)
                    item.setToolTip(column, meaning)
            item.setDisabled(bool(offer.missing))
            self.tree.addTopLevelItem(item)
            if offer.name == selected:
                self.tree.setCurrentItem(item)
        self.tree.blockSignals(False)
        self._show_choice()

    def items(self) -> list[QTreeWidgetItem]:
        items = (self.tree.topLevelItem(n) for n in range(self.tree.topLevelItemCount()))
        return [item for item in items if item is not None]

    def _chosen(self) -> None:
        # Also when a model brings its own channels: the default must not take their place.
        self.own_choice = not self._choosing
        self._show_choice()

    def _show_choice(self) -> None:
        chosen = {name.casefold() for name in self.state.channels}
        self.tree.blockSignals(True)
        for item in self.items():
            name = str(item.data(0, Qt.ItemDataRole.UserRole))
            for column, (_, ending, _) in enumerate(_COLUMNS, start=1):
                if ending in self.offers[name].endings:
                    item.setCheckState(column, _state(name.casefold() + ending in chosen))
        self.tree.blockSignals(False)

    def _toggled(self, item: QTreeWidgetItem, column: int) -> None:
        if not column:
            return
        names: list[str] = []
        for one in self.items():
            name = str(one.data(0, Qt.ItemDataRole.UserRole))
            names += [
                name + ending for which, (_, ending, _) in enumerate(_COLUMNS, start=1)
                if one.checkState(which) == Qt.CheckState.Checked
            ]  # fmt: skip
        self.state.channels = tuple(names)

    def _selected(self) -> str:
        item = self.tree.currentItem()
        return str(item.data(0, Qt.ItemDataRole.UserRole)) if item is not None else ""

    def _show_picture(self, item: QTreeWidgetItem | None = None, before: Any = None) -> None:
        name, scan = self._selected(), self.state.scan
        self.layer_button.setEnabled(False)
        if not name or scan is None:
            self.picture.setText(_NOTHING)
            return
        prepared = self._prepared(scan)
        held = self._pictures.get((prepared, name))
        if held is not None:
            self._paint(held)
            return
        self.picture.setText(f"Computing {name} …")
        self._background.start(
            _planes, prepared, name, then=lambda outcome: self._computed(prepared, name, outcome)
        )

    def _computed(self, scan: Scan, name: str, outcome: Outcome) -> None:
        if outcome.error is not None:
            told = isinstance(outcome.error, EbsdmlError)
            self.picture.setText(str(outcome.error) if told else f"{name}: {outcome.error!r}")
            return
        # One scan at a time: planes of large maps are large.
        self._pictures = {k: v for k, v in self._pictures.items() if k[0] is scan}
        while len(self._pictures) > 3:
            del self._pictures[next(iter(self._pictures))]
        self._pictures[scan, name] = outcome.value
        self._paint(outcome.value)

    def _paint(self, held: tuple[list[str], NDArray[np.float32]]) -> None:
        names, planes = held
        self.picture.setPixmap(_strip(planes))
        self.picture.setToolTip(", ".join(names))
        self.layer_button.setEnabled(True)


def _base(channel: str) -> str:
    return channel.partition("@")[0]


def _state(checked: bool) -> Qt.CheckState:
    return Qt.CheckState.Checked if checked else Qt.CheckState.Unchecked


def _planes(scan: Scan, name: str) -> tuple[list[str], NDArray[np.float32]]:
    """Names and values of a channel's planes, without the mask that is always added."""
    from napari_ebsdml.segmentation.inputs.channels import compute_channels

    stack = compute_channels(scan, (name,))
    if len(stack.planes) < 2:
        raise InputError(f"Channel {name} has no plane to show.")
    return [plane.name for plane in stack.planes[:-1]], stack.values[:-1]


def _strip(planes: NDArray[np.float32]) -> QPixmap:
    """The first planes beside each other, each with its own grey scale."""
    count = min(len(planes), 4)
    rows, columns = planes.shape[1:]
    width = _THUMB[0] // count - 4
    factor = min(width / columns, _THUMB[1] / rows)
    step = max(1, int(1 / factor))
    pictures = []
    for plane in planes[:count]:
        small = plane[::step, ::step]
        low, high = contrast_limits(small)
        grey = np.clip((small - low) / (high - low), 0, 1) * 255
        pictures.append(np.rint(grey).astype(np.uint8))
        pictures.append(np.zeros((len(small), max(1, small.shape[1] // 40)), np.uint8))
    grey = np.ascontiguousarray(np.hstack(pictures[:-1]))
    image = QImage(
        grey.tobytes(), grey.shape[1], grey.shape[0], grey.shape[1],
        QImage.Format.Format_Grayscale8,
    )  # fmt: skip
    return QPixmap.fromImage(image.copy()).scaled(
        *_THUMB, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
    )
