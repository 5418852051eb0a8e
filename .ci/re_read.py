"""Record that pages of the documents were read against what they cover.

    python .ci/re_read.py                  # which pages are due, and why
    python .ci/re_read.py docs/safety.md   # read, and mended where it was wrong

Read the page first, with `git diff` of the files that are named.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import covered  # beside this file


def main(names: list[str]) -> int:
    """Show what is due, or record pages as read; return the exit code."""
    if not names:
        due = covered.due()
        for page, changed in due.items():
            print(f"{page}: {', '.join(changed) or 'states nothing that it covers'}")
        return 1 if due else 0
    record = covered.read_record()
    there = {page.relative_to(covered.ROOT).as_posix() for page in covered.pages()}
    for name in names:
        page = Path(name).resolve().relative_to(covered.ROOT).as_posix()
        if page not in there:
            print(f"{name} is no page that states what it covers")
            return 2
        record[page] = covered.record_of(covered.ROOT / page)
    covered.write_record({page: files for page, files in record.items() if page in there})
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
