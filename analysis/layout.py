"""What a table of the report is made of, and how labels and P values are written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from analysis.book import NOTHING, Book
from analysis.group_tests import SMALL_GROUP
from analysis.study import Analysis, Study, Variable, ordinal
from expectations.small_cells import HIDDEN

ABBREVIATIONS = (
    "CI, confidence interval. NR, not reached. NE, not estimable. "
    f"{NOTHING}, none or not applicable."
)


#: Marks of a P value from a permutation test, and of a hazard ratio with Firth's penalty.
PERMUTED, PENALISED = "\N{DAGGER}", "\N{DOUBLE DAGGER}"


@dataclass(frozen=True)
class Cell:
    """One cell."""

    text: str
    span: int = 1
    rows: int = 1
    strong: bool = False


@dataclass(frozen=True)
class Row:
    """One row: a heading over several rows, a level under a heading, or a plain row."""

    label: str
    cells: Sequence[Cell] = ()
    kind: str = "plain"


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes
    ----------
    head : rows of column headings; the first cell of the first row heads the row labels
    width : int
        Columns, row labels included.
    """

    identifier: str
    number: str
    title: str
    head: Sequence[Sequence[Cell]]
    rows: Sequence[Row]
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def width(self) -> int:
        """Columns, row labels included."""
        return sum(cell.span for cell in self.head[0])


def number_of(exhibit: str) -> str:
    """Number of an exhibit: table3 is Table 3, fig2 is Figure 2, figS1 is Figure S1."""
    for prefix, name in (("table", "Table"), ("fig", "Figure")):
        if exhibit.startswith(prefix):
            return f"{name} {exhibit.removeprefix(prefix)}"
    return exhibit


def endpoint_label(analysis: Analysis) -> str:
    """Endpoint in words."""
    return {
        "OS": "Overall survival",
        "PFS": "Progression-free survival",
        "DOR": "Duration of response",
    }.get(str(analysis.endpoint), str(analysis.endpoint))


def treatment(line_number: int) -> str:
    """Treatment in a line, in words."""
    return f"{ordinal(line_number)}-line treatment"


def since(analysis: Analysis) -> str:
    """Where an analysis' time starts, in words."""
    return f"from the start of {treatment(analysis.line_number)}"


def equals(p_value: str) -> str:
    """P with its sign: = 0.016, < 0.001."""
    return p_value if p_value.startswith(("<", ">")) else f"= {p_value}"


def level_label(level: str) -> str:
    """A level as a table prints it."""
    label = level.replace(">=", "\N{GREATER-THAN OR EQUAL TO}")
    return label[:1].upper() + label[1:]


def sized(label: str, patients: object) -> str:
    """A group with its patients, as heads of columns print it on one line."""
    return f"{label} (N\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{patients})"


def term_label(variable: Variable, contrast: str) -> str:
    """A comparison of two levels as tables and figures print it, after its variable."""
    return level_label(f"{variable.label}: {variable.spelled(contrast)}")


def cells(texts: Iterable[str]) -> list[Cell]:
    """Plain cells; one of which every number is hidden says so once."""
    return [Cell(HIDDEN if _is_hidden(text) else text) for text in texts]


def _is_hidden(text: str) -> bool:
    return HIDDEN in text and not text.replace(HIDDEN, "").strip(f" ();%{NOTHING}{PENALISED}")


def small_groups(book: Book, analyses: Sequence[Analysis]) -> list[str]:
    """A sentence that names the groups of a figure with too few patients to rely on."""
    found: dict[str, None] = {}
    for analysis in analyses:
        page = book.page(analysis.exhibit, analysis.population)
        variable = str(analysis.endpoint).lower()
        for group in page.levels(variable):
            number = page.get(variable, group, "n")
            if number and number.value is not None and 0 < number.value < SMALL_GROUP:
                found[f"{level_label(group)} ({number.cell})"] = None
    if not found:
        return []
    return [f"Fewer than {SMALL_GROUP} patients: {', '.join(found)}. Read these as case series."]


def cautions(study: Study, exhibit: str) -> list[str]:
    """What the reader of an exhibit should bear in mind."""
    labels = {name: variable.label for name, variable in study.variables.items()}
    return [
        f"{labels[caution.variable]}. {caution.text}"
        if caution.variable in labels
        else caution.text
        for caution in study.cautions
        if caution.exhibit == exhibit
    ]
