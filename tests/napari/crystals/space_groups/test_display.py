"""Answers as classes, colours, tables and pictures: the parts of the dock without widgets."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from qtpy.QtGui import QColor

from napari_ebsdml._napari.crystals.space_groups.classify import PixelExplanation
from napari_ebsdml._napari.crystals.space_groups.display import (
    UNKNOWN_COLOR,
    UNKNOWN_LABEL,
    both_columns,
    color_of,
    cross_columns,
    full_name,
    kind_color,
    kind_name,
    label_image,
    symbol,
    tally_colors,
    tally_columns,
)
from napari_ebsdml._napari.crystals.space_groups.models import card_html
from napari_ebsdml._napari.crystals.space_groups.overlay import AGAINST, FOR, band_picture, heat_map
from napari_ebsdml._napari.layers.classes import class_features
from napari_ebsdml.learning.model_card import ModelCard
from napari_ebsdml.patterns.answers.compare import UNKNOWN, Answers, answers_of, cross_table
from napari_ebsdml.patterns.answers.result import SpaceGroupResult, no_answers

GROUPS = (221, 223, 225, 227, 229, 230)


def answered() -> SpaceGroupResult:
    """Fm-3m, "Pm-3m or Fm-3m" twice, unknown, not indexed, Im-3m."""
    made = no_answers((2, 3), GROUPS)
    made.space_group[:] = [[225, 221, 225], [229, 0, 229]]
    made.is_known[:] = [[True, True, True], [False, False, True]]
    made.ambiguous_with[0, 1] = (225,)
    made.ambiguous_with[0, 2] = (221,)
    made.probability[:] = [[0.9, 0.5, 0.7], [0.4, 0.0, 1.0]]
    return made


def answers() -> Answers:
    return answers_of(answered())


def test_names_say_what_the_answer_is() -> None:
    assert symbol(194) == "P6_3/mmc"
    assert full_name(139) == "I4/mmm (139)"
    assert kind_name((221, 225)) == "Pm-3m or Fm-3m"
    assert kind_name((221, 225, 229)) == "Pm-3m, Fm-3m or Im-3m"
    assert kind_name((UNKNOWN,)) == "unknown"


def test_every_answer_has_a_color_of_its_own() -> None:
    sets = [(a, b) for n, a in enumerate(GROUPS) for b in GROUPS[n + 1 :]]
    colors = [color_of(group) for group in GROUPS] + [UNKNOWN_COLOR]
    assert len(set(colors)) == 7
    pairs = [kind_color(pair) for pair in sets]
    assert all(QColor(color).isValid() for color in pairs)
    seen = np.array([QColor(c).getRgb()[:3] for c in (*colors, *pairs)], float)
    apart = np.linalg.norm(seen[:, None] - seen[None], axis=-1)[:7, :7]
    assert apart[~np.eye(7, dtype=bool)].min() > 60
    # The pair that occurs most is clear of the grey of the unknown.
    nickel = np.array(QColor(kind_color((221, 225))).getRgb()[:3], float)
    assert np.linalg.norm(nickel - QColor(UNKNOWN_COLOR).getRgb()[:3]) > 60


def test_labels_are_the_numbers_of_the_space_groups() -> None:
    labels, classes = label_image(answers())
    assert labels.tolist()[0][0] == 225
    assert labels[0, 1] == labels[0, 2] > 300
    assert labels.tolist()[1] == [UNKNOWN_LABEL, 0, 229]
    names = {one.label: one.name for one in classes}
    assert names[225] == "Fm-3m (225)"
    assert names[int(labels[0, 1])] == "Pm-3m or Fm-3m"
    assert names[UNKNOWN_LABEL] == "unknown"
    assert set(names) == set(np.unique(labels).tolist())
    assert "unknown" in class_features(classes)["class"]


def test_the_tally_counts_every_pixel_once() -> None:
    left = np.array([[True, True, False], [True, False, False]])
    table = tally_columns(answers(), answered().probability, [("Ni", left), ("Fe", ~left)])
    rows = dict(zip(table["space group"], table["pixels"], strict=True))
    assert rows == {
        "Pm-3m or Fm-3m": 2, "Fm-3m (225)": 1, "Im-3m (229)": 1, "unknown": 1, "not indexed": 1,
    }  # fmt: skip
    assert sum(table["%"]) == pytest.approx(100, abs=0.05)
    assert table["mean p"][0] == pytest.approx(0.6)
    assert np.isnan(table["mean p"][table["space group"].index("not indexed")])
    assert [a + b for a, b in zip(table["Ni"], table["Fe"], strict=True)] == table["pixels"]
    assert table["Ni"][0] == 1
    assert tally_colors(answers())[0] == kind_color((221, 225))
    alone = tally_columns(answers(), answered().probability, [("Ni", left | True)])
    assert "Ni" not in alone


def test_tables_of_two_models() -> None:
    plain = answers_of(answered(), ambiguous=False)
    both = both_columns([("one", answers()), ("two", plain)])
    assert both["model"] == ["one", "two"]
    assert both["Pm-3m / Fm-3m"] == [2, 0]
    assert both["Fm-3m"] == [1, 2]
    table = cross_columns(cross_table(answers(), plain), "one", "two")
    row = table["one ↓ two →"].index("Pm-3m / Fm-3m")
    assert table["Pm-3m"][row] == table["Fm-3m"][row] == 1
    assert table["sum"][-1] == 5  # the pixel that is not indexed is not compared
    assert table["sum"][-1] == sum(table["sum"][:-1])


def test_evidence_is_colored_by_sign_and_strength() -> None:
    values = np.zeros((4, 5))
    values[0, 0], values[1, 1], values[2, 2] = 2.0, -2.0, 0.5
    picture = heat_map(values, most=2.0)
    assert picture[3, 3, 3] == 0
    assert picture[0, 0, 3] == picture[1, 1, 3] > picture[2, 2, 3] > 0
    for place, color in (((0, 0), FOR), ((1, 1), AGAINST)):
        np.testing.assert_allclose(picture[place][:3], QColor(color).getRgbF()[:3], atol=1e-3)


def test_bands_are_drawn_where_their_traces_are(qapp: object) -> None:
    found = PixelExplanation(
        (0, 0), "m", {225: np.zeros((30, 60), np.float32)},
        {225: [((1, 1, 1), 2.0), ((2, 0, 0), -1.0)]},
        {(1, 1, 1): np.array([[[0.5, 0.0], [0.5, 1.0]]]), (2, 0, 0): np.zeros((0, 2, 2))}, 1,
    )  # fmt: skip
    picture = band_picture(found, 225)
    assert picture.shape == (240, 480, 4)
    assert (picture[120, 100:400, 3] > 100).all()
    assert picture[20, 240, 3] == 0
    red, _, blue = picture[120, 300, :3].astype(int)
    assert red > blue  # it speaks for the group
    name = picture[105:135, :150, 3]
    assert (name > 0).sum() > 3 * 150  # more than the line: its {111}


def test_a_model_card_is_readable() -> None:
    card = ModelCard(
        "space-groups", "Net", classes=("fcc 225", "bcc <229>"), training={"seed": 3},
        metrics={"held_out_accuracy": 0.91234}, settings={"long": list(range(500))},
    )  # fmt: skip
    text = card_html("my model", card, "#123456")
    for part in ("my model", "225", "0.9123", "held out accuracy", "500 values", "&lt;229&gt;"):
        assert part in text
    assert "no card" in card_html("x", None, "#123456")


def test_models_and_their_cards_are_shown_without_torch() -> None:
    code = (
        "import sys\n"
        "from napari_ebsdml._napari.crystals.space_groups.model_panel import card_html\n"
        "from napari_ebsdml._napari.crystals.space_groups.models import ModelStore\n"
        "entries = ModelStore().entries\n"
        "print(*[entry.needs_orientations for entry in entries], 'torch' in sys.modules)\n"
        "assert all(len(card_html(e.name, e.card, 'grey')) > 500 for e in entries)\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["True", "False", "False"]
