"""The detector behind FastAPI and uvicorn."""

from common import Model
from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool

app = FastAPI()
model = Model()


@app.get("/ready")
def ready() -> dict[str, bool]:
    return {"ready": True}


@app.post("/detect")
async def detect(request: Request) -> dict[str, object]:
    return await run_in_threadpool(model.score, await request.body())
