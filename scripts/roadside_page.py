"""The page to print of docs/technician.md, with pictures: docs/roadside.html, and a PDF of it.

python scripts/roadside_page.py --check      says whether docs/roadside.html is as it should be
python scripts/roadside_page.py --write      writes it
python scripts/roadside_page.py --pdf FILE   prints it with Chromium: one sheet of A4
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from markdown_it import MarkdownIt

from alpr_edge.ledger.browser import print_pdf

ROOT = Path(__file__).resolve().parents[1]
GUIDE = ROOT / "docs" / "technician.md"
PAGE = ROOT / "docs" / "roadside.html"
BEGIN, END = "## One page to print\n", "\n## "
PICTURES = (
    ("wider", "Mask studio: drawn, and judged at once"),
    ("narrower", "What is narrower takes a second person"),
    ("countdown", "Old and new protect until it is confirmed"),
)
STYLE = """\
@page { size: A4; margin: 11mm 13mm; }
* { box-sizing: border-box; }
body { font: 10.2pt/1.34 "DejaVu Sans", Arial, sans-serif; color: #000; max-width: 184mm;
  margin: 0 auto; }
h1 { font-size: 15pt; margin: 0 0 2mm; border-bottom: 1.2pt solid #000; }
p { margin: 1.4mm 0; }
ol { margin: 1.4mm 0; padding-left: 6mm; }
ul { margin: .6mm 0; padding-left: 5mm; }
li { margin: .7mm 0; }
pre { margin: 1mm 0; padding: 1.2mm 2mm; background: #eee;
  font: 8.4pt/1.3 "DejaVu Sans Mono", monospace; }
code { font: .9em "DejaVu Sans Mono", monospace; background: #eee; }
pre code { font: inherit; background: none; }
.pictures { display: flex; gap: 3mm; margin-top: 2mm; }
figure { flex: 1; margin: 0; }
img { width: 100%; border: .5pt solid #666; display: block; }
figcaption { font-size: 7.8pt; }
a { color: inherit; text-decoration: none; }
"""


def page() -> str:
    """The HTML of the page."""
    text = GUIDE.read_text("utf-8")
    text = text[text.index(BEGIN) + len(BEGIN) :]
    body = str(MarkdownIt().render(text[: text.index(END)]))
    # On paper a link leads nowhere.
    body = re.sub(r'<a href="[^"]*">(.*?)</a>', r"\1", body)
    figures = "\n".join(
        f'<figure><img src="images/studio-{name}.jpg" alt="">'
        f"<figcaption>{words}</figcaption></figure>"
        for name, words in PICTURES
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>alpr-edge at the roadside</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n"
        f'<h1>alpr-edge at the roadside</h1>\n{body}<div class="pictures">\n{figures}\n</div>\n'
        "</body>\n</html>\n"
    )


def main() -> int:
    """Check, write or print."""
    parser = argparse.ArgumentParser(description="The page to print of docs/technician.md.")
    act = parser.add_mutually_exclusive_group(required=True)
    act.add_argument("--check", action="store_true", help="compare docs/roadside.html")
    act.add_argument("--write", action="store_true", help="write docs/roadside.html")
    act.add_argument("--pdf", type=Path, metavar="FILE", help="print it with Chromium")
    args = parser.parse_args()
    if args.write:
        PAGE.write_text(page(), "utf-8")
    elif args.pdf is not None:
        print_pdf(PAGE, args.pdf)
    elif not PAGE.exists() or PAGE.read_text("utf-8") != page():
        sys.stderr.write("docs/roadside.html is old: python scripts/roadside_page.py --write\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
