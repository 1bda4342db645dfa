"""Formatting and links of a message: what is drawn of it, and that no character gets lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.screen_modules import Run, modules_page


@pytest.fixture(scope="module")
def run(chromium: Browser) -> Iterator[Run]:
    with modules_page(chromium) as run:
        yield run


HTML = """
  const inner = (t) => t.children ? tree(t.children) : t.text;
  const mark = (t) => `<${[t.kind, t.href ?? t.value].filter(Boolean).join(' ')}>${inner(t)}</>`;
  const tree = (tokens) => tokens.map((t) => t.kind === 'text' ? t.text : mark(t)).join('');
  return tree(rich_text.parseRichText(arg));
"""


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("um *dois* três", "um <strong>dois</> três"),
        ("*_os dois_*", "<strong><em>os dois</></>"),
        ("~velho~ ```a *b*```", "<s>velho</> <pre>a *b*</>"),
        ("2*3*4 e a_b_c", "2*3*4 e a_b_c"),
        (" * solto* e *aberto", " * solto* e *aberto"),
        ("*quebra\nlinha*", "*quebra\nlinha*"),
        ("veja https://a.com/x_y_z.", "veja <link https://a.com/x_y_z>https://a.com/x_y_z</>."),
        ("(www.a.com)", "(<link https://www.a.com/>www.a.com</>)"),
        ("https://a.com/(b)", "<link https://a.com/(b)>https://a.com/(b)</>"),
        ("*https://a.com*", "<strong><link https://a.com/>https://a.com</></>"),
        ("javascript:alert(1) data:text/html,x", "javascript:alert(1) data:text/html,x"),
        ("<b>não</b>", "<b>não</b>"),
    ],
)
def test_text_is_formatted_as_whatsapp_does(run: Run, text: str, drawn: str) -> None:
    assert run(HTML, text) == drawn


@pytest.mark.parametrize(
    "text",
    [
        "CPF ***.456.789-**", "***.***.***-**", "**.***.*45/0001-**",
        "cartão **** **** **** 1234",
        "senha: *****", "***", "**", "* * *", "**negrito**", "***a***", "*a**", "**a*",
        "R$ **,**",
        "____ assinatura ____", "Nome: ______________", "__init__", "___", "_ _ _", "__a_ b",
        "~~~", "~~riscado~~", "~ ~ ~", "~~ 20 ~~", "``", "``a``", "````a````", "```",
        "``` ```` ```",
        "*_*", "*~*", "~_~", "_*_", "*-*", "*.*", "-_-", "T_T", "^_^", ">_<",
        "¯\\_(ツ)_/¯", "*...*",
        "2*3*4", "2 * 3 * 4", "10*2=20", "a_b_c", "1_000_000", "x~y~z", "a`b`c", "nota*",
        "*nota",
        "_nota", "~nota", "`nota", "x * a*", "*a *", "_a\nb_", "*144#", "**21*11999999999#",
        "*#06#",
        "maria_silva_@exemplo.com", "_maria_@exemplo.com", "a_b@c_d.com",
        "nome_do_arquivo_v2.pdf",
        "- - -", "-", "- ", "1. ", "> ", ">", "> ...", "-10 graus", "1.234,56",
        "*-* e *.*", "2026. Foi um ano", "1.Rua", "1) Rua", ">sem espaço", " - com recuo",
        "a\n\nb", "\na\n", "\n", "",
        "a*b *c", "preço* e prazo*", "~*~*~*~", "=_=_=",
    ],
)  # fmt: skip
def test_a_marker_that_formats_nothing_stays(run: Run, text: str) -> None:
    assert run(HTML, text) == text
    assert run("return rich_text.plainText(arg)", text) == text


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("*a* **b** *c*", "<strong>a</> **b** <strong>c</>"),
        ("*CPF ***.456.789-***", "*CPF ***.456.789-***"),
        ("*CPF ***.456.789-** ok*", "<strong>CPF ***.456.789-** ok</>"),
        ("*a _b* c_", "<strong>a _b</> c_"),
        ("_a *b* c_", "<em>a <strong>b</> c</>"),
        ("(*a*), ~b~!", "(<strong>a</>), <s>b</>!"),
        ("*1* *R$ 10,00* _5_", "<strong>1</> <strong>R$ 10,00</> <em>5</>"),
        ("*😀* ~€~", "<strong>😀</> <s>€</>"),
        ("*a `b*` c*", "<strong>a <code>b*</> c</>"),
        ("`*a* _b_`", "<code>*a* _b_</>"),
        ("_maria@exemplo.com_", "<em>maria@exemplo.com</>"),
        ("maria_silva_@exemplo.com e _oi_", "maria_silva_@exemplo.com e <em>oi</>"),
        ("*a https://b.com/*x* c*", "<strong>a <link https://b.com/*x>https://b.com/*x</></> c*"),
        ("https://a.com/_x_/~y~/z", "<link https://a.com/_x_/~y~/z>https://a.com/_x_/~y~/z</>"),
        ("_https://a.com/x_y_", "<em><link https://a.com/x_y>https://a.com/x_y</></>"),
        ("https://a.com/maria_ oi", "<link https://a.com/maria_>https://a.com/maria_</> oi"),
        ("~*_três_*~", "<s><strong><em>três</></></>"),
        ("*a ```b\n*c* d``` e*", "<strong>a <pre>b\n*c* d</> e</>"),
        ("```a\n- b\n> c```", "<pre>a\n- b\n> c</>"),
        ("`a ```b``` c`", "`a <pre>b</> c`"),
    ],
)  # fmt: skip
def test_runs_words_and_addresses_keep_their_markers(run: Run, text: str, drawn: str) -> None:
    assert run(HTML, text) == drawn


@pytest.mark.parametrize(
    ("text", "drawn", "plain"),
    [
        ("- um\n- dois", "<ul><li>um</><li>dois</></>", "• um\n• dois"),
        ("* um\n- dois", "<ul><li>um</><li>dois</></>", "• um\n• dois"),
        ("1. um\n3. três", "<ol><li 1>um</><li 3>três</></>", "1. um\n3. três"),
        ("> dito\n> assim\nsim", "<blockquote>dito\nassim</>sim", "dito\nassim\nsim"),
        ("Leve:\n- pão\n\nE só", "Leve:\n<ul><li>pão</></>\nE só", "Leve:\n• pão\n\nE só"),
        ("- *um* _dois_", "<ul><li><strong>um</> <em>dois</></></>", "• um dois"),
        ("- - um", "<ul><li>- um</></>", "• - um"),
        ("* a*", "<ul><li>a*</></>", "• a*"),
        ("*- um*", "<strong>- um</>", "- um"),
        ("*um\n- dois*", "*um\n<ul><li>dois*</></>", "*um\n• dois*"),
        (
            "> *Total:*\n> 1. pão\n> 2. `leite`",
            "<blockquote><strong>Total:</>\n<ol><li 1>pão</><li 2><code>leite</></></></>",
            "Total:\n1. pão\n2. leite",
        ),
        ("> > dito", "<blockquote>> dito</>", "> dito"),
        ("- R$ 10,00\n-", "<ul><li>R$ 10,00</></>-", "• R$ 10,00\n-"),
        (
            "1. https://a.com/x_y_z",
            "<ol><li 1><link https://a.com/x_y_z>https://a.com/x_y_z</></></>",
            "1. https://a.com/x_y_z",
        ),
    ],
)
def test_lists_and_quotes_are_whole_lines(run: Run, text: str, drawn: str, plain: str) -> None:
    assert run(HTML, text) == drawn
    assert run("return rich_text.plainText(arg)", text) == plain


@pytest.mark.parametrize(
    ("text", "href"),
    [
        ("instagram.com/loja", "https://instagram.com/loja"),
        ("veja INSTAGRAM.COM/Loja!", "https://instagram.com/Loja"),
        ("*instagram.com/loja*", "https://instagram.com/loja"),
        ("_loja.com.br_", "https://loja.com.br/"),
        ("(wa.me/5511987654321)", "https://wa.me/5511987654321"),
        ("https://wa.me/5511987654321?text=oi", "https://wa.me/5511987654321?text=oi"),
        ("loja.com.br.", "https://loja.com.br/"),
        ("loja.com, ok?", "https://loja.com/"),
        ("loja.com?", "https://loja.com/"),
        ("loja.com:8080/x", "https://loja.com:8080/x"),
        ("nfe.fazenda.gov.br", "https://nfe.fazenda.gov.br/"),
        ("youtu.be/AbC_d-e", "https://youtu.be/AbC_d-e"),
        ("bit.ly/3xYz, ok", "https://bit.ly/3xYz"),
        ("maps.app.goo.gl/abc", "https://maps.app.goo.gl/abc"),
        ("tiktok.com/@loja_oficial", "https://tiktok.com/@loja_oficial"),
        ("instagram.com/maria_", "https://instagram.com/maria_"),
        ("loja.com.py", "https://loja.com.py/"),
        ("site.shop", "https://site.shop/"),
        ("Acesse loja.com.Obrigado", "https://loja.com/"),
        ("açaí.com.br/x", "https://xn--aa-4iaz.com.br/x"),
        ("www.exemplo.com.br", "https://www.exemplo.com.br/"),
    ],
)
def test_a_bare_address_is_a_link(run: Run, text: str, href: str) -> None:
    body = """
      const links = (tokens) => tokens.flatMap((t) => t.href ?? links(t.children ?? []));
      return [links(rich_text.parseRichText(arg)), rich_text.plainText(arg)];
    """
    links, plain = run(body, text)
    assert links == [href]
    assert plain == (text[1:-1] if text[0] in "*_" else text)


@pytest.mark.parametrize(
    "text",
    ["R$10.00", "1.234,56", "10.00/kg", "fim.Outro", "fim.Com isso", "Oi.Me liga",
     "obrigado.me liga", "oi.vc vem",
     "file.pdf", "nota_fiscal.pdf", "foto.jpg", "script.py", "planilha.xlsx",
     "file.pdf/2", "maria@loja.com.br",
     "maria.silva@gmail.com", "@loja.com.br", "e/ou", "p.ex.", "a.C.", "S.A.", "v1.2.3",
     "192.168.0.1", "14.03.2030",
     "www.", "www...", "http://", "...com", ".com", "loja.", "dr.joao",
     "javascript:alert(1)", "loja.com@gmail.com"],
)  # fmt: skip
def test_what_only_looks_like_an_address_is_none(run: Run, text: str) -> None:
    assert run(HTML, text) == text


def test_hostile_text_is_parsed_in_no_time(run: Run) -> None:
    body = """
      const texts = ['*a '.repeat(20000), '*_'.repeat(20000), 'https://' + ')'.repeat(60000),
                     '`'.repeat(60000), 'w'.repeat(60000), 'https://a.com/ '.repeat(4000),
                     ' *.'.repeat(20000) + '*', 'a.'.repeat(30000), 'a.b/,'.repeat(12000),
                     'a.b@'.repeat(15000), ' `a'.repeat(20000), '```a'.repeat(15000),
                     '- *a\\n'.repeat(15000), '> - a\\n'.repeat(10000), '1. _a '.repeat(10000),
                     '_a.com/_'.repeat(8000), 'a.com/' + '('.repeat(2000) + ')'.repeat(60000)];
      const start = performance.now();
      for (const text of texts) rich_text.parseRichText(text);
      return performance.now() - start;
    """
    assert run(body) < 3000  # quadratic parsing takes minutes
