"""The reader of the catalogue agrees with a general reader of the format, number by number."""

from gettext import GNUTranslations
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from klucznik import messages
from klucznik.messages import po, words_in

FILES = [Path(messages.__file__).parent / f"{language}.po" for language in messages.LANGUAGES]
HEADER = 'msgid ""\nmsgstr "Plural-Forms: nplurals=2; plural=(n != 1);\\n"\n'


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_message_reads_as_another_reader_reads_it(file: Path) -> None:
    with file.open("rb") as opened:
        theirs = {message.id: message.string for message in read_po(opened) if message.id}
    ours = po.read(file.read_text(encoding="utf-8").splitlines()).forms
    assert len(ours) == len(theirs) > 100
    for key, string in theirs.items():
        forms = [string] if isinstance(string, str) else list(string or ())
        assert ours[key if isinstance(key, str) else key[0]] == forms


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_number_takes_the_form_that_gettext_takes(file: Path) -> None:
    compiled = BytesIO()
    with file.open("rb") as opened:
        write_mo(compiled, read_po(opened))
    compiled.seek(0)
    theirs, ours = GNUTranslations(compiled), words_in(file.stem)
    for number in range(130):
        theirs_says = theirs.ngettext("limits.left", "limits.left", number).format(n=number, limit=300)
        assert ours.count("limits.left", number, limit=300) == theirs_says


def test_a_sentence_may_go_on_over_lines_with_quotes_and_breaks() -> None:
    lines = [*HEADER.splitlines(), "# a comment", 'msgid "long"', 'msgstr ""', '"one \\"two\\"\\n"', '"three"']
    assert po.read(lines).forms == {"long": ['one "two"\nthree']}


@pytest.mark.parametrize("line", ['msgctxt "menu"', "plain words", 'msgstr "no end', "msgid"])
def test_a_line_of_no_known_kind_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        po.read([*HEADER.splitlines(), line])
