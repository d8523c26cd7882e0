"""The memo as a Word document. Needs the extra `host` (python-docx)."""

from __future__ import annotations

from pathlib import Path

from alpr_edge.errors import AuditError
from alpr_edge.ledger.memo import Memo


def write_docx(memo: Memo, path: Path) -> None:
    """Write the file.

    Raises:
        AuditError: python-docx is missing, or the file cannot be written (`ledger.memo.docx`).
    """
    try:
        from docx import Document
    except ImportError as err:
        raise AuditError(
            "a Word document needs python-docx",
            code="ledger.memo.docx",
            hint="pip install 'alpr-edge[host]', or use the HTML memo",
        ) from err
    document = Document()
    document.core_properties.title = memo.title
    document.core_properties.author = ""
    document.add_heading(memo.title, 0)
    lines = document.add_table(rows=0, cols=2)
    for name, text in memo.lines:
        cells = lines.add_row().cells
        cells[0].text, cells[1].text = name, text
    for section in memo.sections:
        document.add_heading(section.title, 1)
        for text in section.sentences:
            document.add_paragraph(text)
        for text in section.points:
            document.add_paragraph(text, style="List Bullet")
        if section.table is not None:
            table = document.add_table(rows=1, cols=len(section.table.heads), style="Table Grid")
            for cell, text in zip(table.rows[0].cells, section.table.heads, strict=True):
                cell.text = text
            for row in section.table.rows:
                for cell, text in zip(table.add_row().cells, row, strict=True):
                    cell.text = text
    try:
        document.save(str(path))
    except OSError as err:
        raise AuditError(f"{path}: {err.strerror}", code="ledger.memo.docx") from err
