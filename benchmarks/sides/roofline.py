"""How fast this machine multiplies: the ceiling of every comparison.

    python roofline.py tensorflow|torch float32|bfloat16

Each turn runs a product of two 4096 x 4096 matrices and a 3 x 3 convolution of 256 to 256 channels
at 100 x 168, and tells the faster of the two in GFLOP/s.
"""

import json
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import worker

SIDE, CHANNELS, HEIGHT, WIDTH = 4096, 256, 100, 168
PRODUCT = 2.0 * SIDE**3 / 1e9
CONVOLUTION = 2.0 * HEIGHT * WIDTH * 9 * CHANNELS**2 / 1e9


def of_tensorflow(precision):
    """(product, convolution), functions that run until the numbers are there."""
    import tensorflow as tf

    def of(*shape):
        return tf.cast(tf.constant(values(*shape)), precision)

    left, right = of(SIDE, SIDE), of(SIDE, SIDE)
    image, kernel = of(1, HEIGHT, WIDTH, CHANNELS), of(3, 3, CHANNELS, CHANNELS)

    @tf.function
    def product():
        return tf.reduce_sum(tf.matmul(left, right)[:1])

    @tf.function
    def convolution(image):
        # The kernel is a constant, as in an exported model.
        return tf.nn.conv2d(image, kernel, 1, "SAME")[0, 0, 0, 0]

    return lambda: product().numpy(), lambda: convolution(image).numpy()


def of_torch(precision):
    """Likewise."""
    import torch

    def of(*shape):
        return torch.from_numpy(values(*shape)).to(getattr(torch, precision))

    left, right = of(SIDE, SIDE), of(SIDE, SIDE)
    image = of(1, CHANNELS, HEIGHT, WIDTH).to(memory_format=torch.channels_last)
    kernel = of(CHANNELS, CHANNELS, 3, 3).to(memory_format=torch.channels_last)

    def run(function):
        with torch.inference_mode():
            function()

    convolve = torch.nn.functional.conv2d
    return (
        lambda: run(lambda: left @ right),
        lambda: run(lambda: convolve(image, kernel, padding=1)),
    )


def values(*shape):
    """Random float32."""
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def rate(function, gflop, at_least=0.4):
    """The fastest of the runs of some tenths of a second, in GFLOP/s."""
    function()
    best, begin = 0.0, time.perf_counter()
    while time.perf_counter() - begin < at_least:
        start = time.perf_counter()
        function()
        best = max(best, gflop / (time.perf_counter() - start))
    return best


def main():
    """Answers every line with the rates."""
    product, convolution = {"tensorflow": of_tensorflow, "torch": of_torch}[sys.argv[1]](
        sys.argv[2]
    )
    while True:
        rates = {
            "product": rate(product, PRODUCT),
            "convolution": rate(convolution, CONVOLUTION),
        }
        print(worker.MARK + json.dumps(rates), flush=True)
        if not sys.stdin.readline():
            return


if __name__ == "__main__":
    main()
