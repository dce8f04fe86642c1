"""The OpenAPI document against what the server answers, and the API page's examples run as they stand."""

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import requests
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate
from playwright.sync_api import Page, expect

from serving.app import create_app
from serving.pages import openapi
from serving.settings import Settings
from tests.web.conftest import PARTLY


def assert_fits(answer: requests.Response, path: str, method: str) -> dict[str, Any]:
    """The answer's status is documented, and its body has the documented form, with no field more."""
    document = openapi()
    documented = document["paths"][path][method]["responses"][str(answer.status_code)]
    schema = documented["content"]["application/json"]["schema"]
    Draft202012Validator({**schema, "components": document["components"]}).validate(answer.json())
    body: dict[str, Any] = answer.json()
    name = schema.get("$ref", "").rsplit("/", 1)[-1]
    known = document["components"]["schemas"][name]
    assert set(known["required"]) <= set(body) <= set(known["properties"])
    return body


def test_the_document_is_valid_openapi_and_is_served(address: str) -> None:
    served = requests.get(f"{address}/openapi.json", timeout=10).json()
    assert served == openapi()
    assert served["openapi"].startswith("3.1")
    validate(served)


def test_every_route_of_the_server_is_documented() -> None:
    app = create_app(Settings(model=Path("none.onnx")))
    app.extensions["bonafide"].stop()
    routes = {
        (re.sub(r"<(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if not rule.endpoint.startswith("pages.") and rule.endpoint not in ("admin.page", "admin.comparison")
    }
    documented = {(path, method) for path, methods in openapi()["paths"].items() for method in methods}
    assert documented == routes


def test_a_detection_has_the_documented_form(address: str) -> None:
    body = assert_fits(
        requests.post(f"{address}/api/detect", files={"file": PARTLY.data}, timeout=30), "/api/detect", "post"
    )
    schemas = openapi()["components"]["schemas"]
    for field, schema in (("clip", "Clip"), ("model", "ModelName"), ("map", "Map")):
        assert set(body[field]) == set(schemas[schema]["properties"])
    for field, schema in (("windows", "Window"), ("spans", "Stretch")):
        assert set(body[field][0]) == set(schemas[schema]["properties"])


@pytest.mark.parametrize(
    ("path", "method"), [("/api/model", "get"), ("/readyz", "get")], ids=["model", "ready"]
)
def test_facts_have_the_documented_form(address: str, path: str, method: str) -> None:
    assert_fits(requests.request(method, address + path, timeout=10), path, method)


@pytest.mark.parametrize(
    "data", [b"", b"Dear Sir or Madam", PARTLY.data[:30_000]], ids=["empty", "text", "cut"]
)
def test_errors_have_the_documented_form(address: str, data: bytes) -> None:
    headers = {"Content-Type": "audio/wav"}
    answer = requests.post(f"{address}/api/detect", data=data, headers=headers, timeout=10)
    assert answer.status_code >= 400
    assert_fits(answer, "/api/detect", "post")


def example(page: Page, address: str, name: str) -> str:
    page.goto(f"{address}/api")
    return page.locator(f"#example-{name}").inner_text()


@pytest.fixture
def clip_folder(tmp_path: Path) -> Path:
    (tmp_path / "clip.flac").write_bytes(PARTLY.data)  # the name is the example's; the server reads bytes
    return tmp_path


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def test_the_curl_example_runs(page: Page, address: str, clip_folder: Path) -> None:
    result = json.loads(run(["sh", "-c", example(page, address, "curl")], clip_folder))
    assert result["verdict"] in ("real", "fake", "inconclusive")


def test_the_python_example_runs(page: Page, address: str, clip_folder: Path) -> None:
    printed = run([sys.executable, "-c", example(page, address, "python")], clip_folder)
    assert "%" in printed
    assert " to " in printed


def test_the_javascript_example_runs_in_the_browser(page: Page, address: str) -> None:
    code = example(page, address, "javascript")
    _, code = code.split("\n", 1)  # the import of node's file reading
    code = code.replace('await readFile("clip.flac")', "new Uint8Array(bytes)")
    body = f"async (bytes) => {{ {code}; return result.verdict }}"
    assert page.evaluate(body, list(PARTLY.data)) in ("real", "fake", "inconclusive")


def test_examples_are_copied_by_a_button(page: Page, address: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    text = example(page, address, "python")
    page.get_by_role("button", name="Copy the Python example").click()
    expect(page.locator("#live")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()").strip() == text.strip()


def test_the_page_names_every_endpoint(page: Page, address: str) -> None:
    page.goto(f"{address}/api")
    for path in openapi()["paths"]:
        expect(page.locator(".endpoint h4", has_text=path).first).to_be_visible()


def test_pages_forbid_inline_script_and_style(address: str) -> None:
    for path in ("/", "/api"):
        with urllib.request.urlopen(address + path) as answer:
            policy = answer.headers["Content-Security-Policy"]
            html = answer.read().decode()
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert " style=" not in html
        assert "<style" not in html
        assert "<script>" not in html
        assert " onclick=" not in html
