"""The name in a Content-Disposition field, case by case: the collections of browsers and of Node's
parser.

The raw bytes of a field reach us as Latin-1, so that is how they are written here.
"""

from __future__ import annotations

import base64
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfermon.http.disposition import filename_in
from transfermon.http.filenames import safe


def raw(text: str, charset: str = "utf-8") -> str:
    return text.encode(charset).decode("latin-1")


@pytest.mark.parametrize(
    ("header", "name"),
    [
        # The grammar of RFC 6266, and what breaks it in one way only
        ('attachment; filename="foo.html"', "foo.html"),
        ('inline; filename="foo.html"', "foo.html"),
        ('inline; filename="Not an attachment!"', "Not an attachment!"),
        ('attachment; filename="f\\oo.html"', "foo.html"),
        ('attachment; filename="\\"quoting\\" tested.html"', '"quoting" tested.html'),
        ('attachment; filename="Here\'s a semicolon;.html"', "Here's a semicolon;.html"),
        ('attachment; foo="bar"; filename="foo.html"', "foo.html"),
        ('attachment; foo="\\"\\\\";filename="foo.html"', "foo.html"),
        ('attachment; FILENAME="foo.html"', "foo.html"),
        ("attachment; filename=foo.html", "foo.html"),
        ("attachment; filename=foo.html ;", "foo.html"),
        ('attachment; filename="foo.html";', "foo.html"),
        ("attachment; ;filename=foo", "foo"),
        ("attachment; filename=foo,bar.html", "foo,bar.html"),
        ("attachment; filename=foo bar.html", "foo bar.html"),
        ("attachment; filename=foo[1](2).html", "foo[1](2).html"),
        ("attachment; filename='foo.bar'", "'foo.bar'"),
        ('attachment; filename ="foo.html"', "foo.html"),
        ('attachment; filename= "foo.html"', "foo.html"),
        ("filename = abcde.pdf", "abcde.pdf"),
        ("filename \t\t  =abcde.pdf", "abcde.pdf"),
        ("attachment; filename=total/; foo=bar", "total/"),
        ('attachment; filename="/foo.html"', "/foo.html"),
        ('attachment; filename="\\\\foo.html"', "\\foo.html"),
        ('attachment; foobar=x; filename="foo.html"', "foo.html"),
        ("example; filename=x", "x"),
        # No type, several of them, the whole turned round
        ("filename=foo.html", "foo.html"),
        ('filename="plans.pdf"', "plans.pdf"),
        ("; filename=foo.html", "foo.html"),
        ("x=y; filename=foo.html", "foo.html"),
        ("filename=foo.html; attachment", "foo.html"),
        ("inline; attachment; filename=foo.html", "foo.html"),
        ("attachment; inline; filename=foo.html", "foo.html"),
        (": inline; attachment; filename=foo.html", ""),
        ('"foo; filename=bar;baz"; filename=qux', ""),
        ("filename=foo.html, filename=bar.html", "foo.html, filename=bar.html"),
        ("attachment; filename=foo.html, attachment; filename=bar.html", "foo.html, attachment"),
        # Twice: the first that names something
        ('attachment; filename="foo.html"; filename="foo.html"', "foo.html"),
        ('attachment; filename="foo.html"; filename="bar.html"', "foo.html"),
        ('attachment; filename=""; filename="bar.html"', "bar.html"),
        ("attachment; filename*=UTF-8''first.html; filename*=UTF-8''second.html", "first.html"),
        ("attachment; filename*=UTF-8''%E4.html; filename*=UTF-8''second.html", "second.html"),
        # Quotation marks that are open, or in the middle
        ('attachment; filename="foo.html', "foo.html"),
        ('filename="abcdef.pdf', "abcdef.pdf"),
        ('attachment; filename="bar; size=3', "bar; size=3"),
        ('attachment; filename="foo.html".txt', 'foo.html".txt'),
        ('attachment; filename=foo"bar;baz"qux', 'foo"bar;baz"qux'),
        ('attachment; filename="foo\\"', 'foo"'),
        # Nothing
        ('attachment; xfilename=foo.html; modification-date="Wed, 12 Feb 1997 16:29:51 -0500"', ""),
        ('attachment; example="filename=example.txt"', ""),
        ('attachment; name="foo-%41.html"', ""),
        ("attachment; filename", ""),
        ("attachment; foo=foo filename=bar", ""),
        ('attachment; filename@="rates.pdf"', ""),
        ('attachment; filename*0="foo."; filename*1="html"', ""),
        ('attachment; filename=""', ""),
        ("attachment; filename=", ""),
        ("attachment;", ""),
        ("attachment", ""),
        ('"attachment"', ""),
        ("foobar", ""),
        ("", ""),
    ],
)
def test_a_field_gives_the_name_that_browsers_take(header: str, name: str):
    assert filename_in(header) == name


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ('inline; filename="abc%20de.pdf"', "abc de.pdf"),
        ("attachment; filename=%EC%98%88%EC%88%A0%20%EC%98%88.jpg", "예술 예.jpg"),
        ('attachment; filename="%F0%90%8C%B0abc.jpg"', "\U00010330abc.jpg"),
        ('attachment; filename="foo-%41.html"', "foo-A.html"),
        ('attachment; filename="foo-%\\41.html"', "foo-A.html"),
        ('attachment; filename="A-%2541.html"', "A-%41.html"),
        ('attachment; filename="50%.html"', "50%.html"),
        ('attachment; filename="100% sure.txt"', "100% sure.txt"),
        ('attachment; filename="a+b.txt"', "a+b.txt"),
        ("attachment; filename=%B7%DD%BD%D1.png", "%B7%DD%BD%D1.png"),
        ('form-data; name="upload"; filename="the %22plans%22.pdf"', 'the "plans".pdf'),
        ('attachment; filename="..%2F..%2Fetc%2Fpasswd"', "../../etc/passwd"),
        # RFC 2047
        ('attachment; filename="=?UTF-8?B?SsOkbm5lci5wZGY=?="', "Jänner.pdf"),
        ("attachment; filename==?eUc-Kr?b?v7m8+iAzLnBuZw==?=", "예술 3.png"),
        ("attachment; filename==?utf-8?Q?=E8=8A=B8=E8=A1=93_3=2Epng?=", "芸術 3.png"),
        ('inline; filename="=?iso88591?Q?caf=e9_=2epng?="', "café .png"),
        ('inline; filename="=?iso88591?Q?caf=E9_?= .png"', "café .png"),
        (
            'inline; filename="=?euc-kr?b?v7m8+iAz?= =?ksc5601?q?=BF=B9=BC=FA=2Epng?="',
            "예술 3예술.png",
        ),
        (
            'attachment; filename="=?windows-1252?Q?caf=E9?=  =?iso-8859-7?b?4eI=?= .png"',
            "caféαβ.png",
        ),
        ('attachment; filename="=?UTF-8?Q?J=C3?= =?UTF-8?Q?=A4nner.pdf?="', "Jänner.pdf"),
        ('attachment; filename="=?UTF-8?B?SsOk?==?UTF-8?B?bm5lci5wZGY=?="', "Jänner.pdf"),
        ('attachment; filename="=?UTF-8?B?SsOkbm5lci5wZGY?="', "Jänner.pdf"),
        ("attachment; filename==?ISO-8859-1?Q?foo-=E4.html?=", "foo-ä.html"),
        ("attachment; filename==?iiso88591?Q?caf=EG?=", ""),
        ("attachment; filename==?iso88591?Q?caf=E3?", ""),
        ("attachment; filename==?iso88591?Q?caf=E3?==", ""),
        ("attachment; filename==?windows-1252?Q?=63=61=E?=", ""),
        ('attachment; filename="=?nothing?B?SsOk?="', ""),
        ('attachment; filename="=?UTF-8?B?S*Ok?="', ""),
        ('attachment; filename="=?UTF-8?Q?=E4?="', ""),
        ('attachment; filename="a =?b"', ""),
        # Blanks, and bytes
        ('inline; filename="abc  \t\nde.pdf"', "abc    de.pdf"),
        ('attachment; filename="foo-\xe4.html"', "foo-ä.html"),
        ('attachment; filename="cr\xe9\xe9e.pdf"', "créée.pdf"),
        ('attachment; filename="5\x80.txt"', "5€.txt"),
        ('attachment; filename="a\x81.txt"', "a\x81.txt"),
        ('attachment; filename="' + raw("foo-ä.html") + '"', "foo-ä.html"),
        ("attachment; filename=" + raw("foo-ä.html"), "foo-ä.html"),
        ('attachment; filename="' + raw("副本.doc", "gbk") + '"', "副本.doc"),
        (
            'attachment; filename="' + raw("2026年报告 终稿.xlsx", "gbk") + '"',
            "2026年报告 终稿.xlsx",
        ),
        ('attachment; filename="文.html"', "文.html"),
    ],
)
def test_what_stands_in_filename_is_decoded(header: str, name: str):
    assert filename_in(header) == name


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("attachment; filename*=iso-8859-1''foo-%E4.html", "foo-ä.html"),
        ("attachment; filename*=UTF-8''foo-%c3%a4-%e2%82%ac.html", "foo-ä-€.html"),
        ("attachment; filename*=utf8''%E2%82%AC%20rates.pdf", "€ rates.pdf"),
        ("attachment; filename* =UTF-8''foo-%c3%a4.html", "foo-ä.html"),
        ("attachment; filename*= UTF-8'en'foo-%c3%a4.html", "foo-ä.html"),
        ("attachment; filename*=UTF-8''A-%2541.html", "A-%41.html"),
        ("attachment; filename*=UTF-8''%5cfoo.html", "\\foo.html"),
        ("attachment; filename=\"plain.html\"; filename*=UTF-8''f%c3%bcr.html", "für.html"),
        ("attachment; filename*=UTF-8''f%c3%bcr.html; filename=\"plain.html\"", "für.html"),
        ("inline; filename*=iso88591''cafe foo.png", "cafe foo.png"),
        ("attachment; filename*=GBK''%B8%B1%B1%BE.doc", "副本.doc"),
        ("attachment; filename*=gb2312''%B8%B1%B1%BE.doc", "副本.doc"),
        ("attachment; filename*=EUC-JP''%B7%DD%BD%D13%2Epng", "芸術3.png"),
        ("attachment; filename*=Shift_JIS''%8C%7C%8Fp.png", "芸術.png"),
        ("attachment; filename*=Big5''%A4%A4%A4%E5.txt", "中文.txt"),
        ("inline; filename*=Euc-Kr'ko'%BF%B9%BC%FA%2Epng", "예술.png"),
        ("attachment; filename*=windows-1252''caf%E9.png", "café.png"),
        ("attachment; filename*=windows-1251''%CF%EB%E0%ED.pdf", "План.pdf"),
        ("attachment; filename*=KOI8-R''%F0%CC%C1%CE.pdf", "План.pdf"),
        ("attachment; filename*=ISO-8859-2''%A4%20rates.pdf", "¤ rates.pdf"),
        ("attachment; filename*=ISO-8859-1''%82%20rates.pdf", "‚ rates.pdf"),
        ("attachment; filename*=\"UTF-8''foo-%c3%a4.html\"", "foo-ä.html"),
        ("attachment; filename*=UTF-8''" + raw("文.html"), "文.html"),
        ("attachment; filename*=UTF-8''foo%", ""),
        ("attachment; filename*=UTF-8''f%oo.html", ""),
        ("attachment; filename*=UTF-8''bad%zz; filename=plain.html", "plain.html"),
        ("attachment; filename *=UTF-8''foo.html", ""),
        ("attachment; filename*=''foo.html", ""),
        ("attachment; filename*=foo.html", ""),
        ("attachment; filename*=UTF-8'foo.html", ""),
        ("attachment; filename*=UTF-8''foo'.html", ""),
        ("attachment; filename*=UTF-8''foo-%E4.html", ""),
        ("attachment; filename*=bogus''foo.html; filename=\"plain.html\"", "plain.html"),
        ("attachment; filename*=rot13''foo.html", ""),
        ("attachment; filename*=unicode_escape''a%5Cu002fb", ""),
    ],
)
def test_filename_with_a_star_says_its_character_set(header: str, name: str):
    assert filename_in(header) == name


def test_the_character_set_of_the_type_reads_bytes_that_are_no_utf_8():
    header = f'attachment; filename="{raw("План.pdf", "cp1251")}"'
    assert filename_in(header, "windows-1251") == "План.pdf"
    assert filename_in(f'attachment; filename="{raw("文.pdf")}"', "windows-1251") == "文.pdf"


NAMES = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\x85\u2028\u2029"),
    min_size=1,
)


@given(NAMES)
def test_a_name_comes_back_from_each_coding(name: str):
    """What libraries write: RFC 8187, encoded words, percent signs."""
    coded = base64.b64encode(name.encode()).decode()
    assert filename_in(f"attachment; filename*=UTF-8''{quote(name, safe='')}") == name
    assert filename_in(f'attachment; filename="=?UTF-8?B?{coded}?="') == name
    assert filename_in(f'attachment; filename="{quote(name, safe="")}"') == name


@given(st.text(max_size=200), st.text(max_size=20))
def test_no_field_breaks_the_parser(value: str, charset: str):
    assert safe(filename_in(f"attachment; filename={value}", charset))
    assert safe(filename_in(f"attachment; filename*={charset}''{value}"))
    assert safe(filename_in(value, charset))


@pytest.mark.parametrize("piece", ["\\", '"', ";", "=?", "%", "'", "=?a?b?c?=", "a=b;", " ", '\\"'])
def test_a_long_field_is_read_in_no_time(piece: str):
    begin = time.process_time()
    filename_in(f'attachment; filename="{piece * (60_000 // len(piece))}')
    filename_in(f"attachment; filename*={piece * (60_000 // len(piece))}")
    assert time.process_time() - begin < 1.0
