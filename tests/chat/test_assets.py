"""The browser's files: at addresses of their version, kept where they never change."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from chat.platform import assets
from main import create_app
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
