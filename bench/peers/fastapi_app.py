"""The detector behind FastAPI and uvicorn."""

from anyio import CapacityLimiter, to_thread
from common import Model
from fastapi import FastAPI, Request

app = FastAPI()
model = Model()
one = CapacityLimiter(1)  # clip at a time in each of the two processes, as the other servers do


@app.get("/ready")
def ready() -> dict[str, bool]:
    return {"ready": True}


@app.post("/detect")
async def detect(request: Request) -> dict[str, object]:
    return await to_thread.run_sync(model.score, await request.body(), limiter=one)
