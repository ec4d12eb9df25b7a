"""Writes docs/extract_contract.md: the extract contract as a page for those who deliver.

The page is made from the contract alone (`rwe contract`), so that it cannot say anything else.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.contract import Column, Contract, Table, read_contract
from pipeline.paths import PROJECT

DOCUMENT = PROJECT / "docs" / "extract_contract.md"

KINDS = {
    "text": "text",
    "code": "code",
    "integer": "whole number",
    "number": "number",
    "date": "date",
    "partial_date": "date, may be partial",
}

ROLES = {
    "row_key": "row key",
    "patient": "patient",
    "event_time": "event date",
    "available_time": "available date",
}

OPENING = """\
# Extract contract, version {version}

<!-- Generated from models/staging/extract/extract_contract.yml by `rwe contract`. Do not edit. -->

What a hospital delivers: one folder (or one zip file of it), one CSV file a table, named as below.
There are {n_tables} tables. Required are {required}.
Any other file may be left out, or be a header alone; whatever rests on it is then unknown, not
absent. Where procedures or adverse events are delivered, a patient without any is taken to have had
none.

## How to deliver

- **Files.** UTF-8 (with or without a byte-order mark), comma-separated, values in double quotes
  where they hold a comma, a quote or a line break, a quote inside doubled, no blank between quote
  and comma. A quote within a value that does not begin with one is read as it stands. A line with
  nothing in it is passed over and not counted. No other file in the folder, but for `manifest.csv`.
- **Manifest.** `manifest.csv` may say of each file what the sender knows, in the columns
  `file_name`, `sha256`, `size_bytes`, `n_records` and `encoding` (utf-8, gb18030 or utf-16); all
  but the first may be left out. A file that is not as it says is refused.
- **Header.** The first line names the columns of the table, each once, in any order: all of them,
  {may_be_absent} apart. A column beyond the contract is kept with the raw rows and read by
  nothing; it is reported.
- **All or changes.** A delivery holds all patients of the site and takes the place of the one
  before; or `delivery.covers` says `changes`, and it holds the patients whose record changed since
  the delivery that was last published, each whole: every row of theirs, named in `patients.csv`,
  and every file that was delivered before, if only its header. What was refused or stopped by a
  check in between comes again: changes without the patients of such changes are refused, and a
  delivery of all that was passed over is named by a warning. A patient who left is told by a
  delivery of all.
- **Again.** The same files again are the same delivery, and what is built of them is the same. An
  extract drawn before the published one, or changes that came before it, are refused, unless
  `--allow-older` says that it is meant; later changes then change what was gone back to.
- **Patient.** `patient_id` is the hospital's own number, the same in every file. It is replaced by
  a keyed pseudonym while the file is read; only the private archive of the files keeps it.
- **Site.** A warehouse holds the patients of one site. A delivery of another one is built alone,
  and the run says so. Hospitals that are to stand in one warehouse deliver as one site, under
  patient numbers and row keys that differ between them.
- **Row key.** Identifies the row within its table, across all patients.
- **Blanks.** Spaces before and after a value do not count, whatever their width; a value of nothing
  else is empty. A tab or a line break is part of the value.
- **Dates.** Year, month, day: `2020-03-31`, of the years 0001 to 9999. Where the table says *may be
  partial*, `2020-03` and `2020` are accepted as well; no day is invented: such a date stands for
  every day from its first to its last. Nothing may be later than `delivery.extract_date`.
- **Event date and available date.** When the thing happened in the patient, and when the record
  first knew it; the second is not before the first. An empty available date is read as the event
  date.
- **Codes.** Write the code, or any spelling beside it; capitals do not matter. A spelling that is
  not listed is not guessed.
- **Numbers.** A dot as decimal sign, no thousands sign, no unit and no `<` or `>`; in the unit and
  the range that the table gives. An exponent is read (`1e+05`); a whole number may be written with
  zeros behind the dot (`5.0`).
- **Empty.** An empty value means unknown. It never means no, negative or wild type. A word such as
  `NA` is not empty: where a code, a number or a date belongs its row goes to quarantine, in a text
  it is read as one.
- **References.** A column that refers to another table names a row of the same delivery.

Lay the folder down and run `rwe build FOLDER`.

## From another form

A hospital whose tables look otherwise brings them into this form before it delivers; nothing of
the warehouse is changed for it. Any program will do. The `duckdb` of the warehouse's own
environment reads semicolons, other encodings and wide tables, and `columns_of` gives the header of
the contract, so that only the columns that there are need a line:

```sql
create macro columns_of(name) as table     -- of the extract that `rwe demo` has written
    from read_csv('extracts/demo/' || name || '.csv', all_varchar = true) limit 0;
create macro sent(file) as table
    from read_csv(file, delim = ';', encoding = 'latin-1', header = true, all_varchar = true);
create macro iso_date(d) as
    regexp_replace(d, '^([0-9][0-9])[.]([0-9][0-9])[.]([0-9]{{4}})$', '\\3-\\2-\\1');
create macro decimal_point(n) as replace(replace(n, '.', ''), ',', '.');

copy (
    from columns_of('patients')
    union all by name
    select
        PatNr as patient_id,
        case Geschlecht when 'W' then 'female' else Geschlecht end as sex,
        iso_date(GebDat) as birth_date
    from sent('stammdaten.csv')
) to 'delivery/patients.csv' (header);

copy (
    from columns_of('drug_administrations')
    union all by name
    select
        MedNr as record_id,
        PatNr as patient_id,
        'administration' as record_type,
        'completed' as record_status,
        Praeparat as drug_text,
        ATC as drug_code,
        replace(Applikation, '.', '') as route,
        decimal_point(Dosis) as dose,
        Einheit as dose_unit,
        iso_date(Datum) as start_date
    from sent('medikation.csv')
) to 'delivery/drug_administrations.csv' (header);

copy (                                     -- one column a test becomes one row a test
    from columns_of('molecular_tests')
    union all by name
    select
        concat_ws('-', PatNr, Entnahme, test) as test_id,
        PatNr as patient_id,
        split_part(test, '_', 1) as gene,
        split_part(test, '_', 2) as region,
        result,
        iso_date(Entnahme) as collected_date,
        iso_date(Befund) as reported_date
    from (unpivot (from sent('molekular.csv')) on columns('_') into name test value result)
) to 'delivery/molecular_tests.csv' (header);
```

```console
mkdir delivery
python -c "import duckdb; duckdb.execute(open('convert.sql').read())"
rwe build delivery
```

- **Read everything as text**, so that a patient number keeps its zeros, and **let pass what does
  not fit**: a date or a code that the program does not know goes on as it stands, and the build
  lists it in quarantine. One that became empty would be taken for unknown.
- **Drugs** stay as they are written: brand, generic name, abbreviation, regimen, with strength or
  without. `reference.drug_synonyms` says what is understood; what is not stands in
  `treatment.unmapped_drugs` of the private `build/warehouse.duckdb`, and is one more row of
  `seeds/therapy/drug_synonyms.csv`. An ATC code speaks only where the text names nothing.
- **Other illness** is compared by the beginning of its ICD-10 code, capitals and dot aside: a
  national modification such as ICD-10-GM, and a dagger, an asterisk or a `+` behind the code, may
  stay. Tumours need the topography and morphology of ICD-O-3.
- **Local and LOINC codes** of a test become its gene and region, or the column of `pathology.csv`
  that it fills; what the contract has no column for stays out.
- **Row keys** are the source's own numbers where it has some, else made of the values that identify
  the row, not counted anew in each extract.
- **What the source does not say stays empty.** Only what is true of all its rows is written for all
  of them, as `administration` above.

## What happens to rows that cannot be read

Every row is loaded as text and then read by this contract. A row with a fault in any column goes to
`quality.quarantine`, with file, record, line, column, check and reason, and never with its values,
one row for each fault; all other rows go on. A row that repeats an earlier one of the file, value
for value as delivered but for the blanks around values, is collapsed into it, faults and all; two
spellings of a code are two values. Nothing is dropped: `quality.source_files` gives for each file
the records delivered, read, in quarantine, collapsed, superseded by a later delivery and erased.
The reasons:

| reason | meaning |
|---|---|
| `fields, the header` | a separator too many or too few; values may be shifted |
| `a quote is not closed, or stands within a value` | the record cannot be read |
| `the record holds a NUL character` | other programs would cut it short |
| `{{column}}: missing` | the column is required and the value is empty |
| `{{column}}: not a code of the contract` | neither a code nor one of its spellings |
| `{{column}}: not a number in range` | not a number, or outside the range |
| `{{column}}: not a whole number in range` | not a whole number, or outside the range |
| `{{column}}: not a date (YYYY-MM-DD)` | not a date, or no day of the calendar |
| `{{column}}: not a date (YYYY-MM-DD, YYYY-MM or YYYY)` | the same, where it may be partial |

Rows that can be read are then checked against each other: row keys without repeats, patients in
`patients.csv`, references that lead somewhere, dates in order. The results are in
`quality.expectation_results`, with advice to the site; a blocking check that fails stops
publication.

## What stops the whole delivery

Faults of the folder are listed together; once there is none, those of the files and their headers.
No row is read before.

| message | what to do |
|---|---|
| `the folder does not exist` | name the right folder |
| `this is a file, not a folder` | name the folder that holds the files |
| `the folder is empty` | name the right folder |
| `not a file of the contract` | take it out, or [bring it into this form](#from-another-form) |
| `this file is required` | deliver it |
| `the file is empty` | a table without rows still needs its header |
| `its columns are separated by` | save the files with commas between the columns |
| `missing from the header` | add the column; leave its values empty if they are not known |
| `did you mean it by` | the column is there under another name; use the contract's |
| `a column name occurs twice in the header` | name each column once |
| `is not UTF-8` | save the file as UTF-8, or declare its encoding in `manifest.csv` |
| `its SHA-256 is not the one in manifest.csv` | the file changed on its way; deliver it again |
| `as many records as manifest.csv says` | the same |
| `within a record` | the file was cut short; deliver it again |
| `holds something that is not a file` | pack the files alone, without folders or links |
| `holds two files of one name` | pack one |
| `unpacks to more than` | deliver the files themselves |
| `the archive is broken, cut short or encrypted` | pack and deliver it again, without a password |
| `before the one that is published` | deliver the newest extract |
| `a column has no name` | take the comma from the end of the header, or name the column |
| `has more than one row` | one row says what the delivery is |
| `covers is neither` | write `all` or `changes` |
| `no delivery of this site was published before` | deliver all patients once |
| `with another key` | the same, or restore the key |
| `changes bring every file` | add the file, if only its header |
| `did not bring this file` | deliver all patients once |
| `synthetic is not what` | correct it; invented and real patients get folders of their own |
| `patients without a readable` | name every patient of the changes there |
| `which were not published` | deliver these patients too, or all patients once |
| `came before the delivery that is published` | deliver them anew, under another `delivery_id` |

## Tables
"""


def render(contract: Contract) -> str:
    """Return the page as Markdown."""
    tables = contract.tables.values()
    opening = OPENING.format(
        version=contract.version,
        n_tables=len(tables),
        required=", ".join(f"`{table.file_name}`" for table in tables if table.required),
        may_be_absent=", ".join(
            f"`{table.name}.{c.name}`" for table in tables for c in table.columns if c.may_be_absent
        ),
    )
    return "\n".join([opening, *(_table(table) for table in tables)])


def write(path: Path = DOCUMENT) -> Path:
    """Write the page of the current contract and return where."""
    path.write_text(render(read_contract()), encoding="utf-8")
    return path


def _table(table: Table) -> str:
    lines = [
        f"### {table.file_name}",
        "",
        f"{table.description} {'Required.' if table.required else 'Not required.'}",
        "",
        "| column | kind | required | role | meaning |",
        "|---|---|---|---|---|",
        *(
            f"| `{column.name}` | {_kind(column)} | {'yes' if column.required else ''} "
            f"| {ROLES[column.role] if column.role else ''} | {_meaning(column)} |"
            for column in table.columns
        ),
        "",
    ]
    coded = [column for column in table.columns if column.codes]
    if coded:
        lines += [
            "| column | code | also accepted |",
            "|---|---|---|",
            *(
                f"| `{column.name}` | {_literal(code)} | {', '.join(map(_literal, spellings))} |"
                for column in coded
                for code, spellings in (column.codes or {}).items()
            ),
            "",
        ]
    return "\n".join(lines)


def _kind(column: Column) -> str:
    parts = [KINDS[column.kind]]
    if column.minimum is not None and column.maximum is not None:
        parts.append(f"{column.minimum} to {column.maximum}")
    elif column.minimum is not None:
        parts.append(f"{column.minimum} or more")
    elif column.maximum is not None:
        parts.append(f"{column.maximum} or less")
    return ", ".join(parts) + (f" {column.unit}" if column.unit else "")


def _meaning(column: Column) -> str:
    target = f" Refers to `{column.refers_to}`." if column.refers_to else ""
    unread = f" Nothing reads it: {column.unread}." if column.unread else ""
    return _cell(column.description) + target + unread


def _literal(value: str) -> str:
    return f"`{_cell(str(value))}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
