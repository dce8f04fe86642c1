"""The least that Flask can be: what a cold start is compared with."""

from flask import Flask

app = Flask(__name__)


@app.get("/")
def index() -> str:
    return "ok"
