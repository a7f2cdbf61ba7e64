"""How figures are drawn and written: sizes, letters, colours, and the same bytes for the same data.

Each figure becomes three things: an SVG and a PNG file on white paper, and an SVG for the page whose colours
are CSS variables, so that it follows the page into the dark. Knows matplotlib; knows nothing of runs.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Roles and their colours on white paper. Each colour stands for one role only: the page's SVG replaces it by
# the role's variable (style.css holds the same colours, and those for the dark).
COLOURS = {
    "paper": "#fffffe",
    "ink": "#1a1f24",
    "muted": "#5c6670",
    "rule": "#dfe3e6",
    "grey": "#7a838c",
    "vermilion": "#d55e00",
    "blue": "#0072b2",
    "green": "#009e73",
    "purple": "#b65f96",
    "sky": "#3f9fd4",
    "orange": "#c98a00",
}
LOG_STEPS = ((1,), (1, 3), (1, 2, 5))
WIDTH = 6.1  # inches at 72 points: one column of the page
DPI = 150
SETTINGS = {
    "svg.fonttype": "none",  # letters stay letters: found, copied, read aloud, in the reader's own font
    "svg.hashsalt": "testbed",
    "font.family": "DejaVu Sans",  # ships with matplotlib; wider than what browsers use, so nothing overlaps
    "font.size": 10.5,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "legend.fontsize": 9.0,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "figure.facecolor": COLOURS["paper"],
    "axes.facecolor": "none",
    "axes.edgecolor": COLOURS["muted"],
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.labelcolor": COLOURS["muted"],
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": COLOURS["rule"],
    "grid.linewidth": 0.7,
    "text.color": COLOURS["ink"],
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["muted"],
    "xtick.major.size": 3.0,
    "ytick.major.size": 0.0,
    "xtick.minor.size": 0.0,
    "ytick.minor.size": 0.0,
    "lines.linewidth": 1.5,
    "lines.solid_capstyle": "round",
}


@dataclass(frozen=True, slots=True)
class Words:
    """What is written over a figure, in two lines, and what it shows for those who do not see it."""

    title: str
    subtitle: str
    alt: str


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawn figure: the stem of its files, its words, and its SVG for the page."""

    name: str
    words: Words
    svg: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """Where figures go, and the line about the machine that each of them carries."""

    folder: Path
    environment: str

    def keep(self, figure: Figure, name: str, words: Words) -> Plot:
        """Write NAME.svg and NAME.png, and return the plot for the page."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.backends.backend_svg import FigureCanvasSVG

        width, height = figure.get_size_inches()
        left = 0.06 / width
        figure.text(left, 1 - 0.08 / height, words.title, weight="bold", fontsize=11, va="top")
        figure.text(left, 1 - 0.29 / height, words.subtitle, color=COLOURS["muted"], fontsize=9.5, va="top")
        figure.text(left, 0.05 / height, self.environment, color=COLOURS["muted"], fontsize=7, va="bottom")
        # the canvases' own methods: savefig() would draw everything once more before each
        figure.dpi = DPI
        FigureCanvasAgg(figure).print_png(self.folder / f"{name}.png", metadata={"Software": None})
        figure.set_layout_engine("none")  # laid out by now
        text = io.StringIO()
        FigureCanvasSVG(figure).print_svg(text, metadata={"Date": None, "Creator": "testbed"})
        (self.folder / f"{name}.svg").write_text(text.getvalue(), encoding="utf-8")
        return Plot(name, words, for_page(text.getvalue(), name, words))


@contextmanager
def drawing() -> Iterator[None]:
    """Matplotlib with our settings, and without any display."""
    import matplotlib

    with matplotlib.rc_context(SETTINGS):
        yield


def sheet(height: float) -> Figure:
    """An empty figure of the page's column width, `height` in inches."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    # room for the words above everything else, and for the line about the machine below
    head, foot = 0.5 / height, 0.22 / height
    free = (0, foot, 1, 1 - head - foot)
    return Figure(figsize=(WIDTH, height), layout=ConstrainedLayoutEngine(rect=free))


def colour(role: str) -> str:
    """The colour of a role on white paper."""
    return COLOURS[role]


def for_page(svg: str, name: str, words: Words) -> str:
    """An SVG file's text as an element of an HTML page: themed, described, and with ids of its own."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"'DejaVu Sans'[^;\"]*", "var(--sans)", body)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = body.replace("url(#", f"url(#{name}-").replace('xlink:href="#', f'href="#{name}-')
    for role, code in COLOURS.items():
        body = body.replace(code, f"var(--{role})")
    head, _, rest = body.partition(">")
    view = re.search(r'viewBox="[^"]*"', head)
    label = f'role="img" aria-labelledby="{name}-t {name}-d" {view.group() if view else ""}'
    title = f'<title id="{name}-t">{escape(f"{words.title}, {words.subtitle}")}</title>'
    described = f'<desc id="{name}-d">{escape(words.alt)}</desc>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {label}>{title}{described}{rest}'


def legend_above(axes: Any, handles: Sequence[Any], columns: int) -> None:
    """A legend between the words and the axes, where no data can be."""
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1.0), "borderaxespad": 0.2}
    axes.legend(handles=handles, ncols=columns, columnspacing=1.2, handletextpad=0.4, **place)


def log_ticks(axis: Any) -> None:
    """Ticks on a log axis: whole decades where there are three of them, else 1-3, 1-2-5, or evenly spaced ones."""
    from matplotlib.ticker import FixedLocator, MaxNLocator

    low, high = sorted(axis.get_view_interval())
    decades = 10.0 ** np.arange(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    # over a short reach a log axis is nearly an even one
    choices = [np.outer(decades, steps).ravel() for steps in LOG_STEPS]
    choices.append(np.array(MaxNLocator(nbins=4, steps=[1, 2, 5, 10]).tick_values(low, high)))
    shown = [places[(places >= low) & (places <= high)] for places in choices]
    axis.set_major_locator(FixedLocator(next((s for s in shown if len(s) >= 3), shown[-1]).tolist()))


def ticks(axis: Any, formatter: Any) -> None:
    """Label an axis with our own words for figures."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    axis.set_major_formatter(FuncFormatter(lambda value, _: formatter(value)))
    axis.set_minor_locator(NullLocator())  # never seen here, and they take a third of the time of drawing
