"""The browser's files: at addresses of their version, kept where they never change."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import dev
from chat.platform import assets
from local import page_build
from main import create_app
from tests.chat.support import Browser
from tests.helpers import ON_APP_ENGINE, SETTINGS

STATIC = Path(__file__).resolve().parents[2] / "static"
ADDRESS = re.compile(r'(?:src|href)="(/static/[^"]+)"')


def get(client: FlaskClient, address: str) -> TestResponse:
    with client.get(address) as answer:
        return answer


def test_the_version_changes_with_every_content_and_name(tmp_path: Path) -> None:
    (tmp_path / "chat").mkdir()
    first = tmp_path / "chat" / "a.js"
    first.write_text("1")
    versions = [assets.version(tmp_path)]
    first.write_text("2")
    versions.append(assets.version(tmp_path))
    first.rename(tmp_path / "chat" / "b.js")
    versions.append(assets.version(tmp_path))
    (tmp_path / "chat" / "c.js").write_text("")
    versions.append(assets.version(tmp_path))
    assert len(set(versions)) == 4
    assert all(re.fullmatch("[0-9a-f]{12}", each) for each in versions)
    assert assets.version(tmp_path) == versions[-1]


def test_a_page_loads_all_its_files_from_one_version(client: FlaskClient) -> None:
    html = client.get("/login").get_data(as_text=True)
    addresses = ADDRESS.findall(html)
    assert addresses
    for address in addresses:
        assert address.startswith(f"{assets.url_path()}/")
        assert get(client, address).status_code == 200
    other = addresses[0].replace(assets.url_path(), "/static/0123456789ab")
    assert get(client, other).status_code != 200


def test_no_script_or_style_names_another_by_an_absolute_address() -> None:
    for path in (each for each in STATIC.rglob("*") if each.suffix in (".js", ".css")):
        assert "/static/" not in re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL), path


def test_here_files_are_asked_for_again_in_case_they_were_changed(client: FlaskClient) -> None:
    answer = get(client, f"{assets.url_path()}/chat/chat.js")
    assert answer.headers["Cache-Control"] == "no-cache"
    assert answer.headers["ETag"]


@pytest.mark.parametrize("name", ["chat/chat.js", "unread_state.css"])
def test_in_production_they_are_kept_for_a_year(name: str) -> None:
    client = create_app({**SETTINGS, **ON_APP_ENGINE, "TESTING": True}).test_client()
    answer = get(client, f"{assets.url_path()}/{name}")
    kept = answer.cache_control
    assert (answer.status_code, kept.max_age, kept.immutable) == (200, 365 * 86400, True)
    assert not get(client, f"{assets.url_path()}/gone.js").cache_control.immutable


def test_no_page_takes_styles_that_are_not_files(client: FlaskClient) -> None:
    policy = client.get("/login").headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "style-src 'self';" in policy


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of a small page, in place of the real ones."""
    files = tmp_path / "static"
    (files / "chat" / "parts").mkdir(parents=True)
    (files / "chat" / "chat.js").write_text(
        'import { one } from "./parts/one.js";\nwindow.is = one;'
    )
    (files / "chat" / "parts" / "one.js").write_text("export const one = 1;\n")
    (files / "chat" / "chat.css").write_text('@import "./a.css";\n')
    (files / "chat" / "a.css").write_text("p { color: red }\n")
    monkeypatch.setattr(assets, "FOLDER", files)
    monkeypatch.setattr(assets, "BUILT", files / "built")
    return files


def esbuild() -> Path:
    if not (found := dev.esbuild()).is_file():
        pytest.skip("python3 dev.py test fetches it")
    return found


def test_the_page_is_two_files_as_long_as_these_are_of_what_is_there(house: Path) -> None:
    assert assets.page_files() == "chat"
    assert page_build.build(esbuild())
    assert assets.page_files() == "built/chat"
    script = (house / "built/chat/chat.js").read_text()
    assert "import" not in script
    assert "window.is" in script
    assert "red" in (house / "built/chat/chat.css").read_text()
    one = house / "chat" / "parts" / "one.js"
    one.write_text("export const one = 2;\n")
    assert assets.page_files() == "chat"
    assert page_build.build(esbuild())
    assert assets.page_files() == "built/chat"
    assert (house / "built/chat/chat.js").read_text() != script
    (house / "vendor").mkdir()
    (house / "vendor" / "of_others.json").touch()
    assert assets.page_files() == "built/chat"
    assert [each.name for each in house.iterdir() if each.name.startswith(".")] == []


def test_what_cannot_be_put_together_leaves_the_page_its_modules(
    house: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (house / "chat" / "parts" / "one.js").write_text("export const one = ;\n")
    assert not page_build.build(esbuild())
    assert "one.js" in capfd.readouterr().err
    assert assets.page_files() == "chat"
    assert sorted(each.name for each in house.iterdir()) == ["chat"]


def test_what_a_script_finds_beside_itself_it_finds_from_the_one_file_too() -> None:
    """`static/built/chat/chat.js` lies as deep as the modules that ask for their own place."""
    asking = [path for path in (STATIC / "chat").rglob("*.js") if "import.meta" in path.read_text()]
    assert asking
    for path in asking:
        for name in re.findall(r'new URL\("(.+?)", import\.meta\.url\)', path.read_text()):
            found = [(folder / name).resolve() for folder in (path.parent, assets.BUILT / "chat")]
            assert found[0] == found[1], path
            assert found[0].is_relative_to(STATIC)


def test_an_attendants_page_names_what_there_is(
    ana: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in ("chat", "built/chat"):
        monkeypatch.setattr(assets, "is_built", lambda folder=folder: folder != "chat")
        html = ana.get("/").get_data(as_text=True)
        for name in ("chat.js", "chat.css"):
            assert f'"{assets.url_path()}/{folder}/{name}"' in html
