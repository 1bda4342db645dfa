"""The words of a search: the screen marks what the server finds, by the same rule."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from chat.platform import search_words
from tests.browser.screen_modules import Run, modules_page


@pytest.fixture(scope="module")
def run(chromium: Browser) -> Iterator[Run]:
    with modules_page(chromium) as run:
        yield run


@pytest.mark.parametrize(
    "text",
    [
        "Segue o ORÇAMENTO, ok?", "a_b c-d 1.234,56", "Açao e ac\u0327a\u0303o", "m@loja.com.br",
        "İstanbul ﬁm ½ x² Ⅷ", "😀 oi 👍🏽", "नमस्ते ไทย 你好", "", "  ", "***.456.789-**", "Straße",
    ],
)  # fmt: skip
def test_both_sides_see_the_same_words(run: Run, text: str) -> None:
    assert run("return words.wordsOf(arg)", text) == search_words.words_of(text)


@pytest.mark.parametrize(
    "query", ["maria silva", "4321", "+55 11 98765-4321", "(11) 9", "123", "11.98765", "rua 4321"]
)
def test_both_sides_take_a_number_for_one_word(run: Run, query: str) -> None:
    assert run("return words.nameWords(arg)", query) == search_words.name_words(query)


@pytest.mark.parametrize(
    ("query", "text", "found"),
    [
        ("orca", "Segue o ORÇAMENTO", ["ORÇA"]),
        ("acao", "a ac\u0327a\u0303o!", ["ac\u0327a\u0303o"]),
        ("a ab", "abc a", ["ab", "a"]),
        ("oi", "😀 oi 👍🏽 oi", ["oi", "oi"]),
        ("camento", "orçamento", []),
        ("", "orçamento", []),
    ],
)
def test_what_was_found_is_marked_in_its_own_letters(
    run: Run, query: str, text: str, found: list[str]
) -> None:
    body = """
      const places = words.placesOf(words.wordsOf(arg[0]), arg[1]);
      return places.map(([from, to]) => arg[1].slice(from, to));
    """
    assert run(body, [query, text]) == found
