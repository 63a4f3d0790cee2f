"""What serving costs: throughput and p99 beside the model alone, faults under mixed load, sizes.

    python benchmarks/serving.py --saved_model=exported/saved_model

It starts the server in a process of its own at a free port of the loopback. The model takes pixels.

load: the model alone in this process with batches of --batch images, then the server with twice as
      many clients, each waiting for its answer, in turns so that both see the same machine: images
      a second, p99, and CPU time, which says what serving adds on a machine that others use too.
mixed: --requests good and bad ones in random order: what they were answered with, wrong answers,
      memory.
size: bytes of one answer with 100 detections and 33 x 33 masks, in every form. Needs no model.
"""

import argparse
import asyncio
import io
import json
import random
import re
import statistics
import subprocess
import sys
import time

import numpy as np


def main():
    """Runs what --only says, or everything."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--saved_model", help="folder with saved_model.pb; uint8 images")
    parser.add_argument("--only", choices=("load", "mixed", "size"))
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--images", type=int, default=64, help="of each turn")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--height", type=int, default=200)
    parser.add_argument("--width", type=int, default=256)
    given = parser.parse_args()
    if given.only in (None, "size"):
        sizes()
    if given.only == "size":
        return
    if not given.saved_model:
        parser.error("load and mixed need --saved_model")
    server = Server(given.saved_model, f"--max_batch={given.batch}", "--max_queue=256")
    try:
        if given.only in (None, "load"):
            load(server, given)
        if given.only in (None, "mixed"):
            mixed(server, given)
    finally:
        server.end()


class Server:
    """The command in a process of its own."""

    def __init__(self, model, *flags):
        command = [sys.executable, "-m", "object_detection.serve", f"--model={model}", "--port=0"]
        self.process = subprocess.Popen([*command, *flags], stdout=subprocess.PIPE, text=True)
        self.port = int(re.search(r":(\d+)/", self.process.stdout.readline())[1])

    def cpu(self):
        """Seconds of all its threads so far."""
        import psutil

        return sum(psutil.Process(self.process.pid).cpu_times()[:2])

    def memory(self):
        """Megabytes of the process that are in memory."""
        import psutil

        return psutil.Process(self.process.pid).memory_info().rss >> 20

    def end(self):
        """Tells it to end; prints its exit code."""
        self.process.terminate()
        print(f"the server ended with {self.process.wait(60)}")


def load(server, given):
    """Throughput beside the model alone."""
    import tensorflow as tf

    function = tf.saved_model.load(given.saved_model).signatures["serving_default"]
    image = picture(given)
    given.images -= given.images % given.batch
    batch = tf.constant(np.stack([image] * given.batch))
    name = next(iter(function.structured_input_signature[1]))

    def alone():
        start, cpu = time.perf_counter(), time.process_time()
        for _ in range(given.images // given.batch):
            function(**{name: batch})
        costs["alone"].append((time.process_time() - cpu) / given.images)
        return given.images / (time.perf_counter() - start)

    body = file_of(image)
    forms = {"rle": "application/json; masks=rle", "box": "application/json"}
    rates, costs = ({kind: [] for kind in ("alone", *forms)} for _ in range(2))
    waits = {mask_format: [] for mask_format in forms}
    for turn in range(given.turns + 1):
        rates["alone"].append(alone())
        for mask_format, accept in forms.items():
            jobs = [("POST", "/score?prob=0.0", body, accept)] * given.images
            start, cpu = time.perf_counter(), server.cpu()
            answers = asyncio.run(ask_all(server.port, jobs, clients=2 * given.batch))
            rates[mask_format].append(given.images / (time.perf_counter() - start))
            costs[mask_format].append((server.cpu() - cpu) / given.images)
            if any(status != 200 for status, _, _ in answers):
                raise SystemExit(
                    f"refused: {[text for code, text, _ in answers if code != 200][0]}"
                )
            if turn:
                waits[mask_format] += [seconds for _, _, seconds in answers]
    alone_rate = statistics.median(rates["alone"][1:])
    own = statistics.median(costs["alone"][1:])
    print(
        f"the model alone, batches of {given.batch}: {alone_rate:.2f} images a second, "
        f"{own:.4f} s of CPU an image"
    )
    for mask_format in forms:
        shares = [mine / own for mine, own in zip(rates[mask_format], rates["alone"], strict=True)][
            1:
        ]
        p50, p99 = np.percentile(waits[mask_format], [50, 99])
        print(
            f"served to {2 * given.batch} clients, masks={mask_format}: "
            f"{statistics.median(rates[mask_format][1:]):.2f} images a second, "
            f"{100 * statistics.median(shares):.1f} % of it (turns: "
            f"{', '.join(f'{100 * share:.1f}' for share in shares)}); "
            f"p50 {p50:.3f} s, p99 {p99:.3f} s; the server's CPU "
            f"{statistics.median(costs[mask_format][1:]):.4f} s an image"
        )


def mixed(server, given):
    """Good and bad requests in random order."""
    good = file_of(picture(given))
    jpeg = file_of(picture(given), "JPEG")
    reference = asyncio.run(ask_all(server.port, [score(good)], clients=1))[0]
    selected = json.loads(reference[1])
    bad = [
        (score(b""), 400),
        (score(b"text"), 400),
        (score(jpeg[: len(jpeg) // 2]), 400),
        (score(file_of(np.zeros([2, 20_000, 3], np.uint8))), 413),
        (score(bytes(33 << 20)), 413),
        (("POST", "/score", good, "*/*"), 400),
        (("POST", "/v1/models/nobody:predict", b"{}", "*/*"), 404),
        (("POST", "/v1/models/model/versions/9:predict", b"{}", "*/*"), 404),
        (("POST", "/v1/models/..%2f..%2fx:predict", b"{}", "*/*"), 404),
        (("POST", "/v1/models/model:predict", b'{"instances": []}', "*/*"), 400),
        (("POST", "/v1/models/model:predict", b'{"instances": [[[["a"]]]]}', "*/*"), 400),
        (("POST", "/v1/models/model:predict", b"[" * 100_000, "*/*"), 400),
    ]
    chosen = random.Random(0)
    plan = [
        (score(good), 200) if chosen.random() < 0.5 else chosen.choice(bad)
        for _ in range(given.requests)
    ]
    before, responses = server.memory(), []
    quarter = max(len(plan) // 4, 1)
    memory = []
    for first in range(0, len(plan), quarter):
        jobs = [job for job, _ in plan[first : first + quarter]]
        responses += asyncio.run(ask_all(server.port, jobs, clients=16))
        memory.append(server.memory())
    statuses = {}
    wrong = 0
    for (_, expected), (status, text, _) in zip(plan, responses, strict=True):
        statuses[status] = statuses.get(status, 0) + 1
        wrong += status != expected or (status == 200 and not same(json.loads(text), selected))
    print(f"{len(plan)} mixed requests: {dict(sorted(statuses.items()))}, {wrong} wrong answers")
    print(f"memory: {before} MB before, then {', '.join(map(str, memory))} MB; lives: ", end="")
    print(server.process.poll() is None)


def score(body):
    """A request of azoda's protocol."""
    return ("POST", "/score?prob=0.3", body, "application/json; masks=rle")


def same(found, selected):
    """Whether two answers tell of the same objects: classes, scores and boxes."""
    return len(found) == len(selected) and all(
        mine["class"] == theirs["class"]
        and abs(mine["confidence"] - theirs["confidence"]) < 1e-4
        and np.allclose(mine["bounding_box"], theirs["bounding_box"], atol=1e-4)
        for mine, theirs in zip(found, selected, strict=True)
    )


async def ask_all(port, jobs, *, clients):
    """[(status, body, seconds)] of requests, by `clients` clients that wait for each answer."""
    left, answers = list(enumerate(jobs))[::-1], [None] * len(jobs)

    async def client():
        reader, writer = None, None
        while left:
            place, (method, path, body, accept) = left.pop()
            if writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            start = time.perf_counter()
            head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
            status, headers, text = await read_answer(reader)
            answers[place] = (status, text, time.perf_counter() - start)
            if headers.get("connection") == "close":
                writer.close()
                writer = None
        if writer is not None:
            writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return answers


async def read_answer(reader):
    """(status, headers, body)."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
    return (
        int(lines[0].split()[1]),
        headers,
        await reader.readexactly(int(headers["content-length"])),
    )


def sizes():
    """Bytes of answers with 100 round objects in 640 x 480, as the server writes them."""
    from object_detection.serving import responses
    from object_detection.serving.requests import Item, Parsed
    from object_detection.serving.served_model import Signature

    generator = np.random.default_rng(0)
    corner = generator.uniform(0, 0.7, [1, 100, 2])
    side = generator.uniform(0.05, 0.3, [1, 100, 2])
    y, x = np.mgrid[-1:1:33j, -1:1:33j]
    noise = generator.normal(0, 0.3, [1, 100, 33, 33])
    logits = 8 * (0.9 - np.hypot(y, x)) + noise
    classes = generator.integers(1, 81, [1, 100])
    scores = np.sort(generator.uniform(0, 1, [1, 100]))[:, ::-1]
    outputs = {
        "num_detections": np.array([100.0]),
        "detection_boxes": np.concatenate([corner, corner + side], -1),
        "detection_scores": scores,
        "detection_classes": classes,
        "detection_masks": 1 / (1 + np.exp(-logits)),
        "detection_anchor_indices": generator.integers(0, 300, [1, 100]),
        "detection_multiclass_scores": generator.dirichlet(np.full(81, 0.1), [1, 100]),
        "raw_detection_boxes": generator.uniform(0, 1, [1, 300, 4]),
        "raw_detection_scores": generator.dirichlet(np.full(81, 0.1), [1, 300]),
    }
    outputs = {name: value.astype(np.float32) for name, value in outputs.items()}
    signature = Signature("x", None, "x", None, None, True, tuple(outputs))
    parsed = Parsed([Item(np.zeros([1, 480, 640, 3], np.uint8), (480, 640))], True, signature)
    for mask_format in ("box", "png", "rle", "none"):
        rest = responses.prediction_response(parsed, [outputs], mask_format)
        azoda = responses.score_response(parsed, [outputs], {}, 0.0, mask_format)
        of_rest, of_azoda = (len(responses.to_json(value)) for value in (rest, azoda))
        print(
            f"100 detections, masks={mask_format}: predict {of_rest:,} bytes, "
            f"score {of_azoda:,} bytes"
        )


def picture(given):
    """uint8 noise of the size that was asked for, with a few rectangles."""
    generator = np.random.default_rng(1)
    image = generator.integers(0, 60, [given.height, given.width, 3], np.uint8)
    for _ in range(8):
        top, left = generator.integers(0, [given.height - 20, given.width - 20])
        image[top : top + 40, left : left + 50] = generator.integers(0, 256, 3)
    return image


def file_of(image, mask_format="PNG"):
    """The bytes of an image file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, mask_format)
    return file.getvalue()


if __name__ == "__main__":
    main()
