"""What the documents say about themselves and about the code, where it can be proved cheaply."""

import inspect
import json
import math
import re
from pathlib import Path

import pytest

import message_status
import realtime_events
import unread_state

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("docs/*.md"), *ROOT.glob("README*.md")])
PLAN = ROOT / "docs" / "modulos.md"

FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
LINK = re.compile(r"\]\(([^()\s]+(?:\([^()\s]*\)[^()\s]*)*)\)")
#: The modules that are built.
MODULES = {
    "REALTIME_EVENTS_": realtime_events,
    "UNREAD_STATE_": unread_state,
    "MESSAGE_STATUS_": message_status,
}
#: `REALTIME_EVENTS_…` as a family of names is not the name of a setting.
SETTING = re.compile(rf"\b(?:{'|'.join(MODULES)})[A-Z0-9_]*[A-Z0-9]\b")
#: The first word of a diagram that GitHub's Mermaid knows.
DIAGRAMS = {
    "classDiagram", "erDiagram", "flowchart", "gantt", "graph", "pie", "sequenceDiagram",
    "stateDiagram-v2", "timeline",
}  # fmt: skip
PAIRS = {")": "(", "]": "[", "}": "{"}
ENVELOPE = {"id", "type", "conversation_id", "version", "at", "data"}

each_module = pytest.mark.parametrize("prefix", MODULES)
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def prose(text: str) -> str:
    """The text without its fenced blocks and inline code, in which `](` is no link."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))


def blocks(text: str, language: str) -> list[str]:
    return [body for name, body in FENCE.findall(text) if name == language]


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    found: set[str] = set()
    for heading in HEADING.findall(FENCE.sub("", text)):
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")
        repeat, unique = 0, slug
        while unique in found:
            repeat += 1
            unique = f"{slug}-{repeat}"
        found.add(unique)
    return found


def broken_links(page: Path, text: str) -> list[str]:
    broken = []
    for link in LINK.findall(prose(text)):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists():
            broken.append(link)
        elif anchor:
            other = text if target == page else target.read_text(encoding="utf-8")
            if anchor not in anchors(other):
                broken.append(link)
    return broken


def mermaid_fault(diagram: str) -> str | None:
    """Why this diagram cannot be drawn, as far as that shows without drawing it."""
    lines = [line for line in diagram.splitlines() if line.strip()]
    if not lines or lines[0].split()[0] not in DIAGRAMS:
        return f"unknown diagram type: {lines[:1]}"
    if lines[0].startswith("erDiagram"):  # its crow's feet are brackets without a partner
        lines = [re.sub(r"[|}][|o](--|\.\.)[|o][|{]", "", line) for line in lines]
    open_brackets: list[str] = []
    for line in lines:
        if line.count('"') % 2:
            return f"unbalanced quotes: {line.strip()}"
        for character in re.sub(r'"[^"]*"', "", line):
            if character in PAIRS.values():
                open_brackets.append(character)
            elif character in PAIRS and (
                not open_brackets or open_brackets.pop() != PAIRS[character]
            ):
                return f"unbalanced {character}: {line.strip()}"
    return f"never closed: {open_brackets}" if open_brackets else None


def setting_rows(text: str) -> dict[str, str]:
    """Setting → default, from the tables whose first two columns are these."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| ([^|]+?) \|", text, re.MULTILINE)
    return {name: default for name, default in rows if name.startswith(tuple(MODULES))}


def test_the_plan_is_among_the_pages():
    assert PLAN in PAGES


@each_page
def test_every_relative_link_and_anchor_resolves(page):
    assert broken_links(page, page.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("link", ["#nowhere", "missing.md", "modulos.md#nowhere"])
def test_a_broken_link_is_noticed(link):
    assert broken_links(PLAN, f"# Here\n[text]({link})") == [link]


def test_an_anchor_keeps_accents_and_drops_punctuation():
    text = "# 1. Módulo: `realtime_events`\n# Etapas, ou fases?\n# Etapas ou fases\n"
    assert anchors(text) == {"1-módulo-realtime_events", "etapas-ou-fases", "etapas-ou-fases-1"}


@each_page
def test_every_diagram_has_a_known_type_and_balanced_brackets(page):
    diagrams = blocks(page.read_text(encoding="utf-8"), "mermaid")
    assert [fault for fault in map(mermaid_fault, diagrams) if fault] == []


@pytest.mark.parametrize(
    "diagram",
    ["flow TD\n A --> B", "flowchart TD\n A[x --> B", 'flowchart TD\n A["x] --> B', ""],
)
def test_a_malformed_diagram_is_noticed(diagram):
    assert mermaid_fault(diagram)


@each_page
def test_every_fence_is_closed(page):
    text = page.read_text(encoding="utf-8")
    assert "```" not in FENCE.sub("", text)


@each_page
def test_every_json_example_is_json(page):
    for example in blocks(page.read_text(encoding="utf-8"), "json"):
        json.loads(example)


def test_every_event_example_has_the_envelope_of_the_wire():
    examples = [json.loads(text) for text in blocks(PLAN.read_text(encoding="utf-8"), "json")]
    events = [example for example in examples if "at" in example]
    wire = realtime_events.format_event("a.b", "{}", event_id="x", at=0).decode()
    assert set(json.loads(wire.split("data: ", 1)[1])) == ENVELOPE
    assert events
    assert all(set(event) == ENVELOPE for event in events)


def test_every_setting_the_documents_name_exists():
    known = {prefix + name for prefix, module in MODULES.items() for name in module.DEFAULTS}
    named = {name for page in PAGES for name in SETTING.findall(page.read_text(encoding="utf-8"))}
    assert named - known == set()


@each_module
def test_the_plan_lists_every_setting_with_its_default(prefix):
    rows = setting_rows(PLAN.read_text(encoding="utf-8"))
    expected = {}
    for name, (default, *_) in MODULES[prefix].DEFAULTS.items():
        shown = f"`{default}`" if isinstance(default, str) else f"{default:g}".replace(".", ",")
        expected[prefix + name] = shown
    assert {name: rows.get(name) for name in expected} == expected


@each_module
def test_the_plan_lists_every_limit(prefix):
    text = PLAN.read_text(encoding="utf-8")
    for name, (default, *allowed) in MODULES[prefix].DEFAULTS.items():
        row = re.search(rf"^\| `{prefix}{name}` \| [^|]+ \| ([^|]+) \|", text, re.M)
        assert row, name
        if isinstance(default, str):
            assert re.findall(r"`(\w+)`", row[1]) == allowed
        else:
            low, high = (f"{limit:g}".replace(".", ",") for limit in allowed)
            assert row[1].endswith(f"de {low} a {high}".replace("1e+05", "100000")), name


def test_the_plan_gives_the_browsers_times_as_they_are():
    source = (ROOT / "static" / "realtime_events.js").read_text(encoding="utf-8")
    constants = dict(re.findall(r"^const ([A-Z_]+) = ([\d_ *]+);", source, re.MULTILINE))
    rows = re.findall(r"^\| `([A-Z_]+)` \| ([\d,]+) s \|", PLAN.read_text(encoding="utf-8"), re.M)
    assert rows
    for name, shown in rows:
        factors = (int(factor) for factor in constants[name].split("*"))
        assert float(shown.replace(",", ".")) * 1000 == math.prod(factors), name


@each_module
def test_every_name_of_the_module_in_the_plan_exists(prefix):
    module = MODULES[prefix]
    text = PLAN.read_text(encoding="utf-8")
    names = set(re.findall(rf"\b{module.__name__}\.(\w+)", text)) - {"py", "js", "css"}
    assert names
    assert {name for name in names if name not in module.__all__} == set()


@pytest.mark.parametrize(
    ("module", "function"),
    [
        *((realtime_events, n) for n in ("init_app", "publish", "transaction", "delete_expired")),
        *((realtime_events, n) for n in ("receive", "update", "add_message", "place", "tell")),
        *((unread_state, n) for n in ("init_app", "publish_changed", "read", "mark_unread")),
        (unread_state, "merge"),
        *((message_status, n) for n in ("init_app", "send", "sending", "started", "retry")),
        *((message_status, n) for n in ("record_statuses", "record_outcome")),
    ],
)
def test_the_plan_shows_a_functions_parameters(module, function):
    text = "\n".join(blocks(PLAN.read_text(encoding="utf-8"), "text"))
    shown = re.search(
        rf"^{module.__name__}\.{function}\((.*?)\)(?: ->.*|\s*#.*)?$", text, re.M | re.S
    )
    assert shown
    for name in inspect.signature(getattr(module, function)).parameters:
        assert re.search(rf"\b{name}\b", shown.group(1)), name


def test_the_plan_explains_errors_as_the_code_does():
    text = PLAN.read_text(encoding="utf-8")
    table = text[text.index("### Erros explicados") : text.index("`MESSAGE_STATUS_PARK_DAYS`")]
    rows = re.findall(r"^\| `?(\d+|[a-z]+)`? \| ([^|]+) \|$", table, re.M)
    rows = [(code, shown) for code, shown in rows if code != "outro"]
    assert len(rows) > 15
    for code, shown in rows:
        assert shown == message_status.EXPLANATIONS[code], code


def test_the_plan_shows_the_hosts_own_code():
    host = ROOT / "tests" / "hosts" / "plain" / "after"
    files = {"python": host / "main.py", "js": host / "static" / "chat.js"}
    for language, path in files.items():
        shown = blocks(PLAN.read_text(encoding="utf-8"), language)
        assert shown
        source = path.read_text(encoding="utf-8")
        assert [block for block in shown if block not in source] == []


def test_the_page_about_claude_tells_every_setting_and_its_default():
    from chat.auto_reply.settings import AutoReplySettings

    text = (ROOT / "docs" / "claude.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`[A-Z_`, ]+`) \| ([^|]*?) ?\|", text, re.MULTILINE)
    told = {name: default for names, default in rows for name in re.findall(r"`(\w+)`", names)}
    known = AutoReplySettings()
    fields = {f"AUTO_REPLY_{name.upper()}": value for name, value in vars(known).items()}
    for name in ("API_KEY", "BASE_URL"):
        del fields[f"AUTO_REPLY_{name}"]
    extra = {"ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL", "AUTO_REPLY_SYSTEM_PROMPT_FILE"}
    assert set(told) == set(fields) | extra
    for name, value in fields.items():
        if value in ("", None, ()):
            assert told[name] in ("", "os de tabela"), name
        else:
            shown = f"{value:g}" if isinstance(value, float) else str(value)
            # Of a switch the environment's word.
            assert told[name].strip("`") == (shown.lower() if shown == "False" else shown), name


def test_the_page_about_files_tells_every_reason_limit_and_setting():
    from chat.conversation.attached import media
    from chat.media.fetching import MAX_BYTES
    from chat.media.settings import MediaSettings

    text = (ROOT / "docs" / "midia.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE)) - {"reason"} == set(
        media.EXPLANATIONS
    )
    row = re.search(r"^\| `too_large` \| (.*) \|$", text, re.MULTILINE)[1]
    assert {int(number) for number in re.findall(r"(\d+) MB", row)} == {
        most // 1_000_000 for most in MAX_BYTES.values()
    }
    settings = re.findall(r"^\| `MEDIA_([A-Z]+)` \|", text, re.MULTILINE)
    assert {name.lower() for name in settings} == set(vars(MediaSettings()))


def test_the_page_about_files_tells_what_may_be_sent():
    from chat.uploads import limits

    text = (ROOT / "docs" / "midia.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| [^|`]+\(`([a-z]+)`\) \| (.+) \|$", text, re.MULTILINE))
    assert set(rows) == set(limits.KINDS)
    for kind, row in rows.items():
        found = limits.KINDS[kind]
        assert limits.in_words(found.sent_max_bytes) in row or kind == "voice", kind
    assert limits.in_words(limits.STICKER_BYTES) in rows["sticker"]
    assert limits.in_words(limits.KINDS["image"].max_bytes) in rows["image"]
    assert f"até {limits.in_words(limits.MULTIPART_MAX_BYTES)} vai junto" in text


def test_the_queues_of_the_app_are_the_queues_of_the_file():
    queues = re.findall(r"- name: (\S+)", (ROOT / "queue.yaml").read_text())
    named = re.findall(r'[A-Z_]+_QUEUE: "(\S+)"', (ROOT / "app.yaml").read_text())
    region = re.search(r"--region=(\S+)", (ROOT / "README.md").read_text())[1]
    assert named == [f"{region}/{queue}" for queue in queues]


def test_the_shortcuts_are_those_of_the_screen() -> None:
    script = (ROOT / "static/chat/keyboard/shortcuts.js").read_text(encoding="utf-8")
    found = re.findall(r'key: "(.+?)", code: "\w+",( shift: true,)? label: "(.+?)"', script)
    assert len(found) == script.count("{ id: ")
    keys = {f"Ctrl Alt {'Shift ' if shift else ''}{key}": label for key, shift, label in found}
    page = (ROOT / "docs/tela.md").read_text(encoding="utf-8")
    assert dict(re.findall(r"^\| (Ctrl .+?) \| (.+?) \|$", page, re.MULTILINE)) == keys
